"""Silver's products: what is sold, with its margin."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession

from tests.tables import expect, silver, table

pytestmark = pytest.mark.unit


def test_a_product_is_cleaned(spark: SparkSession) -> None:
    given = table(
        spark,
        "bronze.products",
        "product_id product_name category brand price cost is_active created_at updated_at",
        (
            " 85123a",
            " white  HANGING heart",
            "home  DECOR",
            "o'neill",
            "2.55",
            "1.00",
            True,
            "2011-01-01",
            "2011-01-02",
        ),
    )
    expect(
        silver(given, "products"),
        "product_id product_name category brand price cost is_active created_at updated_at",
        ("85123A", "white HANGING heart", "Home Decor", "O'neill", "2.55", "1.00", True, "2011-01-01", "2011-01-02"),
    )


def test_a_missing_category_has_a_name_a_missing_brand_has_none(spark: SparkSession) -> None:
    given = table(spark, "bronze.products", "category brand", (None, None), (" ", "\u00a0"), ("uncategorised", "x"))
    expect(
        silver(given, "products"),
        "category brand",
        ("Uncategorised", None),
        ("Uncategorised", None),
        ("Uncategorised", "X"),
    )


def test_profit_margin_is_of_the_price(spark: SparkSession) -> None:
    given = table(
        spark,
        "bronze.products",
        "price cost",
        ("4.00", "1.00"),
        ("3.00", "1.00"),
        ("3.00", "2.00"),
        ("1.00", "1.50"),
        ("2.0000", "1.9999"),
        ("0", "1.00"),
        (None, "1.00"),
        ("1.00", None),
    )
    expect(
        silver(given, "products"),
        "price cost profit_margin",
        ("4.00", "1.00", "0.75"),
        ("3.00", "1.00", "0.6667"),
        ("3.00", "2.00", "0.3333"),
        ("1.00", "1.50", "-0.5"),
        ("2.0000", "1.9999", "0.0001"),
        ("0", "1.00", None),
        (None, "1.00", None),
        ("1.00", None, None),
    )


def test_a_margin_that_does_not_fit_is_null_and_warned_of(spark: SparkSession) -> None:
    given = table(
        spark, "bronze.products", "price cost", ("0.0001", "9.9999"), ("0.0001", "10.0001"), ("0.0001", "10.0002")
    )
    expect(
        silver(given, "products"),
        "cost profit_margin _warn_profit_margin_out_of_range",
        ("9.9999", "-99998", False),
        ("10.0001", None, True),
        ("10.0002", None, True),
    )


def test_technical_columns_are_handed_on(spark: SparkSession) -> None:
    given = table(spark, "bronze.products", "product_id _run_id", ("1", "r1"))
    expect(silver(given, "products"), "product_id _run_id", ("1", "r1"))

"""Silver's inventory: a product's stock in a warehouse."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession

from tests.tables import expect, silver, table

pytestmark = pytest.mark.unit


def test_both_parts_of_the_key_are_cleaned(spark: SparkSession) -> None:
    header = "product_id warehouse_id reorder_point created_at updated_at"
    given = table(
        spark,
        "bronze.inventory",
        header,
        ("85123a", " 3.0", 5, "2011-12-01", "2011-12-02"),
        ("85123a", " ", None, None, "2011-12-02"),
    )
    expect(
        silver(given, "inventory"),
        header,
        ("85123A", "3", 5, "2011-12-01", "2011-12-02"),
        ("85123A", None, None, None, "2011-12-02"),
    )


def test_available_is_what_nobody_has_been_promised(spark: SparkSession) -> None:
    given = table(
        spark,
        "bronze.inventory",
        "quantity_on_hand quantity_reserved",
        (10, 3),
        (3, 10),
        (None, 3),
        (10, None),
        (-2_147_483_648, 2_147_483_647),
    )
    expect(
        silver(given, "inventory"),
        "quantity_on_hand quantity_reserved available",
        (10, 3, 7),
        (3, 10, -7),
        (None, 3, None),
        (10, None, None),
        (-2_147_483_648, 2_147_483_647, -4_294_967_295),
    )


def test_technical_columns_are_handed_on(spark: SparkSession) -> None:
    given = table(spark, "bronze.inventory", "product_id _run_id", ("1", "r1"))
    expect(silver(given, "inventory"), "product_id _run_id", ("1", "r1"))

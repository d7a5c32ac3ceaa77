"""Silver's order lines: units of a product sold (or, negative, returned) at a price."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession

from tests.tables import expect, silver, table

pytestmark = pytest.mark.unit


def test_a_line_is_cleaned_and_its_references_by_the_rule_of_keys(spark: SparkSession) -> None:
    header = "order_item_id order_id product_id quantity unit_price unit_cost created_at updated_at"
    given = table(
        spark,
        "bronze.order_items",
        header,
        (" c1-001", "17.0", "85123a ", 2, "2.5500", "1.0000", "2011-12-01", "2011-12-02"),
        (None, None, " ", None, None, None, None, "2011-12-02"),
    )
    expect(
        silver(given, "order_items"),
        header,
        ("C1-001", "17", "85123A", 2, "2.5500", "1.0000", "2011-12-01", "2011-12-02"),
        (None, None, None, None, None, None, None, "2011-12-02"),
    )


def test_a_returned_line_gives_back_what_it_had_brought(spark: SparkSession) -> None:
    given = table(
        spark,
        "bronze.order_items",
        "order_item_id quantity unit_price discount",
        ("sold", 3, "10.00", "5.00"),
        ("returned", -3, "10.00", "5.00"),
        ("free", 3, "0", "0"),
        ("exact", 3, "0.3333", "0.0001"),
    )
    expect(
        silver(given, "order_items"),
        "order_item_id gross_amount discount net_amount",
        ("SOLD", "30.00", "5.00", "25.00"),
        ("RETURNED", "-30.00", "5.00", "-25.00"),
        ("FREE", "0", "0", "0"),
        ("EXACT", "0.9999", "0.0001", "0.9998"),
    )


def test_no_discount_is_a_discount_of_nothing(spark: SparkSession) -> None:
    given = table(spark, "bronze.order_items", "quantity unit_price discount", (2, "1.50", None))
    expect(silver(given, "order_items"), "gross_amount discount net_amount", ("3.00", "0", "3.00"))


def test_the_amounts_of_a_line_without_quantity_or_price_are_unknown(spark: SparkSession) -> None:
    given = table(spark, "bronze.order_items", "quantity unit_price discount", (None, "1.50", "1"), (2, None, "1"))
    expect(
        silver(given, "order_items"),
        "gross_amount net_amount discount",
        (None, None, "1"),
        (None, None, "1"),
    )


def test_the_rules_see_amounts_of_any_size_the_table_only_those_that_fit(spark: SparkSession) -> None:
    most, price = 2_147_483_647, "99999999.9999"
    given = table(
        spark, "bronze.order_items", "quantity unit_price", (most, price), (-most - 1, price), (1_000_000, price)
    )
    expect(
        silver(given, "order_items"),
        "gross_amount net_amount _warn_gross_amount_out_of_range",
        (None, None, True),
        (None, None, True),
        ("99999999999900", "99999999999900", False),
    )


def test_technical_columns_are_handed_on(spark: SparkSession) -> None:
    given = table(spark, "bronze.order_items", "order_item_id _run_id", ("1", "r1"))
    expect(silver(given, "order_items"), "order_item_id _run_id", ("1", "r1"))

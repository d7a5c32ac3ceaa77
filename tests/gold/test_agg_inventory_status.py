"""Gold's stock: what is on hand against the sales of the last 30 days."""

from __future__ import annotations

from datetime import date

import pytest
from pyspark.sql import DataFrame, SparkSession

from tests.tables import expect, gold, lines, table

pytestmark = pytest.mark.unit
AS_OF = date(2011, 12, 30)
SALES = "sales_date product_id units_sold units_returned"


def built(
    spark: SparkSession, inventory: DataFrame, *sales: tuple[object, ...], products: DataFrame | None = None
) -> DataFrame:
    inputs = {
        "inventory": inventory,
        "products": products or table(spark, "silver.products", ""),
        "fact_daily_sales": table(spark, "gold.fact_daily_sales", SALES, *sales),
        "business_date": AS_OF,
    }
    return gold("agg_inventory_status", inputs)


def stock(spark: SparkSession, *available_of: tuple[object, ...]) -> DataFrame:
    return table(spark, "silver.inventory", "product_id available reorder_point", *available_of)


def test_stock_is_handed_on_as_of_the_business_date(spark: SparkSession) -> None:
    header = "product_id warehouse_id quantity_on_hand quantity_reserved available reorder_point"
    rows = (("mug", "W1", 10, 3, 7, 5), ("mug", "W2", None, None, None, None))
    expect(
        built(spark, table(spark, "silver.inventory", header, *rows)),
        f"as_of_date {header}",
        *(("2011-12-30", *row) for row in rows),
    )


def test_sales_are_those_of_30_days_up_to_the_business_date_less_returns_and_never_below_0(spark: SparkSession) -> None:
    inventory = table(
        spark,
        "silver.inventory",
        "product_id warehouse_id",
        ("mug", "W1"),
        ("mug", "W2"),
        ("cup", "W1"),
        ("returned before sold", "W1"),
        ("more returned than sold", "W1"),
    )
    sales = (
        ("2011-11-30", "mug", 1000, 0),
        ("2011-12-01", "mug", 5, 1),
        ("2011-12-30", "mug", 20, 2),
        ("2011-12-31", "mug", 1000, 0),
        ("2011-12-30", "jug", 1000, 0),
        ("2011-12-01", "returned before sold", 0, 4),
        ("2011-12-02", "returned before sold", 9, 0),
        ("2011-12-01", "more returned than sold", 5, 0),
        ("2011-12-02", "more returned than sold", 0, 9),
    )
    expect(
        built(spark, inventory, *sales),
        "product_id warehouse_id units_sold_30d average_daily_units",
        ("mug", "W1", 22, "0.7333"),
        ("mug", "W2", 22, "0.7333"),
        ("cup", "W1", 0, "0"),
        ("returned before sold", "W1", 5, "0.1667"),
        ("more returned than sold", "W1", 0, "0"),
    )


def test_days_of_supply_are_rounded_once_from_whole_units(spark: SparkSession) -> None:
    inventory = stock(
        spark,
        ("sevenths", 1, None),
        ("by the average", 100, None),
        ("none", -7, None),
        ("unknown", None, 1),
        ("not sold", 10, 5),
    )
    sales = (
        ("2011-12-01", "sevenths", 7, 0),
        # 100 / 2.3333 would be 42.8578: the average is not rounded first.
        ("2011-12-01", "by the average", 70, 0),
        ("2011-12-01", "none", 30, 0),
        ("2011-12-01", "unknown", 30, 0),
    )
    expect(
        built(spark, inventory, *sales),
        "product_id average_daily_units days_of_supply",
        ("sevenths", "0.2333", "4.2857"),
        ("by the average", "2.3333", "42.8571"),
        ("none", "1.00", "-7.00"),
        ("unknown", "1.00", None),
        ("not sold", "0", None),
    )


def test_stock_has_a_state(spark: SparkSession) -> None:
    inventory = stock(
        spark,
        ("none left", 0, 5),
        ("promised too much", -1, None),
        ("at the reorder point", 5, 5),
        ("above it", 6, 5),
        ("one unit", 1, 0),
        ("below it, and 600 days", 20, 20),
        ("180 days", 180, 5),
        ("181 days", 181, 5),
        ("no reorder point", 6, None),
        ("no reorder point, 181 days", 181, None),
        ("not sold at all", 1_000_000, 5),
        ("unknown", None, 5),
    )
    sold_daily = ("180 days", "181 days", "no reorder point", "no reorder point, 181 days")
    sales = [("2011-12-01", product, 30, 0) for product in sold_daily]
    sales.append(("2011-12-01", "below it, and 600 days", 1, 0))
    expect(
        built(spark, inventory, *sales),
        "product_id stock_status",
        ("none left", "out_of_stock"),
        ("promised too much", "out_of_stock"),
        ("at the reorder point", "low"),
        ("above it", "healthy"),
        ("one unit", "healthy"),
        ("below it, and 600 days", "low"),
        ("180 days", "healthy"),
        ("181 days", "overstock"),
        ("no reorder point", "healthy"),
        ("no reorder point, 181 days", "overstock"),
        ("not sold at all", "healthy"),
        ("unknown", None),
    )


def test_overstock_is_told_from_unrounded_days(spark: SparkSession) -> None:
    # 6,000,001 x 30 / 1,000,000 = 180.00003 days, 180.0000 when rounded.
    inventory = stock(spark, ("just over", 6_000_001, None), ("just", 6_000_000, None))
    sales = [("2011-12-01", product, 1_000_000, 0) for product in ("just over", "just")]
    expect(
        built(spark, inventory, *sales),
        "product_id days_of_supply stock_status",
        ("just over", "180.00", "overstock"),
        ("just", "180.00", "healthy"),
    )


def test_stock_is_worth_what_it_cost(spark: SparkSession) -> None:
    inventory = table(
        spark,
        "silver.inventory",
        "product_id quantity_on_hand available",
        ("mug", 10, 7),
        ("cup", 10, 7),
        ("unheard of", 10, 7),
        ("jug", None, None),
        ("pot", -2, -2),
    )
    products = table(
        spark, "silver.products", "product_id cost", ("mug", "1.2345"), ("cup", None), ("jug", "1"), ("pot", "1.50")
    )
    expect(
        built(spark, inventory, products=products),
        "product_id stock_value",
        ("mug", "12.345"),
        ("cup", None),
        ("unheard of", None),
        ("jug", None),
        ("pot", "-3.00"),
    )


def test_sales_reach_the_stock_from_orders(spark: SparkSession) -> None:
    inputs = {
        "inventory": stock(spark, ("mug", 10, 5)),
        "products": table(spark, "silver.products", ""),
        "orders": table(spark, "silver.orders", "order_id status order_date", ("A1", "paid", "2011-12-30")),
        "order_items": lines(spark, "order_id product_id quantity", ("A1", "mug", 4), ("A1", "mug", -1)),
        "business_date": AS_OF,
    }
    expect(gold("agg_inventory_status", inputs), "product_id units_sold_30d", ("mug", 3))

"""Gold's daily sales: one row per day and product with a line in an order neither pending nor cancelled."""

from __future__ import annotations

import pytest
from pyspark.sql import DataFrame, SparkSession

from tests.tables import expect, gold, lines, table

pytestmark = pytest.mark.unit
DAY, NEXT_DAY = "2011-12-01", "2011-12-02"


def built(orders: DataFrame, order_items: DataFrame) -> DataFrame:
    return gold("fact_daily_sales", {"orders": orders, "order_items": order_items})


def one_order(spark: SparkSession) -> DataFrame:
    return table(spark, "silver.orders", "order_id status order_date", ("A1", "paid", DAY))


def test_lines_are_summed_by_day_and_product(spark: SparkSession) -> None:
    orders = table(
        spark,
        "silver.orders",
        "order_id customer_id status order_date",
        ("A1", "12", "paid", DAY),
        ("A2", "13", "shipped", DAY),
        ("A3", "12", "delivered", NEXT_DAY),
    )
    order_items = lines(
        spark,
        "order_id product_id quantity unit_price discount unit_cost",
        ("A1", "mug", 3, "10.00", "5.00", "4.00"),
        ("A1", "mug", -1, "10.00", "1.00", "4.00"),
        ("A2", "mug", 2, "9.50", "0", "4.50"),
        ("A2", "cup", 1, "2.00", "0", "1.00"),
        ("A3", "mug", 1, "10.00", "0", "4.00"),
    )
    expect(
        built(orders, order_items),
        "sales_date product_id order_count customer_count units_sold units_returned gross_sales returns_amount "
        "discount_amount net_sales cost_of_goods gross_profit",
        (DAY, "mug", 2, 2, 5, 1, "49.00", "10.00", "4.00", "35.00", "17.00", "18.00"),
        (DAY, "cup", 1, 1, 1, 0, "2.00", "0", "0", "2.00", "1.00", "1.00"),
        (NEXT_DAY, "mug", 1, 1, 1, 0, "10.00", "0", "0", "10.00", "4.00", "6.00"),
    )


def test_pending_and_cancelled_orders_sell_nothing(spark: SparkSession) -> None:
    orders = table(
        spark,
        "silver.orders",
        "order_id status",
        ("A1", "pending"),
        ("A2", "cancelled"),
        ("A3", "returned"),
    )
    order_items = lines(
        spark,
        "order_id product_id quantity unit_price",
        ("A1", "mug", 1, "1"),
        ("A2", "mug", 2, "1"),
        ("A3", "mug", 4, "1"),
    )
    expect(built(orders, order_items), "product_id units_sold order_count", ("mug", 4, 1))


def test_a_day_of_returns_only_has_a_row_and_counts_no_order(spark: SparkSession) -> None:
    order_items = lines(
        spark, "order_id product_id quantity unit_price discount unit_cost", ("A1", "mug", -2, "10.00", "1.00", "4.00")
    )
    expect(
        built(one_order(spark), order_items),
        "order_count customer_count units_sold units_returned gross_sales returns_amount discount_amount net_sales "
        "cost_of_goods gross_profit",
        (0, 0, 0, 2, "0", "20.00", "-1.00", "-19.00", "-8.00", "-11.00"),
    )


def test_orders_and_customers_are_counted_once_and_guests_never(spark: SparkSession) -> None:
    orders = table(
        spark,
        "silver.orders",
        "order_id customer_id status",
        ("A1", "12", "paid"),
        ("A2", "12", "paid"),
        ("A3", "13", "paid"),
        ("A4", "14", "paid"),
        ("A5", "UNKNOWN", "paid"),
        ("A6", "UNKNOWN", "paid"),
    )
    order_items = lines(
        spark,
        "order_id product_id quantity",
        ("A1", "mug", 1),
        ("A1", "mug", 1),
        ("A2", "mug", 1),
        ("A3", "mug", 1),
        ("A4", "mug", -1),
        ("A5", "mug", 1),
        ("A6", "mug", 1),
    )
    expect(built(orders, order_items), "product_id order_count customer_count", ("mug", 5, 2))


def test_cost_and_profit_are_unknown_where_the_cost_of_any_line_of_any_order_is(spark: SparkSession) -> None:
    orders = table(spark, "silver.orders", "order_id status order_date", ("A1", "paid", DAY), ("A2", "paid", DAY))
    order_items = lines(
        spark,
        "order_id product_id quantity unit_price unit_cost",
        ("A1", "known", 1, "10.00", "4.00"),
        ("A2", "known", 2, "10.00", "0"),
        ("A1", "not known in the same order", 1, "10.00", "4.00"),
        ("A1", "not known in the same order", 1, "10.00", None),
        ("A1", "not known in another order", 1, "10.00", "4.00"),
        ("A2", "not known in another order", 1, "10.00", None),
        ("A1", "not known of what came back", 1, "10.00", "4.00"),
        ("A1", "not known of what came back", -1, "10.00", None),
    )
    expect(
        built(orders, order_items),
        "product_id net_sales cost_of_goods gross_profit",
        ("known", "30.00", "4.00", "26.00"),
        ("not known in the same order", "20.00", None, None),
        ("not known in another order", "20.00", None, None),
        ("not known of what came back", "0", None, None),
    )


def test_units_are_counted_in_64_bit(spark: SparkSession) -> None:
    most, least = 2_147_483_647, -2_147_483_648
    order_items = lines(
        spark,
        "order_id product_id quantity",
        ("A1", "mug", most),
        ("A1", "mug", most),
        ("A1", "mug", least),
        ("A1", "mug", least),
    )
    expect(built(one_order(spark), order_items), "units_sold units_returned", (2 * most, -2 * least))


def test_nothing_sold_is_no_row(spark: SparkSession) -> None:
    expect(built(one_order(spark), lines(spark, "order_id")), "sales_date product_id")

"""Gold's customers: one row per customer, and one row UNKNOWN that stands for every guest."""

from __future__ import annotations

import pytest
from pyspark.sql import DataFrame, SparkSession

from tests.tables import expect, gold, lines, table, zone

pytestmark = pytest.mark.unit
LIFE = "customer_id first_order_date last_order_date lifetime_orders lifetime_net_sales is_repeat_customer"


def built(customers: DataFrame, orders: DataFrame, order_items: DataFrame) -> DataFrame:
    return gold("dim_customers", {"customers": customers, "orders": orders, "order_items": order_items})


def without_orders(spark: SparkSession, customers: DataFrame) -> DataFrame:
    return built(customers, table(spark, "silver.orders", ""), lines(spark, "order_id"))


def test_a_customer_is_handed_on_with_their_words_and_guests_have_none(spark: SparkSession) -> None:
    header = "customer_id full_name email city state country"
    ann, nobody = ("12", "Ann Lee", "ann@shop.com", "York", None, "UK"), ("13", None, None, None, None, None)
    expect(
        without_orders(spark, table(spark, "silver.customers", header, ann, nobody)),
        header,
        ann,
        nobody,
        ("UNKNOWN", None, None, None, None, None),
    )


def test_the_registered_date_is_the_shops_date(spark: SparkSession) -> None:
    with zone(spark, "America/New_York"):
        customers = table(
            spark, "silver.customers", "customer_id created_at", ("12", "2011-12-01 04:59:59"), ("13", "2011-12-01 05:00"),
            ("14", None)
        )  # fmt: skip
        expect(
            without_orders(spark, customers),
            "customer_id registered_date",
            ("12", "2011-11-30"),
            ("13", "2011-12-01"),
            ("14", None),
            ("UNKNOWN", None),
        )


def test_a_life_is_of_counted_orders_and_its_money_of_all_sales(spark: SparkSession) -> None:
    customers = table(spark, "silver.customers", "customer_id", ("12",), ("13",), ("14",), ("15",))
    orders = table(
        spark,
        "silver.orders",
        "order_id customer_id status ordered_at order_date",
        ("A0", "12", "pending", "2011-11-01", "2011-11-01"),
        ("A1", "12", "paid", "2011-12-01", "2011-12-01"),
        ("A2", "12", "delivered", "2011-12-09", "2011-12-09"),
        ("A3", "12", "returned", "2011-12-24", "2011-12-24"),
        ("A4", "12", "cancelled", "2011-12-31", "2011-12-31"),
        ("B1", "13", "shipped", "2011-12-05", "2011-12-05"),
        ("C1", "14", "returned", "2011-12-06", "2011-12-06"),
        ("C2", "14", "paid", "2011-12-07", "2011-12-07"),
    )
    order_items = lines(
        spark,
        "order_id quantity unit_price discount",
        ("A0", 1, "1000.00", "0"),
        ("A1", 2, "10.00", "5.00"),
        ("A2", 1, "7.0001", "0"),
        ("A3", -1, "10.00", "2.50"),
        ("A4", 1, "1000.00", "0"),
        ("B1", 1, "3.00", "0"),
        ("C1", -1, "3.00", "0"),
    )
    expect(
        built(customers, orders, order_items),
        LIFE,
        ("12", "2011-12-01", "2011-12-09", 2, "14.5001", True),
        ("13", "2011-12-05", "2011-12-05", 1, "3.00", False),
        ("14", None, None, 0, "-3.00", False),
        ("15", None, None, 0, "0", False),
        ("UNKNOWN", None, None, 0, "0", None),
    )


def test_guests_have_a_row_of_figures_even_in_a_shop_without_customers_and_are_no_repeat_customer(
    spark: SparkSession,
) -> None:
    orders = table(
        spark,
        "silver.orders",
        "order_id customer_id status order_date",
        ("A1", "UNKNOWN", "paid", "2011-12-01"),
        ("A2", "UNKNOWN", "paid", "2011-12-09"),
    )
    order_items = lines(spark, "order_id quantity unit_price", ("A1", 1, "10.00"), ("A2", 1, "7.00"))
    expect(
        built(table(spark, "silver.customers", ""), orders, order_items),
        LIFE,
        ("UNKNOWN", "2011-12-01", "2011-12-09", 2, "17.00", None),
    )

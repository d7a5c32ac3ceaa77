"""Gold's campaigns: the orders each brought against its budget."""

from __future__ import annotations

import pytest
from pyspark.sql import DataFrame, SparkSession

from tests.tables import expect, gold, lines, table

pytestmark = pytest.mark.unit


def built(campaigns: DataFrame, orders: DataFrame, order_items: DataFrame) -> DataFrame:
    inputs = {"campaigns": campaigns, "orders": orders, "order_items": order_items}
    return gold("agg_campaign_performance", inputs)


def test_orders_are_counted_orders_and_money_is_of_all_sales(spark: SparkSession) -> None:
    words = "campaign_id campaign_name channel start_date end_date budget"
    campaign = ("C1", "Spring Sale", "daily_paper", "2011-03-01", "2011-03-31", "1000.50")
    orders = table(
        spark,
        "silver.orders",
        "order_id customer_id campaign_id status ordered_at",
        ("A1", "12", None, "paid", "2011-12-01"),
        ("A2", "12", "C1", "paid", "2011-12-02"),
        ("A3", "12", "C1", "paid", "2011-12-03"),
        ("B1", "13", "C1", "delivered", "2011-12-02"),
        ("G1", "UNKNOWN", "C1", "paid", "2011-12-02"),
        ("R1", "14", "C1", "returned", "2011-12-02"),
        ("N1", "15", "C1", "paid", "2011-12-02"),
        ("P1", "16", "C1", "pending", "2011-12-02"),
        ("X1", "17", "C1", "cancelled", "2011-12-02"),
        ("Z1", "18", "C9", "paid", "2011-12-02"),
    )
    order_items = lines(
        spark,
        "order_id quantity unit_price discount unit_cost",
        ("A1", 1, "1000.00", "0", "1.00"),
        ("A2", 2, "10.00", "5.00", "4.00"),
        ("A3", 1, "10.00", "0", "4.00"),
        ("B1", 1, "10.00", "0", "4.00"),
        ("G1", 1, "10.00", "0", "4.00"),
        ("R1", -1, "10.00", "0", "4.00"),
        ("P1", 1, "1000.00", "0", "1.00"),
        ("X1", 1, "1000.00", "0", "1.00"),
        ("Z1", 1, "1000.00", "0", "1.00"),
    )
    # A2, A3, B1 and G1 are counted; R1 has no line sold and N1 none at all, but R1's money is given back.
    expect(
        built(table(spark, "silver.campaigns", words, campaign), orders, order_items),
        f"{words} orders customers new_customers units_sold net_sales gross_profit",
        (*campaign, 4, 2, 1, 5, "35.00", "19.00"),
    )


def test_new_customers_are_new_over_all_their_orders_not_only_the_campaigns(spark: SparkSession) -> None:
    campaigns = table(spark, "silver.campaigns", "campaign_id", ("C1",), ("C2",))
    orders = table(
        spark,
        "silver.orders",
        "order_id customer_id campaign_id status ordered_at",
        ("A1", "12", "C1", "paid", "2011-12-01"),
        ("A2", "12", "C2", "paid", "2011-12-02"),
        ("B0", "13", "C1", "cancelled", "2011-12-01"),
        ("B1", "13", "C2", "paid", "2011-12-02"),
        ("G1", "UNKNOWN", "C2", "paid", "2011-12-01"),
    )
    order_items = lines(spark, "order_id quantity", ("A1", 1), ("A2", 1), ("B0", 1), ("B1", 1), ("G1", 1))
    expect(
        built(campaigns, orders, order_items),
        "campaign_id orders customers new_customers",
        ("C1", 1, 1, 1),
        ("C2", 3, 2, 1),
    )


MONEY = "campaign_id orders net_sales gross_profit average_order_value return_on_ad_spend roi"


def test_ratios_are_rounded_once_and_null_over_nothing_or_the_unknown(spark: SparkSession) -> None:
    campaigns = table(
        spark,
        "silver.campaigns",
        "campaign_id budget",
        ("thirds and sevenths", "7.00"),
        ("no budget", None),
        ("a budget of 0", "0"),
        ("no orders", "7.00"),
        ("an order without lines", "5.00"),
        ("one cost unknown", "5.00"),
        ("only given back", "5.00"),
    )
    orders = table(
        spark,
        "silver.orders",
        "order_id campaign_id status",
        ("A1", "thirds and sevenths", "paid"),
        ("A2", "thirds and sevenths", "paid"),
        ("A3", "thirds and sevenths", "paid"),
        ("B1", "no budget", "paid"),
        ("D1", "a budget of 0", "paid"),
        ("E1", "an order without lines", "paid"),
        ("F1", "one cost unknown", "paid"),
        ("F2", "one cost unknown", "paid"),
        ("G1", "only given back", "returned"),
    )
    order_items = lines(
        spark,
        "order_id quantity unit_price unit_cost",
        ("A1", 1, "10.00", "4.00"),
        ("A2", 1, "10.00", "4.00"),
        ("A3", 1, "0.00", "0"),
        ("B1", 1, "10.00", "4.00"),
        ("D1", 1, "10.00", "4.00"),
        ("F1", 1, "10.00", "4.00"),
        ("F2", 1, "10.00", None),
        ("G1", -1, "10.00", "4.00"),
    )
    expect(
        built(campaigns, orders, order_items),
        MONEY,
        ("thirds and sevenths", 3, "20.00", "12.00", "6.6667", "2.8571", "0.7143"),
        ("no budget", 1, "10.00", "6.00", "10.00", None, None),
        ("a budget of 0", 1, "10.00", "6.00", "10.00", None, None),
        ("no orders", 0, "0", None, None, "0", None),
        ("an order without lines", 0, "0", None, None, "0", None),
        ("one cost unknown", 2, "20.00", None, "10.00", "4.00", None),
        ("only given back", 0, "-10.00", "-6.00", None, "-2.00", "-2.20"),
    )

"""Gold's orders: one row per order, its sums and its place in the customer's life."""

from __future__ import annotations

import pytest
from pyspark.sql import DataFrame, SparkSession

from tests.tables import expect, gold, lines, table

pytestmark = pytest.mark.unit


def built(orders: DataFrame, order_items: DataFrame) -> DataFrame:
    return gold("fact_customer_orders", {"orders": orders, "order_items": order_items})


def one_line_each(spark: SparkSession, *order_ids: str) -> DataFrame:
    return lines(spark, "order_id quantity unit_price", *((o, 1, "10") for o in order_ids))


def test_an_order_is_handed_on_with_its_words(spark: SparkSession) -> None:
    header = "order_id customer_id campaign_id ordered_at order_date status"
    order = ("A1", "12", "C7", "2011-12-01 09:41:00.000001", "2011-12-01", "paid")
    expect(built(table(spark, "silver.orders", header, order), lines(spark, "order_id")), header, order)


def test_sums_are_over_all_lines_whatever_the_status(spark: SparkSession) -> None:
    orders = table(
        spark, "silver.orders", "order_id status", ("A1", "paid"), ("A2", "cancelled"), ("A3", "paid"), ("A4", "paid")
    )
    order_items = lines(
        spark,
        "order_id quantity unit_price discount",
        ("A1", 3, "10.00", "5.00"),
        ("A1", 2, "0.3333", "0"),
        ("A1", -1, "10.00", "1.00"),
        ("A2", 1, "7.00", "0.50"),
        ("A3", -2, "4.00", "1.00"),
        ("of no order", 1, "9.00", "0"),
    )
    expect(
        built(orders, order_items),
        "order_id line_count units gross_amount returns_amount discount_amount net_amount",
        ("A1", 3, 4, "30.6666", "10.00", "4.00", "16.6666"),
        ("A2", 1, 1, "7.00", "0", "0.50", "6.50"),
        ("A3", 1, -2, "0", "8.00", "-1.00", "-7.00"),
        ("A4", 0, 0, "0", "0", "0", "0"),
    )


def test_pending_and_cancelled_orders_are_no_sales_and_only_sales_with_a_line_sold_are_numbered(
    spark: SparkSession,
) -> None:
    orders = table(
        spark,
        "silver.orders",
        "order_id customer_id status ordered_at",
        ("pending", "12", "pending", "2011-12-01"),
        ("cancelled", "12", "cancelled", "2011-12-02"),
        ("no line", "12", "paid", "2011-12-03"),
        ("only returns", "12", "returned", "2011-12-04"),
        ("first", "12", "shipped", "2011-12-05"),
        ("sold and returned", "12", "returned", "2011-12-06"),
        ("third", "12", "delivered", "2011-12-07"),
    )
    order_items = lines(
        spark,
        "order_id quantity unit_price",
        ("pending", 1, "10"),
        ("cancelled", 1, "10"),
        ("only returns", -1, "10"),
        ("first", 1, "0"),
        ("sold and returned", 1, "10"),
        ("sold and returned", -1, "10"),
        ("third", 1, "10"),
    )
    expect(
        built(orders, order_items),
        "order_id is_sale customer_order_number is_first_order",
        ("pending", False, None, None),
        ("cancelled", False, None, None),
        ("no line", True, None, None),
        ("only returns", True, None, None),
        ("first", True, 1, True),
        ("sold and returned", True, 2, False),
        ("third", True, 3, False),
    )


def test_each_customer_has_numbers_of_its_own_by_time_then_by_the_bytes_of_the_order_id(spark: SparkSession) -> None:
    orders = table(
        spark,
        "silver.orders",
        "order_id customer_id status ordered_at",
        ("B", "12", "paid", "2011-12-01 10:00:00.000001"),
        ("C", "12", "paid", "2011-12-01 10:00:00"),
        ("10", "13", "paid", "2011-12-01 10:00"),
        ("9", "13", "paid", "2011-12-01 10:00"),
        ("É", "13", "paid", "2011-12-01 10:00"),
        ("Z", "13", "paid", "2011-12-01 10:00"),
        # In bytes U+FF21 is before U+10400; in the units of UTF-16 it is after.
        ("\U00010400", "13", "paid", "2011-12-01 10:00"),
        ("\uff21", "13", "paid", "2011-12-01 10:00"),
    )
    ids = ("B", "C", "10", "9", "É", "Z", "\U00010400", "\uff21")
    expect(
        built(orders, one_line_each(spark, *ids)),
        "customer_id customer_order_number order_id",
        ("12", 1, "C"),
        ("12", 2, "B"),
        ("13", 1, "10"),
        ("13", 2, "9"),
        ("13", 3, "Z"),
        ("13", 4, "É"),
        ("13", 5, "\uff21"),
        ("13", 6, "\U00010400"),
    )


def test_days_since_are_whole_days_between_the_dates_of_counted_orders(spark: SparkSession) -> None:
    orders = table(
        spark,
        "silver.orders",
        "order_id customer_id status ordered_at order_date",
        ("A1", "12", "paid", "2012-02-28 23:59", "2012-02-28"),
        ("A2", "12", "paid", "2012-03-01 00:01", "2012-03-01"),
        ("A3", "12", "pending", "2012-03-05 12:00", "2012-03-05"),
        ("A4", "12", "paid", "2012-03-10 08:00", "2012-03-10"),
        ("A5", "12", "paid", "2012-03-10 23:00", "2012-03-10"),
        ("B1", "13", "paid", "2012-03-11 12:00", "2012-03-11"),
    )
    expect(
        built(orders, one_line_each(spark, "A1", "A2", "A3", "A4", "A5", "B1")),
        "order_id days_since_previous_order",
        ("A1", None),
        ("A2", 2),
        ("A3", None),
        ("A4", 9),
        ("A5", 0),
        ("B1", None),
    )


def test_guests_have_no_life_to_number(spark: SparkSession) -> None:
    orders = table(
        spark,
        "silver.orders",
        "order_id customer_id status",
        ("A1", "UNKNOWN", "paid"),
        ("A2", "UNKNOWN", "paid"),
        ("A3", "12", "paid"),
    )
    expect(
        built(orders, one_line_each(spark, "A1", "A2", "A3")),
        "order_id customer_order_number is_first_order days_since_previous_order is_sale",
        ("A1", None, None, None, True),
        ("A2", None, None, None, True),
        ("A3", 1, True, None, True),
    )


def test_a_returned_order_of_which_nothing_came_back_is_warned_of(spark: SparkSession) -> None:
    orders = table(
        spark,
        "silver.orders",
        "order_id status",
        ("by status alone", "returned"),
        ("by a line", "returned"),
        ("without lines", "returned"),
        ("kept", "delivered"),
    )
    order_items = lines(
        spark, "order_id quantity", ("by status alone", 1), ("by a line", 1), ("by a line", -1), ("kept", 1)
    )
    expect(
        built(orders, order_items),
        "order_id _warn_returned_without_return",
        ("by status alone", True),
        ("by a line", False),
        ("without lines", False),
        ("kept", False),
    )


def test_an_amount_that_does_not_fit_is_null_and_warned_of(spark: SparkSession) -> None:
    most = "99999999.9999"
    orders = table(spark, "silver.orders", "order_id status", ("fits", "paid"), ("does not", "paid"))
    order_items = lines(
        spark,
        "order_id quantity unit_price",
        ("fits", 99_999, most),
        *[("does not", 99_999, most)] * 11,
    )
    expect(
        built(orders, order_items),
        "order_id gross_amount net_amount _warn_gross_amount_out_of_range _warn_net_amount_out_of_range",
        ("fits", "9999899999990.0001", "9999899999990.0001", False, False),
        ("does not", None, None, True, True),
    )

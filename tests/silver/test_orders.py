"""Silver's orders: who ordered, when, and how far the order has come."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession

from tests.tables import contract, expect, silver, table, zone

pytestmark = pytest.mark.unit


def test_an_order_is_cleaned_and_its_references_by_the_rule_of_keys(spark: SparkSession) -> None:
    header = "order_id customer_id campaign_id status ordered_at created_at updated_at"
    given = table(
        spark,
        "bronze.orders",
        header,
        (" c536379", "17850.0", " c7\n", " Paid ", "2011-12-01 09:41", "2011-12-01 09:42", "2011-12-02 10:00"),
    )
    expect(
        silver(given, "orders"),
        header,
        ("C536379", "17850", "C7", "paid", "2011-12-01 09:41", "2011-12-01 09:42", "2011-12-02 10:00"),
    )


def test_an_order_without_a_customer_is_a_guests(spark: SparkSession) -> None:
    given = table(
        spark,
        "bronze.orders",
        "order_id customer_id",
        ("1", None),
        ("2", "  "),
        ("3", "unknown"),
        ("4", " UNKNOWN\t"),
        ("5", "unknown.0"),
        ("6", "12"),
    )
    expect(
        silver(given, "orders"),
        "order_id customer_id",
        ("1", "UNKNOWN"),
        ("2", "UNKNOWN"),
        ("3", "UNKNOWN"),
        ("4", "UNKNOWN"),
        ("5", "UNKNOWN.0"),
        ("6", "12"),
    )


def test_an_order_without_a_campaign_has_none(spark: SparkSession) -> None:
    given = table(spark, "bronze.orders", "order_id campaign_id", ("1", None), ("2", " "), ("3", "unknown"))
    expect(silver(given, "orders"), "order_id campaign_id", ("1", None), ("2", None), ("3", "UNKNOWN"))


def test_an_allowed_status_is_one_whatever_its_case(spark: SparkSession) -> None:
    allowed = contract("silver.orders").column("status").allowed_values
    given = table(spark, "bronze.orders", "status", *((f" {status.title()}\n",) for status in allowed))
    expect(silver(given, "orders"), "status", *((status,) for status in allowed))


def test_the_several_words_for_a_status_become_one(spark: SparkSession) -> None:
    given = table(
        spark,
        "bronze.orders",
        "order_id status",
        ("1", "Canceled"),
        ("2", "complete"),
        ("3", " COMPLETED "),
        ("4", "refunded"),
        ("5", "completely lost"),
        ("6", None),
    )
    expect(
        silver(given, "orders"),
        "order_id status",
        ("1", "cancelled"),
        ("2", "delivered"),
        ("3", "delivered"),
        ("4", "returned"),
        ("5", "completely lost"),
        ("6", None),
    )


ORDERED_AT = ("2011-12-01 02:30", "2011-12-01 03:30", "2018-11-04 02:59:59.999999", "2018-11-04 03:00", None)


@pytest.mark.parametrize(
    ("name", "dates"),
    [
        ("UTC", ("2011-12-01", "2011-12-01", "2018-11-04", "2018-11-04", None)),
        # Midnight of the 4th of November 2018 did not exist in São Paulo: the day began at one o'clock, 03:00 UTC.
        ("America/Sao_Paulo", ("2011-12-01", "2011-12-01", "2018-11-03", "2018-11-04", None)),
        ("America/New_York", ("2011-11-30", "2011-11-30", "2018-11-03", "2018-11-03", None)),
        ("Asia/Tokyo", ("2011-12-01", "2011-12-01", "2018-11-04", "2018-11-04", None)),
        ("Pacific/Apia", ("2011-11-30", "2011-11-30", "2018-11-04", "2018-11-04", None)),
    ],
)
def test_the_order_date_is_the_shops_date(spark: SparkSession, name: str, dates: tuple[str | None, ...]) -> None:
    with zone(spark, name):
        given = table(spark, "bronze.orders", "ordered_at", *((at,) for at in ORDERED_AT))
        expect(silver(given, "orders"), "ordered_at order_date", *zip(ORDERED_AT, dates, strict=True))


def test_technical_columns_are_handed_on(spark: SparkSession) -> None:
    given = table(spark, "bronze.orders", "order_id _run_id", ("1", "r1"))
    expect(silver(given, "orders"), "order_id _run_id", ("1", "r1"))

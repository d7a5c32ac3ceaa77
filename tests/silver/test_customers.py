"""Silver's customers: who buys, with names, e-mail and phone in one form."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession

from tests.tables import expect, silver, table

pytestmark = pytest.mark.unit


def test_a_customer_is_cleaned(spark: SparkSession) -> None:
    header = "customer_id first_name last_name email phone city state country created_at updated_at"
    given = table(
        spark,
        "bronze.customers",
        header,
        (" 17850.0", " Ann\tMarie ", "LEE ", " Ann@Shop.COM", "(+44) 20 7946", " New  York", "", "UK ",
         "2011-01-01 08:00", "2011-01-02 09:30:00.000001"),
    )  # fmt: skip
    expect(
        silver(given, "customers"),
        f"{header} full_name",
        ("17850", "Ann Marie", "LEE", "ann@shop.com", "+44207946", "New York", None, "UK",
         "2011-01-01 08:00", "2011-01-02 09:30:00.000001", "Ann Marie LEE"),
    )  # fmt: skip


def test_the_full_name_is_what_there_is_of_it(spark: SparkSession) -> None:
    given = table(
        spark,
        "bronze.customers",
        "first_name last_name",
        ("Ann", "Lee"),
        ("Ann", " "),
        (None, "Lee"),
        ("", None),
    )
    expect(silver(given, "customers"), "full_name", ("Ann Lee",), ("Ann",), ("Lee",), (None,))


def test_what_is_no_email_becomes_null_and_is_warned_of(spark: SparkSession) -> None:
    given = table(spark, "bronze.customers", "email", ("ann@shop.com",), ("ann at shop",), ("  ",), (None,))
    expect(
        silver(given, "customers"),
        "email _warn_email_invalid",
        ("ann@shop.com", False),
        (None, True),
        (None, False),
        (None, False),
    )


def test_a_customer_without_a_key_is_handed_on_for_the_rules_to_judge(spark: SparkSession) -> None:
    given = table(spark, "bronze.customers", "customer_id city", (" ", "Rome"), (None, "Oslo"), ("unknown", "Bern"))
    expect(silver(given, "customers"), "customer_id city", (None, "Rome"), (None, "Oslo"), ("UNKNOWN", "Bern"))


def test_technical_columns_are_handed_on(spark: SparkSession) -> None:
    given = table(spark, "bronze.customers", "customer_id _run_id", ("1", "r1"))
    expect(silver(given, "customers"), "customer_id _run_id", ("1", "r1"))

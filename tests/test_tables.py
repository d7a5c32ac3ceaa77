"""The tests' own tools: what they fill in, and that they do fail."""

from __future__ import annotations

import pytest
from chispa import DataFramesNotEqualError
from pyspark.sql import SparkSession

from tests.tables import expect, lines, table

pytestmark = pytest.mark.unit


def test_the_contract_fills_what_a_row_does_not_say(spark: SparkSession) -> None:
    expect(
        table(spark, "silver.orders", "status", ("paid",), (None,)),
        "order_id customer_id campaign_id status ordered_at order_date created_at",
        ("1", "-", None, "paid", "2000-01-01", "2000-01-01", None),
        ("2", "-", None, None, "2000-01-01", "2000-01-01", None),
    )


def test_the_amounts_of_a_line_follow_from_what_it_says(spark: SparkSession) -> None:
    expect(
        lines(spark, "quantity unit_price discount", (2, "1.5", "0.1"), (-2, "1.5", "0.1")),
        "gross_amount net_amount",
        ("3.0", "2.9"),
        ("-3.0", "-2.9"),
    )


def test_a_column_that_the_contract_does_not_have_is_refused(spark: SparkSession) -> None:
    with pytest.raises(AssertionError, match=r"not of silver\.orders: \{'colour'\}"):
        table(spark, "silver.orders", "order_id colour", ("1", "red"))


@pytest.mark.parametrize(
    "rows",
    [
        (),
        (("1", "1.0000"),),
        (("1", "1.0000"), ("2", "2.0000"), ("2", "2.0000")),
        (("1", "1.0000"), ("2", "2.0001")),
        (("1", "1.0000"), ("2", None)),
        (("1", "2.0000"), ("2", "1.0000")),
    ],
    ids=["none", "one less", "one twice", "another value", "a null", "swapped"],
)
def test_rows_that_are_not_those_expected_fail(spark: SparkSession, rows: tuple[tuple[object, ...], ...]) -> None:
    given = table(spark, "silver.products", "product_id price", ("1", "1"), ("2", "2"))
    with pytest.raises(DataFramesNotEqualError):
        expect(given, "product_id price", *rows)


def test_the_order_of_rows_does_not_matter(spark: SparkSession) -> None:
    given = table(spark, "silver.products", "product_id price", ("1", "1"), ("2", "2"))
    expect(given, "product_id price", ("2", "2"), ("1", "1"))

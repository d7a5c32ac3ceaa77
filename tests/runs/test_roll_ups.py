"""The net sales of all orders neither pending nor cancelled, as three tables sum them up, with their other totals."""

from __future__ import annotations

from decimal import Decimal

import pytest
from pyspark.sql import DataFrame, SparkSession

from lakehouse.gate.measures import Measures
from lakehouse.units.totals import ROLL_UP, Totals, totals_of
from tests.tables import contract, counted, table

pytestmark = pytest.mark.unit


def totals(name: str, frame: DataFrame) -> Totals:
    """What is counted of a table that is written, and whose suite asks for nothing."""
    promised = contract(f"gold.{name}")
    return counted(frame, Measures(promised, (), (), (), {}, {}), totals_of(promised, frame))


def test_the_net_sales_of_orders_are_those_of_sales_beside_the_sum_of_all(spark: SparkSession) -> None:
    orders = table(spark, "gold.fact_customer_orders", "order_id is_sale net_amount",
                   ("A1", True, "1.50"), ("A2", False, "7.00"), ("A3", True, None), ("A4", True, "-0.25"))  # fmt: skip
    found = totals("fact_customer_orders", orders)
    assert (found["rows"], found["net_amount"], found[ROLL_UP]) == (4, Decimal("8.25"), Decimal("1.25"))


@pytest.mark.parametrize("name", ["fact_daily_sales", "fact_customer_orders", "dim_customers"])
def test_net_sales_of_no_rows_are_nothing(spark: SparkSession, name: str) -> None:
    assert totals(name, table(spark, f"gold.{name}", ""))[ROLL_UP] == 0


def test_a_table_that_rolls_nothing_up_has_no_such_total(spark: SparkSession) -> None:
    assert ROLL_UP not in totals("dim_products", table(spark, "gold.dim_products", ""))

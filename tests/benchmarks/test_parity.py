"""Whether two golds are the same, to the last cell."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.parity import Content, differences, gold_content
from benchmarks.shop.load import connected
from lakehouse.contracts import load_contracts

pytestmark = pytest.mark.integration

GOLD = load_contracts()["gold"]
SAME = {table: Content(1, "7") for table in GOLD}


def made(postgres: Any, name: str, *, narrow: bool = False) -> str:
    """A gold database with an empty table for every contract, and one product; `narrow` with types as a peer has them."""
    dsn: str = postgres.create_database(f"parity_{name}")
    with connected(dsn) as connection, connection.cursor() as cursor:
        cursor.execute("create schema gold")
        for table, contract in GOLD.items():
            kinds = {c.name: "integer" if narrow and c.type == "bigint" else c.type for c in contract.columns}
            columns = ", ".join(f"{column} {kind}" for column, kind in kinds.items())
            cursor.execute(f"create table gold.{table} ({columns}, _run_id text default '{name}')")
    run(
        dsn,
        "insert into gold.dim_products (product_id, product_name, price) values ('P1', 'Tea', 1.5), ('P2', null, 2)",
    )
    return dsn


def run(dsn: str, statement: str) -> None:
    with connected(dsn) as connection, connection.cursor() as cursor:
        cursor.execute(statement)


def test_the_order_of_rows_their_types_and_technical_columns_do_not_matter(postgres: Any) -> None:
    ours, theirs = made(postgres, "ours"), made(postgres, "theirs", narrow=True)
    for dsn, first, last in ((ours, "A", "B"), (theirs, "B", "A")):
        for customer in (first, last):
            run(dsn, f"insert into gold.dim_customers (customer_id, lifetime_orders) values ('{customer}', 3)")
    found = gold_content(ours)
    assert found.keys() == GOLD.keys()
    assert found["dim_customers"].rows == 2
    assert differences(found, gold_content(theirs)) == []


@pytest.mark.parametrize(
    "statement",
    [
        "update gold.dim_products set price = 1.5001 where product_id = 'P1'",
        "update gold.dim_products set product_name = '' where product_id = 'P2'",
        "insert into gold.dim_products (product_id) values ('P3')",
        "delete from gold.dim_products where product_id = 'P2'",
        "drop table gold.dim_products",
        "alter table gold.dim_products drop column brand",
    ],
)
def test_one_cell_is_enough_to_differ(postgres: Any, statement: str) -> None:
    ours, theirs = made(postgres, "ours"), made(postgres, "theirs")
    run(theirs, statement)
    assert differences(gold_content(ours), gold_content(theirs)) == ["dim_products"]


def test_two_that_lack_a_table_are_not_the_same() -> None:
    lacking = {table: content for table, content in SAME.items() if table != "dim_products"}
    assert differences(SAME, SAME) == []
    assert differences(lacking, lacking) == ["dim_products"]

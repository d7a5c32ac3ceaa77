"""The history of a shop, written into an empty database: rows first, keys and indexes after them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from multiprocessing import get_context

import psycopg2
import pyarrow.csv
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from benchmarks.shop import masters, sales
from benchmarks.shop.columns import Table
from benchmarks.shop.size import Shop
from lakehouse.contracts import load_contracts
from samples.images import TABLES

STREAMS: dict[str, Callable[[Shop], Iterator[Table]]] = {
    "customers": masters.customers,
    "products": masters.products,
    "campaigns": masters.campaigns,
    "orders": sales.orders,
    "order_items": sales.order_items,
    "inventory": masters.inventory,
}
# Two processes: the lines are more rows than all the rest.
SHARES = (("order_items",), ("orders", "customers", "products", "inventory", "campaigns"))
OF_A_LOAD = "-c timezone=UTC -c maintenance_work_mem=1GB -c synchronous_commit=off"


def load(dsn: str, orders: int) -> dict[str, int]:
    """Fills a database with a shop of this many orders, its tables of before dropped; returns the rows of each table."""
    with closing(connected(dsn)) as connection, connection.cursor() as cursor:
        for table, ddl in _definitions().items():
            cursor.execute(f"drop table if exists {table} cascade; create table {table} ({ddl})")
    with ProcessPoolExecutor(len(SHARES), mp_context=get_context("spawn")) as pool:
        counts = list(pool.map(_fill, [dsn] * len(SHARES), [orders] * len(SHARES), SHARES))
    with closing(connected(dsn)) as connection, connection.cursor() as cursor:
        cursor.execute("create schema if not exists shop_state; drop table if exists shop_state.state")
        cursor.execute("create table shop_state.state (orders int, loaded int, day int)")
        cursor.execute("insert into shop_state.state values (%s, %s, 0)", (orders, orders))
        cursor.execute("checkpoint")
    return {table: rows for share in counts for table, rows in share.items()}


def connected(dsn: str, options: str = "-c timezone=UTC") -> Connection:
    """A connection of which each statement is a transaction."""
    connection: Connection = psycopg2.connect(dsn, options=options)
    connection.autocommit = True
    return connection


def copy(cursor: Cursor, table: str, rows: Table) -> None:
    """Appends rows. In CSV nothing between two commas is null, and an empty text has its quotes."""
    text = io.BytesIO()
    pyarrow.csv.write_csv(rows, text, pyarrow.csv.WriteOptions(include_header=False, batch_size=65536))
    text.seek(0)
    cursor.copy_expert(f"copy {table} ({', '.join(rows.column_names)}) from stdin (format csv)", text, 1 << 20)


def _definitions() -> dict[str, str]:
    """The columns of each table, in SQL: types as the contracts of bronze have them, and only the stamps never null."""
    contracts = load_contracts()["bronze"]
    types = {table: {column.name: column.type for column in contracts[table].columns} for table in STREAMS}
    stamps = ("created_at", "updated_at")
    return {
        table: ", ".join(f"{c} {types[table][c]}{' not null' * (c in stamps)}" for c in TABLES[table].columns)
        for table in STREAMS
    }


def _fill(dsn: str, orders: int, tables: tuple[str, ...]) -> dict[str, int]:
    shop, counts = Shop(orders), dict.fromkeys(tables, 0)
    with closing(connected(dsn, OF_A_LOAD)) as connection, connection.cursor() as cursor:
        for table in tables:
            for rows in STREAMS[table](shop):
                copy(cursor, table, rows)
                counts[table] += len(rows)
            cursor.execute(f"alter table {table} add primary key ({', '.join(TABLES[table].key)})")
            cursor.execute(f"create index on {table} (updated_at)")
            cursor.execute(f"vacuum (analyze) {table}")
    return counts

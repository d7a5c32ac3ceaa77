"""The publish: six tables into Postgres by COPY, two at a time, then their keys and indexes, then the change of all six."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import psycopg2
from psycopg2.extensions import cursor as Cursor

from benchmarks.peers.duckdb.session import Session, literal, require
from benchmarks.peers.duckdb.warehouse import KEYS, REFERENCES, STAGING, create_staging, swap

# The largest table on one connection, the other five on another.
LANES = (
    ("fact_customer_orders",),
    ("fact_daily_sales", "dim_customers", "dim_products", "agg_campaign_performance", "agg_inventory_status"),
)
OF_KEYS = "-c maintenance_work_mem=512MB -c max_parallel_maintenance_workers=1"


def publish(session: Session, gold_dsn: str, rows: Mapping[str, int]) -> None:
    """Replaces gold by what the session computed; ends the run before that where a table has not the rows it is to have."""
    with _statements(gold_dsn) as cursor:
        create_staging(cursor)
    session.execute(f"attach {literal(gold_dsn)} as warehouse (type postgres)")

    def load(tables: Iterable[str]) -> None:
        _load(session, gold_dsn, tables, rows)

    def refer(statements: Iterable[str]) -> None:
        with _statements(gold_dsn, OF_KEYS) as cursor:
            for statement in statements:
                cursor.execute(statement)

    with ThreadPoolExecutor(len(LANES)) as pool:
        list(pool.map(load, LANES))
        session.finished("P4 copy and primary keys")
        list(pool.map(refer, REFERENCES.values()))
        session.finished("P4 foreign keys and indexes")
    with closing(psycopg2.connect(gold_dsn)) as connection, connection, connection.cursor() as cursor:
        swap(cursor)
    session.finished("P4 analyze and swap")


def _load(session: Session, gold_dsn: str, tables: Iterable[str], rows: Mapping[str, int]) -> None:
    """Sends tables, gives them their primary keys, and counts what has landed."""
    connection = session.connection.cursor()
    connection.execute("set timezone = 'UTC'")
    for table in tables:
        connection.execute(
            f"insert into warehouse.{STAGING}.{table} select *, now(), '{session.run_id}' from gold_{table}"
        )
        found = connection.fetchone()
        sent = found[0] if found else 0
        require(sent == rows[table], f"gold {table}: {sent} rows sent, {rows[table]} expected")
    with _statements(gold_dsn, OF_KEYS) as cursor:
        for table in tables:
            cursor.execute(f"alter table {STAGING}.{table} add primary key ({KEYS[table]})")
            cursor.execute(f"select count(*) from {STAGING}.{table}")
            (landed,) = cursor.fetchone() or (0,)
            require(landed == rows[table], f"gold {table}: {landed} rows landed, {rows[table]} expected")


@contextmanager
def _statements(dsn: str, options: str = "") -> Iterator[Cursor]:
    """A cursor of which each statement is a transaction."""
    with closing(psycopg2.connect(dsn, options=options)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            yield cursor

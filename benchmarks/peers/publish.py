"""The publish of every peer: six tables into Postgres, two at a time, keys and indexes after them, all six changed at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import psycopg2
from psycopg2.extensions import cursor as Cursor

from benchmarks.peers.phases import Phases, require
from benchmarks.peers.warehouse import KEYS, REFERENCES, STAGING, create_staging, swap

# The largest table on one connection, the other five on another.
LANES = (
    ("fact_customer_orders",),
    ("fact_daily_sales", "dim_customers", "dim_products", "agg_campaign_performance", "agg_inventory_status"),
)
OF_KEYS = "-c maintenance_work_mem=512MB -c max_parallel_maintenance_workers=1"


def publish(gold_dsn: str, rows: Mapping[str, int], load: Callable[[str], int], phases: Phases) -> None:
    """Replaces gold. `load` sends one table into the staging schema, from either of two threads, and says how many rows.

    Ends the run, gold as it was, where a table has not the rows it is to have.
    """
    with statements(gold_dsn) as cursor:
        create_staging(cursor)

    def bring(tables: Iterable[str]) -> None:
        for table in tables:
            sent = load(table)
            require(sent == rows[table], f"gold {table}: {sent} rows sent, {rows[table]} expected")
        with statements(gold_dsn, OF_KEYS) as cursor:
            for table in tables:
                cursor.execute(f"alter table {STAGING}.{table} add primary key ({KEYS[table]})")
                cursor.execute(f"select count(*) from {STAGING}.{table}")
                (landed,) = cursor.fetchone() or (0,)
                require(landed == rows[table], f"gold {table}: {landed} rows landed, {rows[table]} expected")

    def refer(ddl: Iterable[str]) -> None:
        with statements(gold_dsn, OF_KEYS) as cursor:
            for statement in ddl:
                cursor.execute(statement)

    with ThreadPoolExecutor(len(LANES)) as pool:
        list(pool.map(bring, LANES))
        phases.finished("P4 copy and primary keys")
        list(pool.map(refer, REFERENCES.values()))
        phases.finished("P4 foreign keys and indexes")
    with closing(psycopg2.connect(gold_dsn)) as connection, connection, connection.cursor() as cursor:
        swap(cursor)
    phases.finished("P4 analyze and swap")


@contextmanager
def statements(dsn: str, options: str = "") -> Iterator[Cursor]:
    """A cursor of which each statement is a transaction."""
    with closing(psycopg2.connect(dsn, options=options)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            yield cursor

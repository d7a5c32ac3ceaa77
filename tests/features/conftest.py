"""A gold of a few rows with a real ledger beside it, and features made of it. No Spark."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from psycopg2.extensions import parse_dsn

from lakehouse.business_date import BusinessDate
from lakehouse.contracts import load_contracts
from lakehouse.database import Database
from lakehouse.errors import StoreError
from lakehouse.features import days as work
from lakehouse.features.tables import Table, ensure, feature_tables
from lakehouse.ledger import Ledger
from lakehouse.warehouse.gold import Gold

ZONE = ZoneInfo("UTC")
# Order, customer, instant, amount, whether it counts. C1 orders three times, the last far away; C2 once; C3 never counts.
ORDERS = (
    ("O1", "C1", "2026-01-05 09:00+00", "100", True),
    ("O2", "C1", "2026-01-25 23:59:59.999999+00", "50", True),
    ("O3", "C2", "2026-01-26 00:00:00+00", "30", True),
    ("O4", "C3", "2026-01-26 10:00+00", "999", False),
    ("O5", "UNKNOWN", "2026-01-26 11:00+00", "7", False),
    ("O6", "C1", "2026-06-01 09:00+00", "10", True),
)
# Day, product, orders, units, gross sales; P2 is only ever returned.
SALES = (
    ("2026-01-05", "P1", 1, 10, "100"),
    ("2026-01-25", "P1", 1, 4, "50"),
    ("2026-01-26", "P1", 2, 3, "37"),
    ("2026-01-26", "P2", 0, 0, "0"),
    ("2026-06-01", "P1", 1, 1, "10"),
)


def order(order_id: str, customer: str, at: str, amount: str | None, counts: bool) -> str:
    """An order of gold, as SQL."""
    return (
        "insert into gold.fact_customer_orders (order_id, customer_id, ordered_at, order_date, status, is_sale, line_count, units, "
        f"gross_amount, customer_order_number, _published_at, _run_id) select '{order_id}', '{customer}', i, "
        f"(i at time zone 'UTC')::date, 'paid', {counts}, 1, 1, {amount or 'null'}, {'1' if counts else 'null'}, now(), 'gold-1' "
        f"from (select timestamptz '{at}' i) at"
    )


def sale(day: str, product: str, orders: int, units: int, gross: str | None) -> str:
    """A day of a product in gold, as SQL."""
    return (
        "insert into gold.fact_daily_sales (sales_date, product_id, order_count, customer_count, units_sold, units_returned, "
        f"gross_sales, _published_at, _run_id) values ('{day}', '{product}', {orders}, 0, {units}, 0, {gross or 'null'}, now(), "
        "'gold-1')"
    )


class Features:
    """A gold database, and short ways to change it, to make features of days, and to look at them."""

    def __init__(self, dsn: str) -> None:
        self.dsn, self.database = dsn, Database(dsn, "gold", StoreError)
        Ledger(self.database).prepare("UTC")
        Gold(self.database, load_contracts()["gold"]).prepare()

    def ask(self, *statements: str) -> list[tuple[Any, ...]]:
        """Rows of the last statement."""
        with self.database.connection() as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def publish(self, run: str, day: str, *statements: str) -> None:
        """A run of gold for a day that made these changes."""
        self.ask(
            "insert into ops.runs (run_id, layer, business_date, state, finished_at) "
            f"values ('{run}', 'gold', '{day}', 'published', now())",
            *statements,
        )

    def begin(self) -> None:
        """Gold as of 2026-06-01, of which no features were made yet."""
        self.ask(
            "drop schema if exists features cascade",
            f"truncate {', '.join(f'gold.{table}' for table in load_contracts()['gold'])}",
            "delete from ops.runs",
        )
        self.publish(
            "gold-1",
            "2026-06-01",
            "insert into gold.dim_customers (customer_id, lifetime_orders, _published_at, _run_id) "
            "select c, 0, now(), 'gold-1' from unnest(array['C1', 'C2', 'C3', 'UNKNOWN']) c",
            "insert into gold.dim_products (product_id, category, _published_at, _run_id) "
            "select p, 'Tea', now(), 'gold-1' from unnest(array['P1', 'P2']) p",
            *(order(*o) for o in ORDERS),
            *(sale(*s) for s in SALES),
        )
        ensure(self.database, parse_dsn(self.dsn)["user"], feature_tables())

    @property
    def tables(self) -> list[Table]:
        return feature_tables()

    def make(self, first: str, last: str | None = None) -> list[dict[str, int]]:
        ends = [BusinessDate(date.fromisoformat(d), ZONE) for d in (first, last or first)]
        steps = work.between(self.database, *ends)
        return [work.carry_out(self.database, self.tables, ZONE, step) for step in steps]

    def make_due(self) -> list[tuple[str, str]]:
        steps = work.due(self.database, ZONE)
        for step in steps:
            work.carry_out(self.database, self.tables, ZONE, step)
        return [(str(step.day), step.would) for step in steps]

    def rows(self, table: str, *, but: str = "") -> list[tuple[Any, ...]]:
        """The rows of a feature table, as texts."""
        where = f"where feature_date <> '{but}'" if but else ""
        return self.ask(f"select t::text from features.features_{table}_daily t {where} order by 1")

    def hashes(self) -> list[tuple[Any, ...]]:
        """A hash of each table's rows."""
        return [
            self.ask(f"select md5(coalesce(string_agg(t::text, e'\\n' order by t::text), '')) from {table.name} t")[0]
            for table in self.tables
        ]

    def day(self, table: str, day: str, *columns: str) -> list[tuple[Any, ...]]:
        return self.ask(
            f"select {', '.join(columns)} from features.features_{table}_daily where feature_date = '{day}' order by 1"
        )


@pytest.fixture(scope="session")
def shop(postgres: Any) -> Iterator[Features]:
    """The one database of these tests."""
    shop = Features(postgres.create_database("features_shop"))
    yield shop
    shop.database.close()


@pytest.fixture
def features(shop: Features) -> Features:
    """Gold as of 2026-06-01, of which no features were made yet."""
    shop.begin()
    return shop

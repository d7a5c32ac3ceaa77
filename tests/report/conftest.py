"""A gold of a few rows with a real ledger beside it, filled by SQL. No Spark."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest

from lakehouse.contracts import load_contracts
from lakehouse.database import Database
from lakehouse.errors import StoreError
from lakehouse.ledger import Ledger
from lakehouse.report import report
from lakehouse.warehouse.gold import Gold
from tests.conftest import copy_database

RUN = "('{run}', 'gold', date '{day}', 'published', timestamptz '{day} 05:00+00' + interval '1 day', {rebuilds})"
# A year of a shop: two customers, a guest, a return, an order that does not count, and names of which a page must be wary.
ROWS = """
insert into gold.dim_products (product_id, product_name, category, brand, is_active, _published_at, _run_id) values
  ('P1', 'Mug', 'Kitchen', 'Ada', true, now(), 'gold-1'), ('P2', 'Tea <script>x</script>', 'Food & Drink', null, true, now(), 'gold-1');
insert into gold.dim_customers (customer_id, full_name, email, city, first_order_date, lifetime_orders, lifetime_net_sales,
                                is_repeat_customer, _published_at, _run_id) values
  ('C1', 'Ada Secretname', 'ada@secret.example', 'Paris', '2026-02-10', 2, 140.0000, true, now(), 'gold-1'),
  ('C2', 'Bob Secretname', 'bob@secret.example', 'Rome', '2026-03-10', 1, 20.5000, false, now(), 'gold-1'),
  ('C3', 'Eve Secretname', 'eve@secret.example', 'Rome', null, 0, 0, false, now(), 'gold-1'),
  ('UNKNOWN', null, null, null, '2026-03-10', 1, 7.2500, null, now(), 'gold-1');
insert into gold.fact_customer_orders (order_id, customer_id, ordered_at, order_date, status, is_sale, line_count, units,
    gross_amount, returns_amount, discount_amount, net_amount, customer_order_number, is_first_order, _published_at, _run_id) values
  ('O1', 'C1', '2026-02-10 09:00+00', '2026-02-10', 'paid', true, 1, 10, 100, 0, 0, 100, 1, true, now(), 'gold-1'),
  ('O2', 'C1', '2026-03-09 09:00+00', '2026-03-09', 'paid', true, 2, 4, 50, 10, 0, 40, 2, false, now(), 'gold-1'),
  ('O3', 'C2', '2026-03-10 09:00+00', '2026-03-10', 'paid', true, 1, 1, 21, 0, 0.5, 20.5, 1, true, now(), 'gold-1'),
  ('O4', 'UNKNOWN', '2026-03-10 10:00+00', '2026-03-10', 'paid', true, 1, 1, 7.25, 0, 0, 7.25, null, null, now(), 'gold-1'),
  ('O5', 'C2', '2026-03-10 11:00+00', '2026-03-10', 'cancelled', false, 1, 9, 999, 0, 0, 999, null, null, now(), 'gold-1');
insert into gold.fact_daily_sales (sales_date, product_id, order_count, customer_count, units_sold, units_returned, gross_sales,
    returns_amount, discount_amount, net_sales, cost_of_goods, gross_profit, _published_at, _run_id) values
  ('2026-02-10', 'P1', 1, 1, 10, 0, 100, 0, 0, 100, 60, 40, now(), 'gold-1'),
  ('2026-03-09', 'P1', 1, 1, 5, 1, 50, 10, 0, 40, 25, 15, now(), 'gold-1'),
  ('2026-03-10', 'P2', 2, 1, 2, 0, 28.25, 0, 0.5, 27.75, null, null, now(), 'gold-1');
insert into gold.agg_campaign_performance (campaign_id, campaign_name, channel, start_date, end_date, budget, orders, customers,
    new_customers, units_sold, net_sales, return_on_ad_spend, _published_at, _run_id) values
  ('K1', 'Spring', 'tv', '2026-02-01', '2026-03-31', 70, 1, 1, 1, 10, 100, 1.4286, now(), 'gold-1');
insert into gold.agg_inventory_status (as_of_date, product_id, warehouse_id, quantity_on_hand, quantity_reserved, available,
    reorder_point, units_sold_30d, average_daily_units, days_of_supply, stock_status, stock_value, _published_at, _run_id) values
  ('2026-03-10', 'P1', 'W1', 3, 0, 3, 5, 6, 0.2, 15, 'low', 18, now(), 'gold-1'),
  ('2026-03-10', 'P2', 'W1', 30, 0, 30, 5, 6, 0.2, 150, 'healthy', 60, now(), 'gold-1');
"""


class Shop:
    """A gold database, and short ways to publish, change and report it."""

    def __init__(self, dsn: str) -> None:
        self.dsn, self.database = dsn, Database(dsn, "gold", StoreError)
        self.gold = Gold(self.database, load_contracts()["gold"])

    def ask(self, *statements: str) -> list[tuple[Any, ...]]:
        """Rows of the last statement."""
        with closing(psycopg2.connect(self.dsn)) as connection, connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def prepare(self) -> None:
        """The ledger and gold's tables, empty."""
        Ledger(self.database).prepare("UTC")
        self.gold.prepare()

    def publish(self, run: str, day: str, *statements: str, rebuilds: bool = False) -> None:
        """A run of gold for a day that made these changes, and its views."""
        made = RUN.format(run=run, day=day, rebuilds=str(rebuilds).lower())
        self.ask(
            f"insert into ops.runs (run_id, layer, business_date, state, finished_at, rebuilds) values {made}",
            *statements,
            f"insert into ops.published values ('gold', 'fact_daily_sales', 1, '{run}', '{day}', '{{}}', now()) "
            "on conflict (layer, table_name) do update set run_id = excluded.run_id, business_date = excluded.business_date",
        )
        self.gold.refresh_marts(run)

    def report(self, previous: str | None = None) -> str:
        return report(self.database, previous)


@pytest.fixture(scope="session")
def first_day(postgres: Any) -> Shop:
    """The shop after its first day, which tests only read, or copy."""
    shop = Shop(postgres.create_database("report_first_day"))
    shop.prepare()
    shop.publish("gold-1", "2026-03-10", ROWS)
    shop.database.close()
    return shop


@pytest.fixture(scope="session")
def first_report(first_day: Shop) -> str:
    """Its report."""
    html = first_day.report()
    first_day.database.close()
    return html


@pytest.fixture
def shop(postgres: Any, first_day: Shop) -> Iterator[Shop]:
    """A copy of the shop after its first day."""
    copy = Shop(copy_database(postgres.server, "report_copy", "report_first_day"))
    yield copy
    copy.database.close()


@pytest.fixture
def empty(postgres: Any) -> Iterator[Shop]:
    """A database in which there is nothing."""
    shop = Shop(postgres.create_database("report_empty"))
    yield shop
    shop.database.close()

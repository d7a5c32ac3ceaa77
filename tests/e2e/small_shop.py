"""A shop of a few rows a day, lived through day by day: for tests of what is done to a lakehouse between its days."""

from __future__ import annotations

import subprocess
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import parse_dsn
from pyspark.sql import functions as F

from lakehouse.frame.published import published_frame
from lakehouse.records import Outcome
from lakehouse.server.embedded import binaries
from tests.content_hash import content_hash
from tests.e2e.lakehouse import RealPipeline

SCHEMA = (Path(__file__).parent.parent.parent / "samples" / "schema.sql").read_text()
FIRST = date(2020, 1, 1)
# Of every day: an order with two lines, one of which names a product that comes a day later; a price that overwrites the
# one of the day before, so that only bronze still has it; a line that no rule lets through.
EVERY_DAY = """
insert into customers (customer_id, first_name, city, created_at, updated_at)
    values ('C{n}', 'Ada', 'Ulm', '{day}', '{day}');
insert into products (product_id, product_name, category, price, cost, is_active, created_at, updated_at)
    values ('P{n}', 'Tea', 'Drinks', 4, 1, true, '{day}', '{day}');
update products set price = 4 + {n}, updated_at = '{day} 01:00' where product_id = 'P1';
insert into orders (order_id, customer_id, status, ordered_at, created_at, updated_at)
    values ('O{n}', 'C{n}', 'completed', '{day}', '{day}', '{day}');
insert into order_items (order_item_id, order_id, product_id, quantity, unit_price, unit_cost, created_at, updated_at)
    values ('I{n}', 'O{n}', 'P1', {n}, 4, 1, '{day}', '{day}'),
           ('L{n}', 'O{n}', 'P{next}', 1, 3, 1, '{day}', '{day}'),
           ('Z{n}', 'O{n}', 'P1', 0, 3, 1, '{day}', '{day}');
"""
Hashes = dict[str, tuple[int, int]]


def day(n: int) -> date:
    """The nth day, from 1 on."""
    return FIRST + timedelta(days=n - 1)


class SmallShop:
    """A source, a gold database and a lake."""

    def __init__(self, postgres: Any, name: str, lake: Path, schema: str = SCHEMA, **settings: Any) -> None:
        self.source, self.gold = (postgres.create_database(f"{name}_{role}") for role in ("source", "gold"))
        self.lake, self._settings = lake, settings
        self.write(self.source, schema)
        self.open()

    def open(self) -> None:
        """Another process, as it were: nothing is remembered."""
        self.pipeline = RealPipeline(self.source, self.gold, self.lake, **self._settings)
        self.lakehouse = self.pipeline.lakehouse

    def close(self) -> None:
        self.lakehouse.gold_database.close()
        self.lakehouse.source.database.close()

    def live(self, *days: int) -> list[Outcome]:
        """Brings days of the shop's life and runs each."""
        outcomes: list[Outcome] = []
        for n in days:
            self.write(self.source, EVERY_DAY.format(n=n, next=n + 1, day=day(n).isoformat()))
            outcomes += self.run(n)
        return outcomes

    def run(self, *days: int) -> list[Outcome]:
        return [outcome for n in days for outcome in self.pipeline.run_day(day(n))]

    @staticmethod
    def write(dsn: str, script: str) -> None:
        with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
            cursor.execute("set timezone = 'UTC'")
            cursor.execute(script)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        with closing(psycopg2.connect(self.gold)) as connection, connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()

    def gold_hashes(self) -> Hashes:
        """Rows of every gold table, and a hash of what they hold in any order."""
        with closing(psycopg2.connect(self.gold)) as connection, connection.cursor() as cursor:
            return {t: content_hash(cursor, f"gold.{t}", {col.name: col.type for col in c.columns})
                    for t, c in self.lakehouse.contracts["gold"].items()}  # fmt: skip

    def lake_hashes(self) -> Hashes:
        """The same of bronze, silver and quarantine as published, without technical columns."""
        found = {}
        for layer, contracts in (("bronze", "bronze"), ("silver", "silver"), ("quarantine", "bronze")):
            for table, contract in self.lakehouse.contracts[contracts].items():
                frame = published_frame(self.lakehouse, layer, table)
                digest = F.sum(F.xxhash64(*contract.names).cast("decimal(38,0)"))
                row = frame.agg(F.count(F.lit(1)), F.coalesce(digest, F.lit(0))).first()
                assert row is not None
                found[f"{layer}.{table}"] = (int(row[0]), int(row[1]))
        return found

    def hashes(self) -> Hashes:
        return {**self.gold_hashes(), **self.lake_hashes()}

    def sums(self) -> list[tuple[Any, ...]]:
        return self.ask("select layer, table_name, rows_read, rows_gone, rows_held, rows_open from ops.totals "
                        "where layer <> 'gold' order by 1, 2")  # fmt: skip


def follow_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on gold follows what changed, however few rows there are and however many of them did."""
    monkeypatch.setattr("lakehouse.units.way.FEW_ROWS", 0)
    monkeypatch.setattr("lakehouse.units.way.MOST_CHANGED", 1_000)


def dump(dsn: str) -> bytes:
    """A backup of a database, by Postgres's own client."""
    command = [binaries() / "pg_dump", "--dbname", parse_dsn(dsn)["dbname"]]
    return subprocess.run(command, env=_address(dsn), check=True, stdout=subprocess.PIPE).stdout


def bring_back(dsn: str, backup: bytes) -> None:
    """Restores a backup into an empty database."""
    command = [binaries() / "psql", "--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", parse_dsn(dsn)["dbname"]]
    subprocess.run(command, env=_address(dsn), input=backup, check=True, stdout=subprocess.DEVNULL)


def _address(dsn: str) -> dict[str, str]:
    parts = parse_dsn(dsn)
    names = {"PGHOST": "host", "PGPORT": "port", "PGUSER": "user", "PGPASSWORD": "password"}
    return {variable: parts[name] for variable, name in names.items()}

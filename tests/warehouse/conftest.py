"""A gold database with a ledger's beginnings, and contracts small enough to see through. No Spark."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from lakehouse.contracts import Contract
from lakehouse.database import Database
from lakehouse.errors import StoreError
from lakehouse.records import Changes
from lakehouse.warehouse import ddl
from lakehouse.warehouse.gold import Gold
from lakehouse.warehouse.patience import Patience
from lakehouse.warehouse.staging import Staging

# What of the ledger the gold store reads and writes.
LEDGER = """
create schema ops;
create table ops.settings (name text primary key, value text not null);
create table ops.runs (run_id text primary key, layer text, business_date date);
"""


def made(name: str, *properties: Mapping[str, object], **more: object) -> Contract:
    """A contract of gold."""
    return Contract.model_validate({
        "apiVersion": "v3.1.0", "kind": "DataContract", "id": f"gold.{name}", "version": "1.0.0", "status": "active",
        "owner": "data-engineering", "description": {"purpose": name}, "dataGranularityDescription": "One row each",
        "properties": [{"description": str(p["name"]), **p} for p in properties], **more,
    })  # fmt: skip


def key(name: str, parent: str | None = None, kind: str = "text") -> dict[str, object]:
    """A column of the key, which may be of a parent."""
    return {
        "name": name,
        "physicalType": kind,
        "primaryKey": True,
        **({"references": {"table": parent}} if parent else {}),
    }


# Three levels deep, in an order in which neither the alphabet nor "has parents" puts them; `agg_pairs` is all key.
CONTRACTS = {
    c.table: c
    for c in (
        made("agg_streets", key("street"), {"name": "city", "physicalType": "text", "references": {"table": "dim_cities"}},
             {"name": "length", "physicalType": "numeric(9,2)", "required": True},
             {"name": "opened_at", "physicalType": "timestamptz"}, {"name": "opened", "physicalType": "date"}),
        made("agg_pairs", key("street", "agg_streets"), {**key("other"), "primaryKeyPosition": 2}),
        made("dim_cities", key("city"), {"name": "land", "physicalType": "text", "references": {"table": "dim_lands"}}),
        made("dim_lands", key("land"), {"name": "area", "physicalType": "bigint"}, indexes=[["area"]]),
    )
}  # fmt: skip
ROWS: dict[str, list[tuple[object, ...]]] = {
    "dim_lands": [("L", 7), ("M", None)],
    "dim_cities": [("C", "L"), ("D", "M")],
    "agg_streets": [("s", "C", "1.50", 1_000_001, -1), ("t", None, "2.00", None, 20_000)],
    "agg_pairs": [("s", "t"), ("t", "s")],
}

AREAS = """
-- Land and area.
create materialized view marts.areas as select land, area from gold.dim_lands;
create unique index areas_key on marts.areas (land);
comment on materialized view marts.areas is 'One row per land';
"""
CITIES = """
create materialized view marts.cities as select land, count(*) as cities from gold.dim_cities group by land;
create unique index cities_key on marts.cities (land);
"""


class Store:
    """The store, its database's URL, and short ways to fill and ask it."""

    def __init__(self, dsn: str, contracts: Mapping[str, Contract]) -> None:
        self.dsn, self.database = dsn, Database(dsn, "gold", StoreError)
        self.gold, self.contracts = Gold(self.database, contracts), contracts

    def ask(self, *statements: str) -> list[tuple[Any, ...]]:
        """Rows of the last statement, by a session of its own, as the server's superuser."""
        with closing(psycopg2.connect(self.dsn)) as connection, connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def stage(self, rows: Mapping[str, list[tuple[object, ...]]], run_id: str = "r1") -> Staging:
        """Fills the staging tables of a run as Spark does, instants and dates as numbers."""
        staging = self.gold.staging(run_id)
        with self.database.connection() as connection, connection.cursor() as cursor:
            for table, contract in self.contracts.items():
                cursor.execute(ddl.staging_ddl(contract, staging.table(contract)))
                staging.rows[table] = len(rows.get(table, []))
                for row in rows.get(table, []):
                    cursor.execute(
                        f"insert into {staging.table(contract)} values ({', '.join(['%s'] * len(row))})", row
                    )
        return staging

    def publish(self, staging: Staging) -> dict[str, Changes]:
        with self.database.connection() as connection, connection.cursor() as cursor:
            return self.gold.publish(cursor, staging)

    def published(self, rows: Mapping[str, list[tuple[object, ...]]], run_id: str = "r1") -> dict[str, Changes]:
        """Stages and publishes."""
        return self.publish(self.stage(rows, run_id))

    def staged(self) -> set[str]:
        """The tables that stand in the staging schema."""
        return {t for (t,) in self.ask("select tablename::text from pg_tables where schemaname = 'gold_staging'")}


@pytest.fixture
def store_of(postgres: Any, request: pytest.FixtureRequest) -> Iterator[Callable[..., Store]]:
    stores: list[Store] = []
    name = f"gold_{abs(hash(request.node.nodeid)) % 10**9}"
    new = postgres.create_database(name)

    def store(contracts: Mapping[str, Contract] = CONTRACTS, dsn: str = new) -> Store:
        stores.append(Store(dsn, contracts))
        return stores[-1]

    store().ask(LEDGER)
    yield store
    for each in stores:
        each.database.close()


@pytest.fixture
def store(store_of: Callable[..., Store]) -> Store:
    """A prepared store of the small contracts."""
    store = store_of()
    store.gold.prepare()
    return store


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lakehouse.warehouse.patience.FOR_CHANGES", Patience(tries=2, milliseconds=50))
    monkeypatch.setattr("lakehouse.warehouse.gold.FOR_A_PUBLISH", Patience(tries=2, milliseconds=50))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of two marts in place of the project's."""
    monkeypatch.setattr("lakehouse.warehouse.marts.resource_folder", lambda _: tmp_path)
    marts = tmp_path / "postgres" / "marts"
    marts.mkdir(parents=True)
    (marts / "areas.sql").write_text(AREAS)
    (marts / "cities.sql").write_text(CITIES)
    return marts

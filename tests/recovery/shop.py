"""A small lakehouse without Spark: a real ledger and gold on an embedded Postgres, and a Delta lake written by deltalake."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pyarrow
from deltalake import DeltaTable, write_deltalake

from lakehouse import address
from lakehouse.database import Database
from lakehouse.errors import StoreError
from lakehouse.ledger import Ledger
from lakehouse.records import TableRun
from lakehouse.recovery.kept import lake as lakes
from lakehouse.recovery.postgres import Figures, Versions, figures, pointers
from lakehouse.server.databases import database_url
from lakehouse.server.embedded import EmbeddedPostgres
from lakehouse.settings import Settings
from tests.conftest import passable_folder

MIDNIGHT = datetime(2020, 1, 1, tzinfo=UTC)
SHAPES = {layer: {"orders": {"order_id": "bigint"}} for layer in ("bronze", "silver", "gold")}
LAYERS = ("bronze", "silver")


class Shop:
    """A lakehouse of one table, `orders`: each day adds rows to bronze, silver and gold, and publishes them."""

    def __init__(self, **settings: Any) -> None:
        self.settings = Settings(**settings)
        self.days = 0

    @property
    def server(self) -> EmbeddedPostgres:
        return EmbeddedPostgres(self.settings.home)

    def ledger(self) -> Ledger:
        return Ledger(Database(database_url(self.settings, "gold"), "gold", StoreError))

    def publish(self, rows: int = 3) -> datetime:
        """One more day, through all layers; returns a moment after it."""
        self.days += 1
        n, ledger = self.days, self.ledger()
        ledger.prepare("UTC")
        ids = list(range(n * 100, n * 100 + rows))
        versions = {layer: self.write(layer, "orders", ids) for layer in LAYERS}
        window = {"window_start": MIDNIGHT + timedelta(days=n - 1), "window_end": MIDNIGHT + timedelta(days=n)}
        for layer in (*LAYERS, "gold"):
            table = TableRun("orders", versions.get(layer, n), rows, rows, **(window if layer == "bronze" else {}))  # type: ignore[arg-type]
            with ledger.alone(layer) as lease, lease.transaction() as cursor:
                run = ledger.open(cursor, layer, date(2020, 1, n))
                ledger.publish(cursor, run, {layer: [table]}, SHAPES, {})
                if layer == "gold":
                    cursor.execute("create schema if not exists gold")
                    cursor.execute("create table if not exists gold.orders (order_id bigint primary key, day date)")
                    cursor.execute(
                        "insert into gold.orders select i, %s from unnest(%s::bigint[]) i", (date(2020, 1, n), ids)
                    )
            if layer in LAYERS:
                lakes.claim(lakes.layers(self.settings), ledger.identity(), {layer: run.run_id}, {layer: {"orders": versions[layer]}})  # fmt: skip
        ledger.database.close()
        with self.gold() as cursor:
            cursor.execute("select clock_timestamp()")
            return (cursor.fetchone() or (None,))[0]  # type: ignore[no-any-return]

    def write(self, layer: str, table: str, ids: list[int]) -> int:
        """Appends rows to a table of the lake; returns its version."""
        path, options = address.arrow_path(self.settings.lake_root, layer, table), self.storage()
        if options is None:
            Path(path).mkdir(parents=True, exist_ok=True)
        write_deltalake(
            path,
            pyarrow.table({"order_id": pyarrow.array(ids, pyarrow.int64())}),
            mode="append",
            storage_options=options,
        )
        return DeltaTable(path, storage_options=options).version()

    def storage(self) -> dict[str, str] | None:
        return address.storage_options(self.settings) if self.settings.lake_root.startswith("s3a:") else None

    @contextmanager
    def gold(self) -> Iterator[Any]:
        with (
            closing(psycopg2.connect(database_url(self.settings, "gold"))) as connection,
            connection.cursor() as cursor,
        ):
            yield cursor

    def look(self) -> tuple[Versions, Figures, dict[str, list[int]]]:
        """Pointers, gold, and the rows of the lake at these pointers."""
        with self.gold() as cursor:
            at, (gold, _) = pointers(cursor), figures(cursor)
        return at, gold, {layer: self.rows(layer, versions["orders"]) for layer, versions in at.items()}

    def rows(self, layer: str, version: int | None = None) -> list[int]:
        path = address.arrow_path(self.settings.lake_root, layer, "orders")
        table = DeltaTable(path, version=version, storage_options=self.storage())
        return sorted(table.to_pyarrow_table()["order_id"].to_pylist())

    def head(self, layer: str) -> int:
        return DeltaTable(
            address.arrow_path(self.settings.lake_root, layer, "orders"), storage_options=self.storage()
        ).version()

    def identity(self) -> str:
        return str(
            json.loads(b"".join(lakes.layers(self.settings)["bronze"].read("_lakehouse/identity.json")))["ledger"]
        )


@contextmanager
def own_shop() -> Iterator[Shop]:
    """A small lakehouse with a server of its own, which ends with the block."""
    with passable_folder() as folder:
        shop = Shop(home=folder / "home")
        try:
            yield shop
        finally:
            shop.server.stop()

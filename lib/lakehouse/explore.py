"""The lake for notebooks: published tables as of any business date, with Spark, with DuckDB, or as Arrow.

    from lakehouse.explore import published

    tables = published()
    tables.versions("silver.orders")                             what was published for each business date
    tables.frame("silver.orders")                                a Spark frame of the published version
    tables.arrow("silver.orders", as_of=date(2026, 1, 30))       an Arrow data set, as published for that day
    tables.duckdb().sql("select count(*) from orders")           silver's tables in DuckDB
    tables.live("order_items")                                   what came since the last night, by the live layer

None of them shows a column that a contract marks as personal. Gold is not in the lake: `lakehouse dsn gold` says where.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.contracts import load_contracts
from lakehouse.database import Database
from lakehouse.errors import LedgerError, StoreError, UsageError
from lakehouse.lake import arrow as reader
from lakehouse.ledger import Ledger
from lakehouse.ledger.published import versions
from lakehouse.live import LAYER
from lakehouse.records import Version
from lakehouse.server.databases import database_url
from lakehouse.settings import Settings, load_settings

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from pyarrow.dataset import Dataset
    from pyspark.sql import DataFrame, SparkSession


def published(settings: Settings | None = None) -> PublishedTables:
    """The published tables of a shop: that of the environment or secrets folder, else the nearest `.lakehouse` above here."""
    if settings is None:
        settings = load_settings()
        if "home" not in settings.model_fields_set:
            settings = settings.model_copy(update={"home": _nearest(settings.home)})
    return PublishedTables(settings)


class PublishedTables:
    """Tables of bronze, silver and quarantine, each named as `silver.orders`, at versions that passed their gate."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._contracts = load_contracts()
        self._database = Database(database_url(settings, "gold", create=False), "gold", StoreError)

    @cached_property
    def spark(self) -> SparkSession:
        """The session of this process, started by the first call of `frame`."""
        from lakehouse.session import spark_session

        return spark_session(self.settings, "notebook")

    def versions(self, table: str) -> list[Version]:
        """The state of a table as of each date that was published, oldest first: how far back it goes.

        A day that was run again after a later one is part of that later date. What `lakehouse maintain` no longer keeps is
        listed and cannot be read.

        Raises LedgerError where there is none yet, UsageError for a table that there is not.
        """
        found = versions(self._database, *self._known(table))
        if not found:
            raise LedgerError(f"{table} has no published version yet: run a day, or `make demo`")
        return found

    def frame(self, table: str, as_of: date | None = None) -> DataFrame:
        """A table as a Spark frame: what readers see now, or saw after the run of a business date or the last before it.

        Raises LedgerError where nothing was published by then.
        """
        from lakehouse.lake.delta import Lake

        layer, name = self._known(table)
        frame = Lake(self.spark, self.settings.lake_root).read(layer, name, self._version(table, as_of))
        return frame.select(*self._shown(table, frame.columns))

    def arrow(self, table: str, as_of: date | None = None) -> Dataset:
        """A table as an Arrow data set, which DuckDB reads by columns and filters; `as_of` and errors as in `frame`."""
        layer, name = self._known(table)
        return reader.dataset(
            self.settings, layer, name, self._version(table, as_of), lambda columns: self._shown(table, columns)
        )

    def live(self, table: str) -> Dataset:
        """What the live layer holds of a table now, as an Arrow data set: the last image of each key that changed since the
        last night, in the columns of bronze and those of docs/live.md. Not judged, and no version of it is published.

        Raises UsageError for a table that there is not, StoreError where the shop has no live layer.
        """
        _, name = self._known(f"bronze.{table}")
        return reader.dataset(
            self.settings, LAYER, name, None, lambda columns: self._contracts["bronze"][name].shown(columns)
        )

    def duckdb(self, as_of: date | None = None) -> DuckDBPyConnection:
        """A DuckDB in which silver's tables have their names, as Arrow data sets; `as_of` and errors as in `frame`.

        Its zone is the shop's, and it loads nothing from a network.
        """
        return self.duckdb_of({name: (f"silver.{name}", as_of) for name in self._contracts["silver"]})

    def duckdb_of(self, tables: Mapping[str, tuple[str, date | None]]) -> DuckDBPyConnection:
        """The same with tables under names of one's own, each as of a date: `{"now": ("silver.orders", None)}`."""
        from duckdb import connect

        shop = connect(config={"autoinstall_known_extensions": False, "autoload_known_extensions": False})
        shop.execute(f"set timezone = '{self.settings.timezone}'")
        for name, (table, as_of) in tables.items():
            shop.register(name, self.arrow(table, as_of))
        return shop

    def _version(self, table: str, as_of: date | None) -> int:
        layer, name = self._known(table)
        pointer = Ledger(self._database).published(layer).get(name) if as_of is None else None
        if pointer is not None:
            return pointer.version
        known = self.versions(table)
        if as_of is None:
            return known[-1].version
        by_then = [v for v in known if v.business_date <= as_of]
        if not by_then:
            raise LedgerError(f"{table} goes back to {known[0].business_date}, for which it was first published: there is "
                              f"none of {as_of}")  # fmt: skip
        return by_then[-1].version

    def _shown(self, table: str, columns: Sequence[str]) -> list[str]:
        layer, name = self._known(table)
        return self._contracts["bronze" if layer == "quarantine" else layer][name].shown(columns)

    def _known(self, table: str) -> tuple[str, str]:
        """Layer and name of a table of the lake."""
        layer, _, name = table.partition(".")
        lake = {
            "bronze": self._contracts["bronze"],
            "silver": self._contracts["silver"],
            "quarantine": self._contracts["silver"],
        }
        if layer == "gold":
            raise UsageError("gold is not in the lake but in Postgres: lakehouse psql")
        if name not in lake.get(layer, ()):
            tables = ", ".join(self._contracts["silver"])
            raise UsageError(f"there is no table {table}; there are bronze., silver. and quarantine. of {tables}")
        return layer, name


def _nearest(home: Path) -> Path:
    """The default home in this folder or the nearest above it that has one: a notebook runs in its own folder."""
    return next((f / home.name for f in home.parents if (f / home.name).is_dir()), home)

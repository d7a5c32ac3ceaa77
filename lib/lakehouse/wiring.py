"""Makes every part of a lakehouse from its settings, each when it is first asked for; decides nothing.

The constructor has no effect: it opens no connection, starts no server and no JVM. A part that is handed in is used
instead of the one that would be made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from importlib import import_module
from typing import Any, Literal

from pyspark.sql import SparkSession

from lakehouse import address, log, tls
from lakehouse.catalogue import NAME as CATALOGUE
from lakehouse.catalogue import Catalogue, catalogue, page_of
from lakehouse.catalogue.standing import Standing
from lakehouse.contracts import Contracts, load_contracts
from lakehouse.database import Database
from lakehouse.errors import LakehouseError, SourceError, StoreError, safe_words
from lakehouse.gate.gate import Gate
from lakehouse.home import make_home
from lakehouse.judging.suites import Suites, load_suites
from lakehouse.lake.delta import Lake
from lakehouse.ledger import Ledger
from lakehouse.lineage.receiver import Teller
from lakehouse.pages.pages import Pages
from lakehouse.pages.store import DocsBucket, place
from lakehouse.report import NAME as REPORT
from lakehouse.report import report
from lakehouse.server.databases import database_url
from lakehouse.session import MANY_ROWS, spark_session
from lakehouse.settings import Settings
from lakehouse.source.postgres import SCHEMA, Source
from lakehouse.warehouse.gold import Gold

OWN_SHOP = "This folder holds the lake, gold or Data Docs of a shop of your own: make demo leaves it alone.\n"


class Lakehouse:
    """Servers named in the settings, or embedded ones; `parts` by name take the place of what would be made."""

    def __init__(self, settings: Settings, contracts: Contracts | None = None, **parts: Any) -> None:
        self.settings = settings
        if contracts is not None:
            parts["contracts"] = contracts
        # A cached property is what its name holds in here.
        self.__dict__.update(parts)

    def dsn(self, role: Literal["source", "gold"]) -> str:
        """The libpq URL of source or gold; starts the embedded server where none is set."""
        if self.settings.source_dsn is not None:
            self._keep_from_demo()
        return database_url(self.settings, role)

    def _keep_from_demo(self) -> None:
        make_home(self.settings.home)
        (self.settings.home / "KEEP").write_text(OWN_SHOP)

    @cached_property
    def contracts(self) -> Contracts:
        return load_contracts()

    @cached_property
    def suites(self) -> Suites:
        return load_suites(self.contracts)

    @cached_property
    def gold_database(self) -> Database:
        return Database(self.dsn("gold"), "gold", StoreError)

    @cached_property
    def ledger(self) -> Ledger:
        return Ledger(self.gold_database)

    @cached_property
    def gold(self) -> Gold:
        return Gold(self.gold_database, self.contracts["gold"])

    @cached_property
    def gate(self) -> Gate:
        return Gate()

    @cached_property
    def pages(self) -> Pages:
        where = place(self.settings)
        return Pages(self.settings.home / "data-docs", DocsBucket(self.settings, where) if where else None)

    @property
    def pages_of_the_whole(self) -> Mapping[str, Callable[[], str]]:
        return {REPORT: self.report, CATALOGUE: self.catalogue_page} if self.settings.report == "on" else {}

    def report(self) -> str:
        """The report for the business, as HTML, beside the one that readers have. Raises StoreError where gold does not answer."""
        try:
            previous = self.pages.read(REPORT)
        except (StoreError, OSError, ValueError) as e:
            log.warning("report.previous_not_read", reason=safe_words(e))
            previous = None
        return report(self.gold_database, previous)

    def catalogue(self) -> Catalogue:
        """The model of all tables, as the ledger has them now."""
        return catalogue(self.contracts, self.suites, Standing(self.gold_database))

    def catalogue_page(self) -> str:
        """The catalogue as HTML."""
        return page_of(self.catalogue())

    def tell_lineage(self, run_id: str) -> None:
        """Tells the receiver of lineage that is set, if any, of a run that has ended; waits for nobody."""
        if self.settings.lineage != "off":
            self._teller.tell(run_id)

    @cached_property
    def _teller(self) -> Teller:
        def tell(run_id: str) -> None:
            # Late, and on the teller's thread: who tells nobody does without OpenLineage's classes.
            import_module("lakehouse.lineage.telling").tell(self, run_id)

        return Teller(tell)

    @cached_property
    def source(self) -> Source:
        return Source(Database(self.dsn("source"), "source", SourceError))

    @cached_property
    def spark(self) -> SparkSession:
        self.gate.warm()
        return spark_session(self.settings, has_many_rows=self._has_many_rows())

    def _has_many_rows(self) -> bool:
        """Of a first load, by the ledger's sums, or by what the source's server believes to hold. A later day follows what has
        changed, and what the second compiler makes of that takes longer than it saves (ADR 0011)."""
        try:
            if self.ledger.last("gold"):
                return False
            for layer in ("silver", "bronze"):
                if held := sum(totals.held for totals in self.ledger.totals(layer).values()):
                    return held > MANY_ROWS
            return self.source.database.rows_believed(SCHEMA, self.contracts["bronze"]) > MANY_ROWS
        except LakehouseError:  # such as a ledger of an earlier release; who needs it, or the source, meets it again
            return False

    @cached_property
    def lake(self) -> Lake:
        tls.check_store(self.settings)
        tls.trust_in_this_process(self.settings)
        lake = Lake(self.spark, self.settings.lake_root, address.storage_options(self.settings))
        lake.check()
        return lake

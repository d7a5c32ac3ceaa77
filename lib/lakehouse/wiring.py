"""The lakehouse as a run sees it: settings, contracts, suites, stores and one Spark session, opened once a process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Literal

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse import log
from lakehouse.contracts import Contract, Contracts, load_contracts
from lakehouse.database import Database
from lakehouse.errors import LedgerError, SourceError, StoreError, safe_words
from lakehouse.gate.gate import Gate
from lakehouse.judging.suites import Suites, load_suites
from lakehouse.lake.delta import Lake
from lakehouse.ledger.ledger import Ledger
from lakehouse.ledger.run_list import listed_run, listed_runs
from lakehouse.pages import data_docs
from lakehouse.pages.store import DocsBucket, place
from lakehouse.records import Finding, ListedRun, Published, Run
from lakehouse.server.databases import database_url
from lakehouse.session import spark_session
from lakehouse.settings import Settings
from lakehouse.source.postgres import Source
from lakehouse.warehouse.gold import Gold


class Lakehouse:
    """Opens what is set: servers named in the settings, or embedded ones; connects before any JVM is started."""

    def __init__(self, settings: Settings, contracts: Contracts | None = None) -> None:
        self.settings = settings
        self.contracts = contracts or load_contracts()
        self.suites: Suites = load_suites(self.contracts)
        self.gold_database = Database(self.dsn("gold"), "gold", StoreError)
        self.ledger = Ledger(self.gold_database)
        self.ledger.prepare(settings.timezone)
        self.gold = Gold(self.gold_database, self.contracts["gold"])
        self.gate = Gate()
        if settings.source_dsn is not None:
            settings.home.mkdir(parents=True, exist_ok=True)
            (settings.home / "KEEP").write_text(
                "This folder holds the lake, gold or Data Docs of a shop of your own: make demo leaves it alone.\n"
            )

    def dsn(self, role: Literal["source", "gold"]) -> str:
        """The libpq URL of source or gold; starts the embedded server where none is set."""
        return database_url(self.settings, role)

    @property
    def docs(self) -> Path:
        return self.settings.home / "data-docs"

    @cached_property
    def docs_bucket(self) -> DocsBucket | None:
        """Where the Data Docs lie beside an s3a:// lake."""
        where = place(self.settings)
        return DocsBucket(self.settings, where) if where else None

    @cached_property
    def source(self) -> Source:
        return Source(Database(self.dsn("source"), "source", SourceError))

    @cached_property
    def spark(self) -> SparkSession:
        self.gate.warm()
        return spark_session(self.settings)

    @cached_property
    def lake(self) -> Lake:
        lake = Lake(self.spark, self.settings.lake_root)
        lake.check()
        return lake

    @contextmanager
    def recorded(self, run: Run) -> Iterator[list[Finding]]:
        """Findings of a run, written to the ledger and the Data Docs however the run ends."""
        findings: list[Finding] = []
        try:
            yield findings
        except BaseException as e:
            # Before the pages, which show how the run ended.
            self.ledger.fail(run.run_id, e)
            raise
        finally:
            if findings:
                self.ledger.record_findings(
                    run, ((f.layer, f.table, f.rule, f.severity, f.success, f.unexpected, f.rows) for f in findings)
                )
                self.gate.add(findings)
                found, pages = self.gate.pages(run.run_id, run.layer)
                data_docs.publish(self.docs, ListedRun(**listed_run(self.gold_database, run.run_id)), found, pages)
            self._publish_docs()

    def _publish_docs(self) -> None:
        """Lists all runs on the front page and copies what is new to the bucket of an s3a:// lake, if it answers."""
        with listed_runs(self.gold_database, data_docs.LISTED) as (rows, total):
            runs = [ListedRun(**row) for row in rows]
            data_docs.publish_front_page(self.docs, runs, total)
            if self.docs_bucket is not None:
                try:
                    paged = self.docs_bucket.sync(self.docs)
                    self.docs_bucket.write("index.html", data_docs.front_page(runs, total, paged).encode())
                except (StoreError, OSError) as e:
                    log.warning("docs.not_synced", reason=safe_words(e))

    def put_back(self, layer: str) -> dict[str, Published]:
        """The published versions of a lake layer, each made the head again where a dead or refused run left another.

        Raises LedgerError for a table that the ledger has never heard of: it is somebody's, and not ours to empty.
        """
        published = self.ledger.published(layer)
        silver_layer = "silver" if layer == "quarantine" else layer
        for table in self.contracts[silver_layer]:
            if table in published:
                version = published[table].version
                if self.lake.head(layer, table, version) != version:
                    restored = self.lake.restore(layer, table, version)
                    self.ledger.put_back(layer, table, restored)
                    log.event("table.put_back", layer=layer, table=table, version=restored)
            elif self.lake.head(layer, table) is not None:
                if not self.ledger.runs_of(silver_layer):
                    raise LedgerError(f"the lake holds {layer}.{table}, which this ledger has never published: point "
                                      f"LAKEHOUSE_LAKE at an empty place, or LAKEHOUSE_GOLD_DSN at its own ledger")  # fmt: skip
                self.lake.clear(layer, table)
                log.event("table.put_back", layer=layer, table=table, version=None)
        return self.ledger.published(layer)

    def published_frame(self, layer: str, table: str) -> DataFrame:
        """A lake table at the version that passed its gate. Raises LedgerError where nothing is published yet."""
        return self.frame(layer, table, self.ledger.published(layer).get(table))

    def frame(self, layer: str, table: str, published: Published | None) -> DataFrame:
        """A lake table at a published version; columns that its contract gained since are null in it."""
        if published is None:
            raise LedgerError(f"{layer}.{table} has no published version yet; run the layer first")
        frame = self.lake.read(layer, table, published.version)
        contract = self.contracts[layer].get(table) if layer in self.contracts else None
        gained = [c for c in contract.columns if c.name not in frame.columns] if contract else []
        return frame.withColumns({c.name: F.lit(None).cast(c.spark_type) for c in gained}) if gained else frame

    def check_shape(self, contract: Contract, published: Published | None) -> None:
        """Raises LedgerError when a contract changed by more than new columns since the table was published."""
        if published is None:
            return
        changed = {n for n, kind in published.shape.items() if contract.shape.get(n) != kind}
        if contract.layer == "bronze":
            # An archive may stop bringing a column; what it has stays. Another type or key it cannot take.
            changed &= contract.shape.keys()
            if changed:
                raise LedgerError(f"the contract {contract.id} changed in {', '.join(sorted(changed))} since it was published; "
                                  f"an archive is not rebuilt: set it back, or begin a new lake and gold database")  # fmt: skip
        if changed:
            raise LedgerError(f"the contract {contract.id} changed in {', '.join(sorted(changed))} since it was published, "
                              f"which only a rebuild can bring: lakehouse rebuild {contract.layer}")  # fmt: skip

"""What a run stands in, as it sees it: each part is one object, which wiring makes and a test may replace by a fake."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from pyspark.sql import SparkSession

from lakehouse.contracts import Contracts
from lakehouse.gate.gate import Gate
from lakehouse.judging.suites import Suites
from lakehouse.lake.delta import Lake
from lakehouse.ledger import Ledger
from lakehouse.pages.pages import Pages
from lakehouse.settings import Settings
from lakehouse.source.postgres import Source
from lakehouse.warehouse.gold import Gold


class Lakehouse(Protocol):
    """Settings, contracts and suites, and one object per store; each is made when it is first asked for."""

    @property
    def settings(self) -> Settings:
        """What a person set."""

    @property
    def contracts(self) -> Contracts:
        """What every table promises."""

    @property
    def suites(self) -> Suites:
        """The business rules of every table."""

    @property
    def ledger(self) -> Ledger:
        """Schema `ops` of the gold database."""

    @property
    def source(self) -> Source:
        """The shop's database."""

    @property
    def lake(self) -> Lake:
        """Bronze, silver and quarantine."""

    @property
    def gold(self) -> Gold:
        """The warehouse."""

    @property
    def gate(self) -> Gate:
        """Checks suites on frames."""

    @property
    def pages(self) -> Pages:
        """The Data Docs."""

    @property
    def pages_of_the_whole(self) -> Mapping[str, Callable[[], str]]:
        """Pages about all that is published, by their names among the Data Docs; each is made when it is called."""

    def tell_lineage(self, run_id: str) -> None:
        """Tells the receiver of lineage that is set, if any, of a run that has ended; waits for nobody."""

    @property
    def spark(self) -> SparkSession:
        """The one session of the process."""

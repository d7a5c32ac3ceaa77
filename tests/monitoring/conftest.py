"""A ledger of some weeks of nights, filled as runs fill it, and what a scrape of it says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lakehouse.database import Database
from lakehouse.errors import LakehouseError, StoreError
from lakehouse.ledger import Ledger
from lakehouse.monitoring.collector import Scrape
from lakehouse.monitoring.server import exposition
from lakehouse.records import Finding, Run, TableRun

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
Scraped = Callable[[str], Samples]


class Nights:
    """A ledger, and the ways in which its runs end."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.ledger = Ledger(Database(dsn, "gold", StoreError))
        self.ledger.prepare("UTC")

    def publish(
        self, layer: str, day: date, findings: tuple[Finding, ...] = (), **rows: int | tuple[int, int] | dict[str, int]
    ) -> Run:
        """A run that published: by table the rows of an ordinary day, or rows and reasons of those in quarantine."""
        with self.ledger.alone(layer) as lease:
            with lease.transaction() as cursor:
                run = self.ledger.open(cursor, layer, day)
            self.ledger.record_findings(run, findings)
            tables = [self._table(layer, day, name, n) for name, n in rows.items()]
            with lease.transaction() as cursor:
                self.ledger.publish(cursor, run, {layer: tables}, {layer: {t.table: {} for t in tables}})
        return run

    def fail(self, layer: str, day: date, error: LakehouseError, *findings: Finding) -> Run:
        """A run that failed."""
        with self.ledger.alone(layer) as lease:
            with lease.transaction() as cursor:
                run = self.ledger.open(cursor, layer, day)
            self.ledger.record_findings(run, findings)
            self.ledger.fail(run.run_id, error)
        return run

    def execute(self, statement: str, *parameters: object) -> None:
        """A statement on the ledger's database, for what no run does."""
        with self.ledger.database.connection() as connection, connection.cursor() as cursor:
            cursor.execute(statement, parameters)

    @staticmethod
    def _table(layer: str, day: date, name: str, rows: Any) -> TableRun:
        reasons = rows if isinstance(rows, dict) else {}
        read = reasons.pop("read", 0) if reasons else rows
        waiting = sum(reasons.values())
        end = datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC)
        window = {"window_start": end - timedelta(days=1), "window_end": end} if layer == "bronze" else {}
        return TableRun(
            name, version=1, rows_read=read, rows_kept=read - waiting, rows_quarantined=waiting, bytes_written=100 * read,
            reasons=dict(reasons), **window,
        )  # fmt: skip


@pytest.fixture
def nights(postgres: Any) -> Iterator[Nights]:
    found = Nights(postgres.create_database("monitoring"))
    yield found
    found.ledger.database.close()


def parsed(text: str) -> Samples:
    """Every sample of an exposition by its name and labels."""
    return {
        (s.name, frozenset(s.labels.items())): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float | None:
    """One sample; None where there is none."""
    return samples.get((name, frozenset(labels.items())))


@pytest.fixture
def scraped(tmp_path: Path) -> Callable[[str], Samples]:
    """Scrapes the ledger at a DSN, and gives what it found."""

    def scrape(dsn: str) -> Samples:
        return parsed(exposition(Scrape(Database(dsn, "gold", StoreError), tmp_path)).decode())

    return scrape

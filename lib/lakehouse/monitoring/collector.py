"""One scrape: ledger, its Postgres and this machine, in one read-only transaction that cannot wait for long.

Whatever is down or of another release, there is an answer: `lakehouse_ledger_up 0` is one.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import psycopg2
from prometheus_client.registry import Collector
from psycopg2 import errors
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from lakehouse import log
from lakehouse.database import Database
from lakehouse.errors import LakehouseError, safe_words
from lakehouse.monitoring import anomalies, host, ledger, postgres
from lakehouse.monitoring.anomalies import Judged
from lakehouse.monitoring.questions import Family, Question, answers, family

# A scrape that takes longer has no reader any more.
TIMEOUT = "8s"
LOCK_TIMEOUT = "1s"
OF_MEASURES = {
    "lakehouse_measure": "A measure of a table on the newest day that it has",
    "lakehouse_measure_median": "The median of the measure on the same weekdays before",
    "lakehouse_measure_low": "The lowest value of the measure that is like those weekdays",
    "lakehouse_measure_high": "The highest value of the measure that is like those weekdays",
    "lakehouse_anomaly": "1 where the measure lies outside of that band, else 0",
}
OF_A_SCRAPE = {
    "lakehouse_postgres_up": "1 where the gold database lets us in",
    "lakehouse_ledger_up": "1 where the ledger can be read, or there is none yet; 0 also for one of another release",
    "lakehouse_scrape_seconds": "Seconds that the answer took",
}


class Scrape(Collector):
    """The metrics of a lakehouse, asked again by each scrape."""

    def __init__(self, database: Database, home: Path) -> None:
        self._database, self._home = database, home
        self._judged: tuple[Any, list[Judged]] = (None, [])

    def describe(self) -> Iterable[Family]:
        """Nothing: the names are known without asking a server that may be down."""
        return []

    def collect(self) -> Iterator[Family]:
        """Every metric that can be had now; never an error."""
        began = time.monotonic()
        found = list(host.facts(self._home))
        up = {"lakehouse_postgres_up": 0.0, "lakehouse_ledger_up": 0.0}
        try:
            with self._database.connection() as connection:
                connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
                up["lakehouse_postgres_up"] = 1.0
                found += _of_postgres(connection)
                found += self._of_ledger(connection)
                up["lakehouse_ledger_up"] = 1.0
        except (LakehouseError, psycopg2.Error) as e:
            log.warning("metrics.not_all", message=safe_words(e))
        yield from found
        for name, value in {**up, "lakehouse_scrape_seconds": time.monotonic() - began}.items():
            metric = family(name, OF_A_SCRAPE[name])
            metric.add_metric([], value)
            yield metric

    def _of_ledger(self, connection: Connection) -> list[Family]:
        with connection.cursor() as cursor:
            _bound(cursor)
            cursor.execute("select to_regclass('ops.runs') is null")
            if (cursor.fetchone() or (True,))[0]:
                return []
            found = list(answers(cursor, ledger.QUESTIONS))
            return found + _of_measures(self._measures(cursor))

    def _measures(self, cursor: Cursor) -> list[Judged]:
        """Judged again only when a run has ended since: in between nothing changes."""
        cursor.execute("select max(finished_at) from ops.runs")
        newest = (cursor.fetchone() or (None,))[0]
        if newest is None or newest != self._judged[0]:
            self._judged = (newest, list(anomalies.judged(anomalies.measures(cursor))))
        return self._judged[1]


def _of_postgres(connection: Connection) -> list[Family]:
    """What the server tells of itself; a view that this release or role does not have is left out."""
    found: list[Family] = []
    for question in postgres.QUESTIONS:
        with connection.cursor() as cursor:
            _bound(cursor)
            try:
                found += answers(cursor, [question])
            except (errors.UndefinedTable, errors.UndefinedColumn, errors.InsufficientPrivilege,
                    errors.ObjectNotInPrerequisiteState):  # fmt: skip
                log.warning("metrics.left_out", metric=question.name)
        # A transaction for each: one refused would take the others with it.
        connection.rollback()
    return found


def _bound(cursor: Cursor) -> None:
    cursor.execute("select set_config('statement_timeout', %s, true), set_config('lock_timeout', %s, true)",
                   (TIMEOUT, LOCK_TIMEOUT))  # fmt: skip


def _of_measures(judged: Iterable[Judged]) -> list[Family]:
    families = {name: family(name, words, ("layer", "table", "measure")) for name, words in OF_MEASURES.items()}
    for measure in judged:
        newest, band = measure
        labels = [newest.layer, newest.table, newest.measure]
        values = (newest.value, band.median, band.low, band.high, float(measure.is_anomaly))
        for name, value in zip(families, values, strict=True):
            families[name].add_metric(labels, value)
    return list(families.values())


def questions() -> Iterator[Question]:
    """Everything that databases are asked."""
    yield from (*ledger.QUESTIONS, *postgres.QUESTIONS)

"""What `as_of` means: the state after the last run whose date, in the order of runs, had not passed the day asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import date
from typing import Any

import psycopg2
import pytest

from lakehouse.database import Database
from lakehouse.errors import StoreError
from lakehouse.ledger import Ledger
from lakehouse.ledger.published import versions

pytestmark = pytest.mark.integration


def day(number: int) -> date:
    return date(2026, 1, number)


@pytest.fixture
def ledger(postgres: Any) -> Iterator[tuple[Database, Any]]:
    """A ledger, and a cursor to write runs into it by hand."""
    dsn = postgres.create_database("versions")
    database = Database(dsn, "gold", StoreError)
    Ledger(database).prepare("UTC")
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        yield database, cursor


def publish(cursor: Any, run: str, of: date, version: int | None = None, state: str = "published") -> None:
    cursor.execute(
        "insert into ops.runs (run_id, layer, business_date, state, finished_at) values (%s, 'silver', %s, %s, now())",
        (run, of, state),
    )
    if version is not None:
        cursor.execute(
            "insert into ops.run_tables (run_id, layer, table_name, version, rows_read, rows_kept, rows_deduplicated, "
            "rows_quarantined, rows_displaced, bytes_written) values (%s, 'silver', 'orders', %s, 0, 0, 0, 0, 0, 0)",
            (run, version),
        )


def states(database: Database) -> list[tuple[int, int, str]]:
    return [(v.business_date.day, v.version, v.run_id) for v in versions(database, "silver", "orders")]


def test_a_day_that_is_run_again_does_not_turn_the_clock_back(ledger: tuple[Database, Any]) -> None:
    database, cursor = ledger
    for number in (1, 2, 3):
        publish(cursor, f"silver-{number}", day(number), number)
    publish(cursor, "silver-1-again", day(1), 7)
    # Of the first it is what it was then; what the first brought late belongs to the third, the date of all till now.
    assert states(database) == [(1, 1, "silver-1"), (2, 2, "silver-2"), (3, 7, "silver-1-again")]


def test_a_day_that_was_left_out_and_comes_later_is_part_of_the_later_date(ledger: tuple[Database, Any]) -> None:
    database, cursor = ledger
    for number, version in ((1, 1), (4, 2), (2, 3), (3, 4), (5, 5)):
        publish(cursor, f"silver-{number}", day(number), version)
    assert states(database) == [(1, 1, "silver-1"), (4, 4, "silver-3"), (5, 5, "silver-5")]


def test_only_published_runs_move_the_date_and_a_run_without_a_version_keeps_the_last(
    ledger: tuple[Database, Any],
) -> None:
    database, cursor = ledger
    publish(cursor, "silver-0", day(1))
    publish(cursor, "silver-1", day(2), 1)
    publish(cursor, "silver-9", day(9), 2, "failed")
    publish(cursor, "silver-2", day(3))
    assert states(database) == [(2, 1, "silver-1"), (3, 1, "silver-2")]


def test_without_a_run_there_are_no_versions(ledger: tuple[Database, Any]) -> None:
    assert states(ledger[0]) == []

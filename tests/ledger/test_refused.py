"""Runs that were refused before they began, an address without a ledger, and what an alert says of a night."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from lakehouse.database import Database
from lakehouse.errors import BusyError, LedgerError, RightLostError, StoreError
from lakehouse.ledger import Ledger
from lakehouse.ledger.quality import last_failure

pytestmark = pytest.mark.integration
DAY, LONG_AGO = date(2020, 1, 2), datetime(2020, 1, 1, tzinfo=UTC)
BUSY = BusyError("another run of silver is at work: wait for it to end, or see `lakehouse status`")


@pytest.fixture
def ledger(postgres: Any) -> Ledger:
    made = Ledger(Database(postgres.create_database("refused"), "gold", StoreError))
    made.prepare("UTC")
    return made


def rows(ledger: Ledger) -> list[tuple[str, int]]:
    return [(r["layer"], r["error_code"]) for r in reversed(ledger.recent())]


def failed(ledger: Ledger, error: Exception) -> str:
    """A run that was opened, and failed."""
    with ledger.alone("silver") as lease:
        with lease.transaction() as cursor:
            run = ledger.open(cursor, "silver", DAY)
        ledger.fail(run.run_id, error)
    return run.run_id


def test_a_scheduler_that_waits_for_hours_leaves_one_row(ledger: Ledger) -> None:
    for _ in range(3):
        ledger.refused("silver", DAY, BUSY)
    assert rows(ledger) == [("silver", 10)]
    began, ended = (ledger.recent()[0][n] for n in ("started_at", "finished_at"))
    assert began < ended


def test_another_refusal_another_layer_and_a_run_that_was_at_work_have_rows_of_their_own(ledger: Ledger) -> None:
    ledger.refused("silver", DAY, BUSY)
    ledger.refused("gold", DAY, BUSY)
    ledger.refused("silver", DAY, LedgerError("another zone"))
    failed(ledger, LedgerError("another zone"))
    ledger.refused("silver", DAY, LedgerError("another zone"))
    assert rows(ledger) == [("silver", 10), ("gold", 10), ("silver", 8), ("silver", 8), ("silver", 8)]


def test_a_ledger_of_a_newer_release_is_left_as_it_is(ledger: Ledger) -> None:
    ledger.refused("silver", DAY, BUSY)
    ended = ledger.recent()[0]["finished_at"]
    with ledger.database.connection() as connection, connection.cursor() as cursor:
        cursor.execute("insert into ops.migrations (number) values (9999)")
    ledger.refused("silver", DAY, BUSY)
    assert [r["finished_at"] for r in ledger.recent()] == [ended]


def test_an_alert_tells_what_went_wrong_and_not_that_a_later_try_had_to_wait(ledger: Ledger) -> None:
    run_id = failed(ledger, LedgerError("another zone"))
    ledger.refused("silver", DAY, BUSY)
    failure = last_failure(ledger.database, "silver", DAY, LONG_AGO)
    assert failure is not None
    assert (failure.run_id, failure.error_code) == (run_id, 8)


def test_an_alert_of_a_later_try_finds_the_refusal_that_began_earlier(ledger: Ledger) -> None:
    ledger.refused("silver", DAY, BUSY)
    since = ledger.recent()[0]["finished_at"]
    ledger.refused("silver", DAY, BUSY)
    failure = last_failure(ledger.database, "silver", DAY, since)
    assert failure is not None
    assert failure.error_code == 10


def test_a_database_without_a_ledger_is_told_in_a_sentence(postgres: Any) -> None:
    nothing = Ledger(Database(postgres.create_database("no_ledger"), "gold", StoreError))
    with pytest.raises(LedgerError, match=r"there is no ledger at .*: run a day first, or check LAKEHOUSE_GOLD_DSN"):
        nothing.identity()


def test_the_server_gives_up_the_lock_of_a_machine_that_died_after_a_minute(ledger: Ledger) -> None:
    with ledger.alone("silver") as lease, lease.transaction() as cursor:
        cursor.execute("select name, setting from pg_settings where name like 'tcp%' order by name")
        assert cursor.fetchall() == [("tcp_keepalives_count", "3"), ("tcp_keepalives_idle", "30"),
                                     ("tcp_keepalives_interval", "10"), ("tcp_user_timeout", "60000")]  # fmt: skip


def test_a_lock_that_is_held_between_two_runs_is_asked_for_too(ledger: Ledger) -> None:
    """A lost session is noticed though no run is watched."""
    with ledger.alone("silver") as lease:
        with ledger.database.connection() as connection, connection.cursor() as cursor:
            cursor.execute("select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and "
                           "pid <> pg_backend_pid()")  # fmt: skip
        with pytest.raises(RightLostError):
            lease.check()

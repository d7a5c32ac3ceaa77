"""The right to write: one run per layer, a lock that goes with its connection, and no publish without it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import date
from typing import Any

import psycopg2
import pytest

from lakehouse.database import Database
from lakehouse.errors import BusyError, RightLostError, StoreError
from lakehouse.ledger import Ledger
from lakehouse.ledger.lease import Lease
from lakehouse.records import Run, TableRun

pytestmark = pytest.mark.integration
DAY = date(2020, 1, 1)


class Worker:
    """A driver: its own pool, its own lease."""

    def __init__(self, dsn: str) -> None:
        self.ledger = Ledger(Database(dsn, "gold", StoreError))
        self.ledger.prepare("UTC")
        self._held = ExitStack()

    def start(self, layer: str = "silver", every: float = 60) -> tuple[Lease, Run]:
        lease = self._held.enter_context(self.ledger.alone(layer))
        with lease.transaction() as cursor:
            run = self.ledger.open(cursor, layer, DAY)
        lease.watch(run.run_id, every)
        return lease, run

    def publish(self, lease: Lease, run: Run, version: int) -> None:
        with lease.transaction() as cursor:
            self.ledger.publish(cursor, run, {"silver": [TableRun("orders", version)]}, {"silver": {"orders": {}}})

    def stop(self) -> None:
        self._held.close()
        self.ledger.database.close()


@pytest.fixture
def dsn(postgres: Any, request: pytest.FixtureRequest) -> str:
    return str(postgres.create_database(f"lease_{abs(hash(request.node.name)) % 10**8}"))


@pytest.fixture
def workers(dsn: str) -> Iterator[list[Worker]]:
    made = [Worker(dsn), Worker(dsn)]
    yield made
    for worker in made:
        worker.stop()


def end_backends_of_locks(dsn: str) -> None:
    """What the runbook's own query does to a run that hangs."""
    with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(
            "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and pid <> pg_backend_pid()"
        )


def test_a_layer_has_one_run_at_a_time_and_other_layers_are_free(workers: list[Worker]) -> None:
    one, other = workers
    one.start("silver")
    with pytest.raises(BusyError, match="another run of silver is at work"):
        other.start("silver")
    other.start("gold")


@pytest.mark.fault("F17")
def test_a_run_whose_lock_is_gone_publishes_nothing_and_the_pointers_are_the_second_runs(
    workers: list[Worker], dsn: str
) -> None:
    zombie, second = workers
    lease, run = zombie.start()
    end_backends_of_locks(dsn)
    other_lease, other_run = second.start()
    second.publish(other_lease, other_run, 7)

    with pytest.raises(RightLostError, match="lost its lock"):
        lease.check()
    with pytest.raises(RightLostError):
        zombie.publish(lease, run, 3)

    assert second.ledger.published("silver")["orders"].version == 7
    assert second.ledger.state(run.run_id) == "abandoned"


def test_even_a_connection_that_lives_does_not_publish_a_run_that_another_has_called_abandoned(
    workers: list[Worker], dsn: str
) -> None:
    """Two living runs: the lock was freed by hand, the session stayed."""
    zombie, second = workers
    lease, run = zombie.start()
    with lease.transaction() as cursor:
        cursor.execute("select pg_advisory_unlock_all()")
    second.start()
    with pytest.raises(RightLostError, match="is not at work any more"):
        zombie.publish(lease, run, 3)
    assert second.ledger.published("silver") == {}


def test_an_idle_limit_of_the_role_does_not_end_a_run(postgres: Any, dsn: str, workers: list[Worker]) -> None:
    with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
        name = psycopg2.extensions.parse_dsn(dsn)["dbname"]
        cursor.execute(f"alter database {name} set idle_session_timeout = '300ms'")
    patient = Worker(dsn)
    try:
        lease, run = patient.start()
        time.sleep(1)
        patient.publish(lease, run, 1)
        assert patient.ledger.state(run.run_id) == "published"
    finally:
        patient.stop()


@pytest.mark.fault("F17")
def test_the_heartbeat_notices_a_lost_lock_by_itself_and_keeps_the_lease_seen(workers: list[Worker], dsn: str) -> None:
    lease, _ = workers[0].start(every=0.05)
    time.sleep(0.5)
    with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(
            "select l.seen_at > r.started_at + interval '100 ms' from ops.leases l join ops.runs r using (run_id)"
        )
        assert cursor.fetchone() == (True,)
    end_backends_of_locks(dsn)
    deadline = time.monotonic() + 10
    while not lease._lost and time.monotonic() < deadline:
        time.sleep(0.05)
    with pytest.raises(RightLostError):
        lease.check()


def test_a_publish_that_breaks_off_moves_nothing_and_the_run_is_still_at_work(workers: list[Worker]) -> None:
    worker = workers[0]
    lease, run = worker.start()
    # No shape of the table is known: it breaks after the run was closed and before its pointer moves.
    with pytest.raises(KeyError), lease.transaction() as cursor:
        worker.ledger.publish(cursor, run, {"silver": [TableRun("orders", 1)]}, {"silver": {}})
    assert worker.ledger.published("silver") == {}
    assert worker.ledger.state(run.run_id) == "running"
    worker.publish(lease, run, 1)
    assert worker.ledger.published("silver")["orders"].version == 1


def test_a_day_that_is_read_again_does_not_make_its_table_older(workers: list[Worker]) -> None:
    worker = workers[0]
    for day, version in ((date(2020, 1, 3), 1), (date(2020, 1, 1), 2)):
        with worker.ledger.alone("silver") as lease:
            with lease.transaction() as cursor:
                run = worker.ledger.open(cursor, "silver", day)
            worker.publish(lease, run, version)
    pointer = worker.ledger.published("silver")["orders"]
    assert (pointer.version, pointer.business_date) == (2, date(2020, 1, 3))


def test_a_lock_is_free_as_soon_as_it_is_given_back(dsn: str, workers: list[Worker]) -> None:
    """The server may see late that a connection is closed: a run of many days takes the lock of a layer again at once."""
    first, second = (worker.ledger for worker in workers)
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        for _ in range(100):
            with first.alone("silver"), pytest.raises(BusyError), second.alone("silver"):
                pytest.fail("two runs of a layer at once")
            cursor.execute("select count(*) from pg_locks where locktype = 'advisory' and database = "
                           "(select oid from pg_database where datname = current_database())")  # fmt: skip
            assert cursor.fetchone() == (0,)

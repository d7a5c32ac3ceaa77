"""Each alert is told for what really causes it, and once: real servers, broken one after the other.

The rules are those of the stack without the minutes for which each must hold. Where a cause is that time has passed, the
ledger's own clock is set back: nobody waits for a day.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import yaml

from lakehouse.errors import DriftError
from lakehouse.records import Finding
from lakehouse.server.embedded import EmbeddedPostgres
from tests.conftest import passable_folder
from tests.faults.servers import small_disk
from tests.monitoring.conftest import Nights
from tests.monitoring.watching import RULES, Watched, at_once, until, watched
from tests.web_server import receiver

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(1500)]
TODAY = date.today()
YESTERDAY = TODAY - timedelta(days=1)


class Night:
    """A watched lakehouse on servers of its own."""

    def __init__(self, server: EmbeddedPostgres, nights: Nights, home: Path, received: list[dict[str, Any]]) -> None:
        self.server, self.nights, self.home, self.received = server, nights, home, received

    def tells(self, name: str, seconds: float = 60, **where: str) -> None:
        """Waits for an alert; it must come once, however long its cause stays."""
        until(lambda: self._begun(name, where), seconds, f"{name} was not told")
        time.sleep(3)
        assert len(self._begun(name, where)) == 1
        assert self._begun(name, where)[0]["runbook"].startswith("docs/runbook.md#")

    def ends(self, name: str, **where: str) -> None:
        """Waits until it is told to be over."""
        until(lambda: [r for r in self._of(name, where) if r["event"] == "resolved"], 90, f"{name} does not end")

    def _begun(self, name: str, where: dict[str, str]) -> list[dict[str, Any]]:
        return [r for r in self._of(name, where) if r["event"] == "alert"]

    def _of(self, name: str, where: dict[str, str]) -> list[dict[str, Any]]:
        return [
            r
            for r in self.received
            if r["alert"] == name and where.items() <= {**r["where"], "title": r["title"]}.items()
        ]

    def as_superuser(self, *statements: str) -> None:
        with closing(psycopg2.connect(self.server.dsn("postgres"))) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)


@pytest.fixture
def night(tmp_path: Path, minio: Any) -> Iterator[Night]:
    received: list[dict[str, Any]] = []
    with passable_folder() as folder, ExitStack() as stack:
        server = EmbeddedPostgres(folder)
        server.start()
        stack.callback(lambda: server.running() and server.stop())
        nights = Nights(server.dsn("watched"))
        stack.callback(nights.ledger.database.close)
        home = stack.enter_context(small_disk(tmp_path / "home", megabytes=64))
        webhook = stack.enter_context(receiver(received))
        watch: Watched = stack.enter_context(
            watched(
                nights.dsn,
                home,
                webhook,
                logs=tmp_path,
                rules=at_once(tmp_path),
                minio=minio.endpoint.removeprefix("http://"),
            )
        )
        stack.enter_context(watch.alerts())
        yield Night(server, nights, home, received)


def weeks(nights: Nights, weekdays: int = 6, **last: int) -> None:
    """Bronze on the same weekday of some weeks: 1,000 rows of each table, and on the last day what is said."""
    for n in reversed(range(weekdays)):
        day = YESTERDAY - timedelta(weeks=n)
        nights.publish("bronze", day, **(last if n == 0 else dict.fromkeys(last, 1_000)))


def test_what_the_ledger_knows(night: Night) -> None:
    nights = night.nights
    weeks(nights, orders=300, customers=5_000)
    night.tells("RowsFellByHalf", table="orders")
    night.tells("Anomaly", table="customers", measure="rows")

    nights.publish("silver", YESTERDAY, order_items={"read": 1_000, "quantity_zero": 200})
    night.tells("QuarantineShare", table="order_items")

    nights.publish(
        "silver", YESTERDAY, (Finding("silver", "orders", "ordered_in_future", "warning", False, 3, 7),), orders=10
    )
    night.tells("RuleBroken", layer="silver", table="orders")

    nights.publish("gold", TODAY - timedelta(days=3), dim_products=10)
    night.tells("GoldLate")
    nights.publish("gold", YESTERDAY, dim_products=10)
    night.ends("GoldLate")

    missing = Finding("bronze", "orders", "schema_column_missing", "critical", False, 1, 1)
    nights.fail("bronze", TODAY, DriftError("the column status is missing"), missing)
    night.tells("SchemaDrift", table="orders")
    night.tells("LayerFailed", layer="bronze")

    nights.execute("insert into ops.backups (id, kind, finished_at, state, location) "
                   "values ('b', 'full', now() - interval '27 hours', 'done', 'file:///backups')")  # fmt: skip
    night.tells("BackupOld")

    nights.execute("update ops.runs set started_at = started_at - interval '30 hours'")
    night.tells("NoRun")


def test_what_the_machine_knows(night: Night, minio: Any) -> None:
    night.nights.publish("bronze", YESTERDAY, orders=10)

    ballast = night.home / "ballast"
    ballast.write_bytes(bytes(60 << 20))
    night.tells("DiskFilling")
    ballast.unlink()
    night.ends("DiskFilling")

    # What the embedded server calls to archive its log, where it is there.
    (night.server.data / "archive.sh").write_text("exit 1\n")
    night.as_superuser("select pg_logical_emit_message(false, 'x', 'x')", "select pg_switch_wal()")
    night.tells("ArchiveFails")

    with ExitStack() as held, closing(psycopg2.connect(night.server.dsn("postgres"))) as connection:
        with connection.cursor() as cursor:
            cursor.execute("show max_connections")
            most = int((cursor.fetchone() or (0,))[0])
        for _ in range(int(0.85 * most)):
            held.enter_context(closing(psycopg2.connect(night.server.dsn("postgres"))))
        night.tells("ConnectionsRunOut")

    night.nights.execute("alter table ops.runs rename column state to stands")
    night.tells("LedgerUnreadable")
    night.nights.execute("alter table ops.runs rename column stands to state")
    night.ends("LedgerUnreadable")

    minio.kill()
    try:
        night.tells("PartDown", title="minio does not answer")
    finally:
        minio.start()

    night.nights.ledger.database.close()
    night.server.stop()
    night.tells("PostgresDown")
    night.server.start()
    night.ends("PostgresDown")


def test_every_alert_has_a_cause_here_or_beside() -> None:
    """Which alerts these tests are about is read from the tests: a new rule wants its cause."""
    rules = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    names = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
    told = set(re.findall(r'\.tells\("(\w+)"', Path(__file__).read_text(encoding="utf-8")))
    # One needs an Airflow; the other a week, and a gigabyte in a bucket that MinIO has counted.
    assert names - told == {"TaskFailed", "BucketGrows"}


def test_the_ledger_of_a_dead_server_is_told_as_the_servers_fault_alone(tmp_path: Path) -> None:
    received: list[dict[str, Any]] = []
    with (
        receiver(received) as webhook,
        watched("postgresql://nobody@127.0.0.1:1/none", tmp_path, webhook, rules=at_once(tmp_path)) as watch,
        watch.alerts(),
    ):
        until(lambda: received, 60, "nothing was told")
        time.sleep(3)
    assert {r["alert"] for r in received} == {"PostgresDown"}

"""A source that is a standby: a real one, streaming from the primary, whose replay can be paused."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg2
import pytest
from pyspark.sql import SparkSession

from lakehouse.errors import SourceError
from lakehouse.records import Counts, Window
from lakehouse.server.account import account
from lakehouse.server.embedded import binaries
from lakehouse.source.deletes import differing, held_figures, source_figures, unmet
from lakehouse.source.digests import digest_of
from tests.conftest import free_port, passable_folder
from tests.source.conftest import Shop
from tests.tables import contract

pytestmark = pytest.mark.integration

ORDER = (
    "insert into orders (order_id, status, ordered_at, created_at, updated_at) values (%s, 'paid', now(), now(), now())"
)


class Standby:
    """A copy of the embedded server that follows it."""

    def __init__(self, primary: str, folder: Path) -> None:
        self.folder, self.port, self.account = folder / "standby", free_port(), account()
        parts = urlsplit(primary)
        self.folder.mkdir(mode=0o700)
        if self.account:
            os.chown(self.folder, self.account["user"], self.account["group"])
        self._password = {"PGPASSWORD": unquote(parts.password or "")}
        self.run(
            "pg_basebackup",
            "-h",
            str(parts.hostname),
            "-p",
            str(parts.port),
            "-U",
            "postgres",
            "-D",
            "data",
            "-R",
            "-c",
            "fast",
        )
        self.run(
            "pg_ctl", "start", "-w", "-D", "data", "-l", "log", "-o", f"-c port={self.port} -c unix_socket_directories="
        )

    def run(self, name: str, *arguments: str) -> None:
        done = subprocess.run(
            [binaries() / name, *arguments], cwd=self.folder, env={"PATH": os.defpath, "LC_ALL": "C", **self._password},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False, **self.account,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def stop(self) -> None:
        self.run("pg_ctl", "stop", "-w", "-D", "data", "-m", "immediate")

    def dsn(self, primary: str) -> str:
        return primary.replace(f":{urlsplit(primary).port}/", f":{self.port}/")


@pytest.fixture(scope="module")
def standby(postgres: Any) -> Iterator[Standby]:
    with passable_folder() as folder:
        made = Standby(postgres.server.dsn("postgres"), folder)
        try:
            yield made
        finally:
            made.stop()


def until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_standby_that_is_behind_is_refused_and_one_that_has_caught_up_is_read(
    shop: Shop, standby: Standby, spark: SparkSession
) -> None:
    reader = shop.read_only()
    followed = standby.dsn(shop.dsn.rpartition("/")[0] + "/postgres")

    def asked(sql: str) -> Any:
        with closing(psycopg2.connect(followed)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute(sql)
            return (cursor.fetchone() or (None,))[0]

    def replayed() -> bool:
        with closing(psycopg2.connect(shop.dsn)) as connection, connection.cursor() as cursor:
            cursor.execute("select pg_current_wal_lsn()")
            (written,) = cursor.fetchone() or (None,)
        return bool(asked(f"select pg_last_wal_replay_lsn() >= '{written}'"))

    until(replayed)
    asked("select pg_wal_replay_pause()")
    until(lambda: asked("select pg_get_wal_replay_pause_state()") == "paused")
    shop.do(ORDER.replace("%s", "'of the day'"))
    with closing(psycopg2.connect(shop.dsn)) as connection, connection.cursor() as cursor:
        cursor.execute("select clock_timestamp()")
        end: datetime = (cursor.fetchone() or (None,))[0]

    # By its own role, which may only select: a snapshot of a standby can be shared too.
    source = shop.source(standby.dsn(reader.database._dsn))
    orders, window = contract("bronze.orders"), Window(None, end)
    with source.snapshot() as snapshot:
        assert snapshot.standing.is_standby
        assert snapshot.counts(orders, window) == Counts(0, 0, 0)
        with pytest.raises(
            SourceError, match="is a standby, and the newest commit it has replayed is of 20"
        ) as refused:
            snapshot.require_over(end)
    assert "Run again when replay has caught up" in str(refused.value)
    assert refused.value.exit_code == 4

    # All that was received is replayed, but whether more was written is not known before a commit from after the end.
    asked("select pg_wal_replay_resume()")
    until(replayed)
    with source.snapshot() as snapshot:
        assert snapshot.counts(orders, window) == Counts(1, 0, 0)
        with pytest.raises(SourceError, match="where the primary is idle, any commit there shows it"):
            snapshot.require_over(end)
    shop.do("select pg_current_xact_id()")
    until(lambda: asked(f"select pg_last_xact_replay_timestamp() >= '{end.isoformat()}'"))
    with source.snapshot() as snapshot:
        snapshot.require_over(end)
        assert [r["order_id"] for r in snapshot.frame(spark, orders, {}, window).collect()] == ["of the day"]
        with pytest.raises(SourceError):
            snapshot.require_over(snapshot.standing.replayed + timedelta(microseconds=1))

    # Keys are compared there too.
    with source.snapshot() as snapshot:
        held = spark.createDataFrame([("OF THE DAY",), ("GONE",)], "order_id string")
        every = {r["bucket"] for r in held_figures(held, orders, digest_of(snapshot.release)).collect()}
        assert differing(source_figures(snapshot, orders, None), dict.fromkeys(every, (1, 0))) == every
        assert [tuple(r) for r in unmet(spark, snapshot, orders, held, every, end).collect()] == [("GONE", False)]

    # Another server than the primary, with numbers that mean something else where one of them goes on.
    with shop.source().snapshot() as first, source.snapshot() as second:
        assert not first.position("orders").is_of(second.position("orders"))
        assert not first.position("orders").gained(second.position("orders"))

"""Where a benchmark runs: one folder with a Postgres of its own, its databases, and the lake of each contestant.

A shop of a size is made once and kept. Every series begins with a copy of it, so that all begin at the same rows, and with
empty golds and lakes.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor

from benchmarks.shop.load import connected, load
from lakehouse.errors import BusyError
from lakehouse.home import make_home
from lakehouse.server.embedded import EmbeddedPostgres

ROOT = Path(__file__).parent.parent
HOME = ROOT / ".lakehouse-benchmarks"


class Site(NamedTuple):
    """What a contestant is given: the shop's database, an empty one for gold, and an empty folder for all else."""

    source_dsn: str
    gold_dsn: str
    folder: Path


class Place:
    """The folder and the server in it. One benchmark at a time uses it."""

    def __init__(self, home: Path = HOME) -> None:
        self._home = home
        self._server = EmbeddedPostgres(home)

    @property
    def data(self) -> Path:
        """The server's data folder, by which its processes are found."""
        return self._server.data

    @property
    def server_dsn(self) -> str:
        return self._server.dsn("postgres")

    def start(self) -> None:
        """Makes the folder and starts the server.

        Raises BusyError where another benchmark is at work, StoreError where the server cannot be started.
        """
        make_home(self._home)
        self._lock = (self._home / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BusyError(f"another benchmark runs in {self._home}: wait for it, or name another folder") from None
        self._server.start()

    def stop(self) -> None:
        """Ends the server; its data stay."""
        self._server.stop()
        self._lock.close()

    def shop(self, orders: int) -> str:
        """The database of a shop as loaded, made where it is not there yet; a half-made one is made again."""
        name = f"shop_{orders}"
        if not self._has(name):
            half = f"{name}_new"
            self._drop(half)
            load(self._server.dsn(half), orders)
            self._administer("alter database {} rename to {}", half, name)
        return name

    def copied(self, shop: str) -> str:
        """The URL of a copy of a shop, as it was loaded: the source of one series."""
        self._drop("shop_now")
        self._administer("create database {} template {} strategy file_copy", "shop_now", shop)
        return self._server.dsn("shop_now")

    def site(self, contestant: str, source_dsn: str) -> Site:
        """An empty gold and an empty folder."""
        database, folder = f"gold_{contestant}", self._home / "lakes" / contestant
        self._drop(database)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, mode=0o700)
        return Site(source_dsn, self._server.dsn(database), folder)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """An empty folder that is gone afterwards."""
        folder = self._home / "scratch"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def checkpoint(self) -> None:
        """What one run left to be written is not the next one's to write."""
        self._administer("checkpoint")

    def _has(self, database: str) -> bool:
        with closing(connected(self.server_dsn)) as connection, connection.cursor() as cursor:
            cursor.execute("select from pg_database where datname = %s", (database,))
            return bool(cursor.rowcount)

    def _drop(self, database: str) -> None:
        self._administer("drop database if exists {} with (force)", database)

    def _administer(self, statement: str, *names: str) -> None:
        with closing(connected(self.server_dsn)) as connection, connection.cursor() as cursor:
            _execute(cursor, statement, names)


def _execute(cursor: Cursor, statement: str, names: tuple[str, ...]) -> None:
    cursor.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

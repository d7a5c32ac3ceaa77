"""Servers of a test's own, to be ended as a crash or a full disk ends them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from subprocess import run
from typing import Any

import psycopg2
from psycopg2 import sql

from lakehouse.server.embedded import EmbeddedPostgres
from tests.conftest import passable_folder


class OwnPostgres:
    """An embedded server for a world, with the ways in which it can go."""

    def __init__(self, home: Path) -> None:
        self.embedded = EmbeddedPostgres(home)
        self.dsn = self.embedded.dsn
        self.is_back = threading.Event()

    def create_database(self, name: str) -> str:
        return self.embedded.dsn(name)

    def crash(self) -> None:
        """Immediate stop: no checkpoint, every session breaks off, and the next start recovers from the log."""
        self.embedded._program("pg_ctl", "stop", "-D", "data", "-m", "immediate", "-w")

    def restart(self) -> None:
        """A crash, and the server is back on its port."""
        self.crash()
        self.embedded.start()
        self.is_back.set()

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """One statement of the server's owner, outside of a transaction."""
        with closing(psycopg2.connect(self.dsn(database))) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql.SQL(statement))  # type: ignore[arg-type]
                return cursor.fetchall() if cursor.description else []


@contextmanager
def own_postgres() -> Iterator[OwnPostgres]:
    with passable_folder() as home:
        server = OwnPostgres(home)
        server.embedded.start()
        try:
            yield server
        finally:
            server.embedded.stop()


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of so many MB in memory. Only root may mount one: elsewhere the test fails and says so."""
    folder.mkdir(parents=True, exist_ok=True)
    done = run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder], capture_output=True, text=True)
    assert done.returncode == 0, f"a small file system is needed, and only root may mount one: {done.stderr.strip()}"
    try:
        yield folder
    finally:
        run(["umount", "--lazy", folder], check=True)


def fill(disk: Path, leave: int = 0) -> Path:
    """Fills a disk but for so many bytes; returns the file that does."""
    filler, block = disk / "filler", b"x" * (64 << 10)
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(block)
        except OSError:
            size = file.tell()
        if leave:
            file.truncate(max(0, size - leave))
    return filler

"""Waiting for a table that somebody holds: in short tries, so that readers are not stopped meanwhile, with a word and an end.

A statement that waits for a lock makes everybody wait who comes after it, readers too. So none waits for long.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import psycopg2
from psycopg2.extensions import cursor as Cursor

from lakehouse import log
from lakehouse.database.meanings import printable
from lakehouse.errors import StoreError


class Patience(NamedTuple):
    """So many tries of so many milliseconds each."""

    tries: int
    milliseconds: int

    @property
    def seconds(self) -> float:
        return self.tries * self.milliseconds / 1000


# A change of a table stops its readers while it waits; a publish stops nobody and has hours of work behind it.
FOR_CHANGES = Patience(tries=5, milliseconds=3_000)
FOR_A_PUBLISH = Patience(tries=120, milliseconds=5_000)
# Locks that stand in nobody's way: of readers, who stop changes of the table alone, and of those who change rows.
READING = ("AccessShareLock",)
CHANGING_ROWS = (*READING, "RowShareLock", "RowExclusiveLock", "ShareUpdateExclusiveLock")


def patiently(
    cursor: Cursor,
    statements: Iterable[str],
    table: str,
    patience: Patience | None = None,
    harmless: Sequence[str] = (),
) -> None:
    """Executes statements on a table in the caller's transaction, all or none of them, as soon as nobody holds it.

    `harmless`: modes of lock that the statements do not wait for. Raises StoreError that names who holds the table when
    patience (FOR_CHANGES where none is given) is at its end.
    """
    statements, patience = list(statements), patience or FOR_CHANGES
    cursor.execute("select current_setting('lock_timeout')")
    before = (cursor.fetchone() or ("0",))[0]
    held = ""
    for attempt in range(patience.tries):
        cursor.execute("savepoint patience")
        cursor.execute("select set_config('lock_timeout', %s, true)", (f"{patience.milliseconds}ms",))
        try:
            for statement in statements:
                cursor.execute(statement)
        except psycopg2.errors.LockNotAvailable:
            cursor.execute("rollback to savepoint patience")
            held = holders(cursor, table, harmless, cursor.connection.info.backend_pid)
            if attempt == 0:
                log.warning("table.waits", table=table, held_by=held, seconds=patience.seconds)
            continue
        cursor.execute("release savepoint patience")
        cursor.execute("select set_config('lock_timeout', %s, true)", (before,))
        return
    raise StoreError(f"{table} was held by {held} for longer than {patience.seconds:g} seconds, and nothing was changed: "
                     f"end that transaction (select pg_terminate_backend(…)), and run it again")  # fmt: skip


def holders(cursor: Cursor, table: str, harmless: Sequence[str], ours: int) -> str:
    """Sessions but `ours` that hold a lock on a table, by process and role; what they do is theirs and not shown."""
    cursor.execute(
        "select distinct l.pid, coalesce(a.usename::text, 'an unknown role') from pg_locks l join pg_stat_activity a using (pid) "
        "where l.relation = to_regclass(%s) and l.granted and l.pid <> %s and l.mode <> all(%s) order by 1",
        (table, ours, list(harmless)),
    )
    sessions = [f"session {pid} of {printable(user)}" for pid, user in cursor.fetchall()]
    return ", ".join(sessions) or "a session that is gone by now"

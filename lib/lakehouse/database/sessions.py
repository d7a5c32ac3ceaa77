"""The pool: connections stay open, are tried before they are handed out, and are set to what long work needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from threading import Lock

import psycopg2
import psycopg2.extras
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

# Limits for people's sessions. Ours idle while Spark works, and take as long as a table takes.
LIFTED = {
    "idle_session_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "statement_timeout": "0",
    "transaction_timeout": "0",
}
# Of a role that publishes: Postgres itself still refuses to write on a standby.
WRITABLE = {"default_transaction_read_only": "off"}
# Readers never hold a lock that stops us, and DDL of other people is over in seconds; who waits longer than a minute
# waits for a transaction that somebody forgot. A limit of the role's or the DSN's own stays.
LOCK_TIMEOUT = "60s"
# libpq's: a peer that is gone without a word is noticed after a minute, not after the kernel's two hours, and firewalls
# that forget quiet connections hear from us every half minute.
TRANSPORT = {
    "connect_timeout": "10",
    "keepalives": "1",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
    "application_name": "lakehouse",
    "client_encoding": "UTF8",
}


class Sessions:
    """Open connections of one database, handed out one at a time."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect, self._lock = connect, Lock()
        self._idle: list[Connection] = []
        self._used: set[Connection] = set()

    def borrow(self) -> Connection:
        """A connection that answers: an open one, else a new one. Raises psycopg2.Error where there is no way in."""
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                connection = self._connect()
            elif not _answers(connection):
                continue
            with self._lock:
                self._used.add(connection)
            return connection

    def give_back(self, connection: Connection) -> None:
        """Takes a connection back outside of any transaction, in its first state; a closed one is forgotten."""
        if not connection.closed:
            # The caller's isolation and read-only mode are not for the next one.
            with suppress(psycopg2.Error):
                connection.set_session(
                    isolation_level="default", readonly="default", deferrable="default", autocommit=False
                )
        with self._lock:
            self._used.discard(connection)
            if not connection.closed:
                self._idle.append(connection)

    def close(self) -> None:
        """Closes every connection."""
        with self._lock:
            connections, self._idle, self._used = [*self._idle, *self._used], [], set()
        for connection in connections:
            with suppress(psycopg2.Error):
                connection.close()


def set_up(connection: Connection, settings: dict[str, str]) -> None:
    """Sets a new session: by SET and not by options at the start, which poolers refuse.

    A server knows the settings of its version; those it does not know are no limits of it.
    """
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(
            "select set_config(name, %(settings)s::jsonb ->> name, false) from pg_settings where %(settings)s::jsonb ? name "
            "union all select set_config(name, %(lock_timeout)s, false) from pg_settings "
            "where name = 'lock_timeout' and setting = '0'",
            {"settings": psycopg2.extras.Json(settings), "lock_timeout": LOCK_TIMEOUT},
        )
    connection.autocommit = False


def limits_of_the_role(cursor: Cursor, settings: dict[str, str]) -> dict[str, str]:
    """Those of the settings that a session of this role would begin with another value of."""
    cursor.execute("select name, reset_val from pg_settings where name = any(%s)", (list(settings),))
    return {name: settings[name] for name, value in _rows(cursor) if value != settings[name]}


def _rows(cursor: Cursor) -> Iterable[tuple[str, str]]:
    return [(str(name), str(value)) for name, value in cursor.fetchall()]


def _answers(connection: Connection) -> bool:
    """Whether an idle connection still reaches its server: one short round trip, so that no dead one is handed out."""
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("select 1")
        connection.autocommit = False
    except psycopg2.Error:
        with suppress(psycopg2.Error):
            connection.close()
        return False
    return True

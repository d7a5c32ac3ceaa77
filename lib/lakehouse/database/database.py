"""One database: its connections, the sentence it is given when it refuses, and the same address for JDBC."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from threading import BoundedSemaphore
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import parse_dsn
from psycopg2.extras import LogicalReplicationConnection

from lakehouse.database.address import jdbc_address, refuse_unknown
from lakehouse.database.meanings import jdbc_sentence, printable, sentence
from lakehouse.database.sessions import LIFTED, TRANSPORT, WRITABLE, Sessions, limits_of_the_role, set_up
from lakehouse.errors import BusyError, LakehouseError, LedgerError

# Two are held by a run; the rest are for its tables, which wait for one another where there are more.
MOST_CONNECTIONS = 8

# Releases from here on know crc32(bytea), which Spark knows too.
KNOWS_CRC = 180_000


class Database:
    """One database by its libpq URL. `error` is the family's member to raise when it cannot be reached or refuses."""

    def __init__(self, dsn: str, role: str, error: type[LakehouseError]) -> None:
        self._parts: dict[str, str] = parse_dsn(dsn)
        self._dsn, self.role, self.error = dsn, role, error
        # The source is only read, and a role that may only read is right for it.
        self._settings = LIFTED if role == "source" else LIFTED | WRITABLE
        self._free, self._sessions = BoundedSemaphore(MOST_CONNECTIONS), Sessions(self._connect)

    @property
    def name(self) -> str:
        return self._parts["dbname"]

    @property
    def where(self) -> str:
        """Host, port and database: enough to find it, nothing to keep secret."""
        return f"{self._parts['host']}:{self._parts.get('port', '5432')}/{self.name}"

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A pooled connection, committed at the end, rolled back on an error.

        Raises `error` when there is none, when it breaks off, and for whatever Postgres refuses in it.
        """
        with self._free:
            try:
                connection = self._sessions.borrow()
            except psycopg2.Error as e:
                raise self.unreachable(e) from None
            try:
                yield connection
                connection.commit()
            except BaseException as e:
                with suppress(psycopg2.Error):  # there may be nothing left to roll back on
                    connection.rollback()
                if isinstance(e, psycopg2.Error) and _of(e, connection):
                    # Its words may quote a statement and with it a value.
                    raise self.refused(e) from None
                raise
            finally:
                self._sessions.give_back(connection)

    def dedicated(self) -> Connection:
        """A connection of its own, beside the pool, which the caller closes. Raises `error` when there is none."""
        try:
            return self._connect()
        except psycopg2.Error as e:
            raise self.unreachable(e) from None

    def replication(self, encoding: str) -> LogicalReplicationConnection:
        """A connection on which the server sends its log, in an encoding; the caller closes it. Raises `error` when there is none."""
        transport: dict[str, Any] = {n: v for n, v in TRANSPORT.items() if n not in self._parts} | {
            "client_encoding": encoding
        }
        # psycopg2 sets it by itself on every other connection: a date is written as elsewhere.
        transport["options"] = f"{self._parts.get('options', '')} -c datestyle=ISO".strip()
        try:
            made: LogicalReplicationConnection = psycopg2.connect(
                self._dsn, connection_factory=LogicalReplicationConnection, **transport
            )
        except psycopg2.Error as e:
            raise self.unreachable(e) from None
        return made

    @contextmanager
    def alone(self, work: str, refusal: str) -> Iterator[int]:
        """Holds the server's lock of a work's name; the socket of the session that has it.

        Raises BusyError with the refusal where another session does. The server frees the lock of a session that no process
        holds open any more.
        """
        with closing(self.dedicated()) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("select pg_try_advisory_lock(hashtext(%s))", (work,))
                if cursor.fetchone() != (True,):
                    raise BusyError(refusal)
                yield connection.fileno()

    def check(self) -> None:
        """Raises `error` when there is no way in, ConfigError for a DSN that only one of the two drivers understands."""
        with self.connection() as connection:
            refuse_unknown(self.role, connection.info.dsn_parameters)

    def check_sessions(self) -> None:
        """Raises LedgerError where a pooler in transaction mode is between us: it takes a session's lock and settings away.

        Such a pooler gives a connection another server process with each transaction, or two connections the same one.
        """
        with self.connection() as one, self.connection() as other:
            # Twice the one finds servers handed out in turn; then the other is handed the server that was just left.
            mine, again, theirs, last = (_backend(c) for c in (one, one, other, one))
        if mine == theirs or not mine == again == last:
            raise LedgerError(f"the {self.role} database at {self.where} speaks through a pooler in transaction mode, which "
                              f"does not keep the lock of a run: connect to the server itself, or set "
                              f"pool_mode=session")  # fmt: skip

    def rows_believed(self, schema: str, tables: Iterable[str]) -> int:
        """Rows of some tables by the server's own statistics: about right, and nothing is read. 0 for views, and for what
        was never analyzed."""
        names = [f'{schema}."{table}"' for table in tables]
        with self.connection() as connection, connection.cursor() as cursor:
            cursor.execute("select coalesce(sum(greatest(reltuples, 0)), 0)::bigint from pg_class "
                           "where oid in (select to_regclass(n) from unnest(%s::text[]) n)", (names,))  # fmt: skip
            return int((cursor.fetchone() or (0,))[0])

    def close(self) -> None:
        """Closes every pooled connection; the next call opens new ones."""
        self._sessions.close()

    def unreachable(self, cause: psycopg2.Error) -> LakehouseError:
        """One sentence about a failed connection. libpq's own words name host, user and database, no password."""
        words = printable(str(cause)) or "connection refused"
        return self.error(f"the {self.role} database at {self.where} does not let us in: {words}; "
                          f"check LAKEHOUSE_{self.role.upper()}_DSN and that the server runs")  # fmt: skip

    def refused(self, cause: psycopg2.Error) -> LakehouseError:
        """One sentence about what Postgres refused, by its SQLSTATE, without a value."""
        return self.error(sentence(self.role, self.where, cause))

    def refused_by_jdbc(self, cause: BaseException, doing: str) -> LakehouseError | None:
        """The same for an error of Spark's while `doing`; None where Postgres has no part in it."""
        words = jdbc_sentence(self.role, self.where, cause, doing)
        return self.error(words) if words else None

    def jdbc(self, **options: str) -> dict[str, str]:
        """Options for Spark's JDBC source: what libpq connects with; secrets stay out of the url, which plans may show.

        Limits of the role are lifted as for our other sessions. Raises ConfigError where JDBC lacks what libpq was told.
        """
        with self.connection() as connection, connection.cursor() as cursor:
            parameters, password = dict(connection.info.dsn_parameters), connection.info.password
            limits = limits_of_the_role(cursor, self._settings)
        # Only where there are any: JDBC can set them at the start alone, which some poolers refuse.
        lifted = [f"-c {name}={value}" for name, value in limits.items()]
        parameters["options"] = " ".join(filter(None, [parameters.get("options"), *lifted]))
        secrets = {"password": password or ""}
        if "sslpassword" in self._parts:
            secrets["sslpassword"] = self._parts["sslpassword"]
        return jdbc_address(self.role, parameters, secrets, options)

    def _connect(self) -> Connection:
        transport: dict[str, Any] = {name: value for name, value in TRANSPORT.items() if name not in self._parts}
        connection: Connection = psycopg2.connect(self._dsn, **transport)
        try:
            set_up(connection, self._settings)
        except BaseException:
            connection.close()
            raise
        return connection


def _of(error: psycopg2.Error, connection: Connection) -> bool:
    """Whether an error is this connection's: one of another database may pass through on its way to its own."""
    return error.cursor is None or error.cursor.connection is connection


def _backend(connection: Connection) -> int:
    """The server process that answers a transaction of its own."""
    with connection.cursor() as cursor:
        cursor.execute("select pg_backend_pid()")
        row = cursor.fetchone()
    connection.commit()
    return int(row[0]) if row else 0

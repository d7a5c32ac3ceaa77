"""Postgres as the driver sees it: one pool a database, errors without secrets, and the same address for JDBC."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import BoundedSemaphore, Lock
from urllib.parse import quote, urlencode

import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import parse_dsn
from psycopg2.pool import ThreadedConnectionPool

from lakehouse.errors import LakehouseError, safe_words

TIMEOUT_SECONDS = 10
# Two are held by a run; the rest are for its tables, which wait for one another where there are more.
MOST_CONNECTIONS = 8
IDLE_LIMITS = (
    "('idle_session_timeout', 'idle_in_transaction_session_timeout', 'statement_timeout', 'transaction_timeout')"
)


class Database:
    """One database by its libpq URL. `error` is the family's member to raise when it cannot be reached."""

    def __init__(self, dsn: str, role: str, error: type[LakehouseError]) -> None:
        self._parts: dict[str, str] = parse_dsn(dsn)
        self._dsn, self.role, self.error = dsn, role, error
        self._free, self._opening = BoundedSemaphore(MOST_CONNECTIONS), Lock()
        self._pool: ThreadedConnectionPool | None = None

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

        Raises `error` when there is none, or when it breaks off.
        """
        with self._free:
            pool = self._open()
            try:
                connection = pool.getconn()
            except psycopg2.Error as e:
                raise self.unreachable(e) from None
            try:
                yield connection
                connection.commit()
            except BaseException as e:
                with suppress(psycopg2.Error):  # there may be nothing left to roll back on
                    connection.rollback()
                if isinstance(e, psycopg2.OperationalError | psycopg2.InterfaceError):
                    raise self.broke_off(e) from None
                raise
            finally:
                pool.putconn(connection, close=bool(connection.closed))

    def dedicated(self) -> Connection:
        """A connection of its own, beside the pool, which the caller closes. Raises `error` when there is none.

        No limit of the role's ends its session while it idles, and a dead network is noticed within half a minute.
        """
        try:
            connection = psycopg2.connect(
                self._dsn, connect_timeout=TIMEOUT_SECONDS, application_name="lakehouse", keepalives_idle=10,
                keepalives_interval=5, keepalives_count=3, tcp_user_timeout=30_000,
            )  # fmt: skip
            with connection.cursor() as cursor:
                cursor.execute(f"select set_config(name, '0', false) from pg_settings where name in {IDLE_LIMITS}")
            connection.commit()
        except psycopg2.Error as e:
            raise self.unreachable(e) from None
        return connection

    def check(self) -> None:
        """Raises `error` when there is no way in."""
        with self.connection():
            return

    def close(self) -> None:
        """Closes every pooled connection; the next call opens the pool again."""
        if self._pool is not None:
            self._pool.closeall()
            self._pool = None

    def broke_off(self, cause: BaseException) -> LakehouseError:
        """One sentence about work that the server broke off. Its own words may quote a statement and with it a value."""
        return self.error(f"the {self.role} database at {self.where} broke off the work ({safe_words(cause)}); "
                          f"check that the server runs, and run it again")  # fmt: skip

    def unreachable(self, cause: psycopg2.Error) -> LakehouseError:
        """One sentence about a failed connection. libpq's own words name host, user and database, no password."""
        words = " ".join(str(cause).split()) or "connection refused"
        return self.error(f"the {self.role} database at {self.where} does not let us in: {words}; "
                          f"check LAKEHOUSE_{self.role.upper()}_DSN and that the server runs")  # fmt: skip

    def jdbc(self, **options: str) -> dict[str, str]:
        """url, user and password for Spark's JDBC source; the password stays out of the url, which plans may show."""
        known = ("host", "port", "dbname", "user", "password", "application_name")
        query = {**{k: v for k, v in self._parts.items() if k not in known}, "ApplicationName": "lakehouse", "tcpKeepAlive": "true",
                 "connectTimeout": str(TIMEOUT_SECONDS), **options}  # fmt: skip
        host, port = self._parts["host"], self._parts.get("port", "5432")
        address = f"[{host}]" if ":" in host else host
        return {
            "url": f"jdbc:postgresql://{address}:{port}/{quote(self.name, safe='')}?{urlencode(query)}",
            "user": self._parts.get("user", ""),
            "password": self._parts.get("password", ""),
            "driver": "org.postgresql.Driver",
        }

    def _open(self) -> ThreadedConnectionPool:
        with self._opening:
            if self._pool is None:
                try:
                    self._pool = ThreadedConnectionPool(1, MOST_CONNECTIONS, self._dsn, connect_timeout=TIMEOUT_SECONDS,
                                                        application_name="lakehouse", keepalives_idle=30)  # fmt: skip
                except psycopg2.Error as e:
                    raise self.unreachable(e) from None
            return self._pool

"""Postgres as the driver sees it: one pool a database, errors without secrets, and the same address for JDBC."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.pool import ThreadedConnectionPool

from lakehouse.errors import LakehouseError

TIMEOUT_SECONDS = 10


class Database:
    """One database by its libpq URL. `error` is the family's member to raise when it cannot be reached."""

    def __init__(self, dsn: str, role: str, error: type[LakehouseError]) -> None:
        self._url = urlsplit(dsn)
        self._dsn, self.role, self.error = dsn, role, error
        self._pool: ThreadedConnectionPool | None = None

    @property
    def name(self) -> str:
        return unquote(self._url.path.strip("/"))

    @property
    def where(self) -> str:
        """Host, port and database: enough to find it, nothing to keep secret."""
        return f"{self._url.hostname or 'localhost'}:{self._url.port or 5432}/{self.name}"

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A pooled connection, committed at the end, rolled back on an error; raises `error` when there is none."""
        pool = self._open()
        try:
            connection = pool.getconn()
        except psycopg2.Error as e:
            raise self.unreachable(e) from None
        try:
            yield connection
            connection.commit()
        except BaseException:
            if not connection.closed:
                connection.rollback()
            raise
        finally:
            pool.putconn(connection, close=bool(connection.closed))

    def check(self) -> None:
        """Raises `error` when there is no way in."""
        with self.connection():
            return

    def close(self) -> None:
        """Closes every pooled connection; the next call opens the pool again."""
        if self._pool is not None:
            self._pool.closeall()
            self._pool = None

    def unreachable(self, cause: psycopg2.Error) -> LakehouseError:
        """One sentence about a failed connection. libpq's own words name host, user and database, no password."""
        words = " ".join(str(cause).split()) or "connection refused"
        return self.error(f"the {self.role} database at {self.where} does not let us in: {words}; "
                          f"check LAKEHOUSE_{self.role.upper()}_DSN and that the server runs")  # fmt: skip

    def jdbc(self, **options: str) -> dict[str, str]:
        """url, user and password for Spark's JDBC source; the password stays out of the url, which plans may show."""
        query = {**dict(parse_qsl(self._url.query)), "ApplicationName": "lakehouse", "tcpKeepAlive": "true",
                 "connectTimeout": str(TIMEOUT_SECONDS), **options}  # fmt: skip
        query.pop("application_name", None)
        host, port = self._url.hostname or "localhost", self._url.port or 5432
        address = f"[{host}]" if ":" in host else host
        return {
            "url": f"jdbc:postgresql://{address}:{port}{self._url.path}?{urlencode(query)}",
            "user": unquote(self._url.username or ""),
            "password": unquote(self._url.password or ""),
            "driver": "org.postgresql.Driver",
        }

    def _open(self) -> ThreadedConnectionPool:
        if self._pool is None:
            try:
                self._pool = ThreadedConnectionPool(
                    1, 8, self._dsn, connect_timeout=TIMEOUT_SECONDS, application_name="lakehouse", keepalives_idle=30
                )
            except psycopg2.Error as e:
                raise self.unreachable(e) from None
        return self._pool

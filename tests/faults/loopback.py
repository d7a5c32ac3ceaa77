"""What stands in front of a Postgres on a port of its own, and serves each client in a thread."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

from psycopg2.extensions import parse_dsn


class InFrontOfPostgres:
    """Listens on loopback for clients of the server of `dsn`."""

    def __init__(self, dsn: str) -> None:
        self._parts = parse_dsn(dsn)
        self._listener = socket.create_server(("127.0.0.1", 0))

    @property
    def dsn(self) -> str:
        """The URL of the database by way of this."""
        p, port = self._parts, self._listener.getsockname()[1]
        return f"postgresql://{p['user']}:{p['password']}@127.0.0.1:{port}/{p['dbname']}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.go_away()

    def go_away(self) -> None:
        """From now on nobody can come any more."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        raise NotImplementedError

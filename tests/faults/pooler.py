"""A pooler in transaction mode, small but faithful: with each transaction a client may meet another server process.

It speaks Postgres' wire protocol: https://www.postgresql.org/docs/current/protocol-message-formats.html. A client signs in
on a server connection of its own; from then on it is lent one from its first message until the server is out of any
transaction (ReadyForQuery says I).
"""

from __future__ import annotations

import socket
import struct
import threading
from collections import deque
from contextlib import suppress
from types import TracebackType

from tests.faults.loopback import InFrontOfPostgres

NO_TLS = (80877103, 80877104)
ANSWERED = (3, 5, 10, 11)  # requests of authentication that the client answers


class TransactionPooler(InFrontOfPostgres):
    """A pooler on a port of its own with at most `servers` connections, the last one used first, or all `in_turn`."""

    def __init__(self, dsn: str, servers: int, *, in_turn: bool = False) -> None:
        super().__init__(dsn)
        self._most, self._in_turn = servers, in_turn
        self._idle: deque[socket.socket] = deque()
        self._changed = threading.Condition()
        self._servers = 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, where)
        for server in self._idle:
            server.close()

    def _serve(self, client: socket.socket) -> None:
        lent: socket.socket | None = None
        with suppress(OSError), client:
            if not self._sign_in(client):
                return
            while (asked := message(client))[:1] != b"X":
                lent = lent or self._lend()
                lent.sendall(asked)
                if asked[:1] in (b"Q", b"S") and _relay_answer(lent, client) == b"I":
                    lent = self._take_back(lent)
        if lent is not None:
            lent.close()

    def _sign_in(self, client: socket.socket) -> bool:
        """The client's own authentication, passed through; its server connection is kept where there is room."""
        start = startup(client)
        while struct.unpack("!i", start[4:8])[0] in NO_TLS:
            client.sendall(b"N")
            start = startup(client)
        server = socket.create_connection((self._parts["host"], int(self._parts["port"])))
        server.sendall(start)
        while True:
            answer = message(server)
            client.sendall(answer)
            if answer[:1] == b"E":
                return False
            if answer[:1] == b"R" and struct.unpack("!i", answer[5:9])[0] in ANSWERED:
                server.sendall(message(client))
            if answer[:1] == b"Z":
                break
        with self._changed:
            if self._servers < self._most:
                self._servers += 1
                self._idle.append(server)
            else:
                server.close()
        return True

    def _lend(self) -> socket.socket:
        with self._changed:
            self._changed.wait_for(lambda: self._idle, timeout=30)
            return self._idle.popleft() if self._in_turn else self._idle.pop()

    def _take_back(self, server: socket.socket) -> None:
        with self._changed:
            self._idle.append(server)
            self._changed.notify()


class SessionPooler(InFrontOfPostgres):
    """A pooler in session mode as it stands between a client and its server: it refuses what it does not know at the start.

    Of PgBouncer's manual, ignore_startup_parameters: "By default, PgBouncer allows only parameters it can keep track of in
    startup packets: client_encoding, datestyle, timezone and standard_conforming_strings" and application_name.
    """

    refused = 0

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError), client:
            start = startup(client)
            while struct.unpack("!i", start[4:8])[0] in NO_TLS:
                client.sendall(b"N")
                start = startup(client)
            if b"options\0" in start:
                self.refused += 1
                said = b"SFATAL\0C08P01\0Munsupported startup parameter: options\0\0"
                client.sendall(b"E" + struct.pack("!i", len(said) + 4) + said)
                return
            with socket.create_connection((self._parts["host"], int(self._parts["port"]))) as server:
                server.sendall(start)
                threading.Thread(target=_copy, args=(server, client), daemon=True).start()
                _copy(client, server)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def _exactly(peer: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = peer.recv(size - len(data))
        if not more:
            raise ConnectionError
        data += more
    return data


def startup(client: socket.socket) -> bytes:
    size = _exactly(client, 4)
    return size + _exactly(client, struct.unpack("!i", size)[0] - 4)


def message(peer: socket.socket) -> bytes:
    head = _exactly(peer, 5)
    return head + _exactly(peer, struct.unpack("!i", head[1:])[0] - 4)


def _relay_answer(server: socket.socket, client: socket.socket) -> bytes:
    """Hands the server's messages on up to ReadyForQuery; returns its state: I, T (in a transaction) or E (a failed one)."""
    while True:
        answer = message(server)
        client.sendall(answer)
        if answer[:1] == b"Z":
            return answer[5:6]

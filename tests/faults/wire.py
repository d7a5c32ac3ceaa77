"""A proxy with faults between a client of Postgres and its server: it hands messages on unchanged, except at one commit.

    with PostgresProxy(dsn) as proxy:                    # the client is given proxy.dsn
        proxy.before_commit(of="update ops.published", do=restart)
        proxy.lose_commit(of="update ops.published")     # the server commits, the client never hears

A commit is `of` something where a statement before it in its transaction held these words. It speaks the wire protocol:
https://www.postgresql.org/docs/current/protocol-message-formats.html.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from tests.faults.loopback import InFrontOfPostgres
from tests.faults.pooler import NO_TLS, message, startup

CANCEL = 80877102


@dataclass
class Rule:
    """Whose commit it is for, and what happens; it acts once."""

    of: str
    do: Callable[[], object] | None = None
    lose: bool = False
    hits: int = 0


@dataclass
class Connection:
    """Both ends of one session; `seen`: the statements of its transaction."""

    client: socket.socket
    server: socket.socket
    seen: list[str] = field(default_factory=list)
    is_mute: bool = False
    committed: threading.Event = field(default_factory=threading.Event)

    def close(self) -> None:
        for end in (self.client, self.server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


class PostgresProxy(InFrontOfPostgres):
    """A proxy on a port of its own in front of the server of `dsn`."""

    def __init__(self, dsn: str) -> None:
        super().__init__(dsn)
        self._rules = list[Rule]()

    def before_commit(self, of: str, do: Callable[[], object]) -> Rule:
        """Does something when the client has asked for the commit, and before the server hears of it."""
        self._rules.append(Rule(of, do))
        return self._rules[-1]

    def lose_commit(self, of: str) -> Rule:
        """Lets the server commit, and ends the connection instead of answering."""
        self._rules.append(Rule(of, lose=True))
        return self._rules[-1]

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError):
            start = startup(client)
            while struct.unpack("!i", start[4:8])[0] in NO_TLS:
                client.sendall(b"N")
                start = startup(client)
            server = socket.create_connection((self._parts["host"], int(self._parts["port"])))
            server.sendall(start)
            connection = Connection(client, server)
            if struct.unpack("!i", start[4:8])[0] != CANCEL:
                threading.Thread(target=self._answers, args=(connection,), daemon=True).start()
                self._questions(connection)
            connection.close()
            return
        client.close()

    def _questions(self, connection: Connection) -> None:
        with suppress(OSError):
            while True:
                asked = message(connection.client)
                rule = self._rule(connection, asked)
                if rule and rule.do:
                    rule.do()
                if rule and rule.lose:
                    connection.is_mute = True
                connection.server.sendall(asked)
                if rule and rule.lose:
                    connection.committed.wait(30)
                    return

    def _rule(self, connection: Connection, asked: bytes) -> Rule | None:
        """The rule for a commit; a statement is remembered until then."""
        if asked[:1] != b"Q":
            return None
        statement = asked[5:-1].decode(errors="replace")
        if statement.upper() in ("COMMIT", "ROLLBACK"):
            seen, connection.seen = connection.seen, []
            for rule in self._rules if statement.upper() == "COMMIT" else ():
                if not rule.hits and any(rule.of in each for each in seen):
                    rule.hits += 1
                    return rule
            return None
        connection.seen.append(statement)
        return None

    def _answers(self, connection: Connection) -> None:
        with suppress(OSError):
            while True:
                answer = message(connection.server)
                if not connection.is_mute:
                    connection.client.sendall(answer)
                elif answer[:1] == b"Z":
                    connection.committed.set()
        connection.committed.set()
        connection.close()

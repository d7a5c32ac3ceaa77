"""A proxy with faults between a client of S3 and its store: it hands signed bytes on unchanged, except where a rule says so.

    with FaultProxy(minio.endpoint) as proxy:                     # the client's endpoint is proxy.endpoint
        proxy.answer(503, "GET", "*.parquet", times=3)            # the store is not asked
        lost = proxy.drop_reply("PUT", "*/_delta_log/*.json")     # the store does it, the client never hears
        …
        assert lost.hits == 1

A signature covers the Host header, so the request's head goes on byte for byte, with the proxy's own address in it. Keys
are `bucket/key`, as paths with path style are, and are matched like file names: `*` stands for anything. Every rule that
matches acts, in the order they were made, until one ends the request. It runs in a thread of its own.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from http import HTTPStatus
from types import TracebackType
from urllib.parse import unquote, urlsplit

LIMIT = 1 << 20  # the longest line of a head
NO_BODY = (204, 304)


@dataclass(frozen=True)
class Request:
    """What the client sent: the head as it came, the body in the framing it came in."""

    method: str
    key: str
    query: str
    head: bytes
    body: bytes


@dataclass(frozen=True)
class Reply:
    """What the store answered, or is said to have answered."""

    status: int
    head: bytes
    body: bytes


@dataclass
class Rule:
    """Which requests it is for, how often it acts (None: always; with `each`, on each key), and what it does.

    `hits` says how often it did.
    """

    method: str
    key: str
    query: str
    times: int | None
    before: Callable[[Request], Reply | None] | None = None
    after: Callable[[Request, Reply], Reply | None] | None = None
    wait: float = 0
    cut: int | None = None
    lose: bool = False
    reset: bool = False
    each: bool = False
    hits: int = 0
    of_key: dict[str, int] = field(default_factory=dict)

    def takes(self, request: Request) -> bool:
        """Whether it acts on a request, which then counts as a hit."""
        matches = all(
            fnmatchcase(text, pattern)
            for text, pattern in ((request.method, self.method), (request.key, self.key), (request.query, self.query))
        )
        so_far = self.of_key.get(request.key, 0) if self.each else self.hits
        if not matches or (self.times is not None and so_far >= self.times):
            return False
        self.hits += 1
        self.of_key[request.key] = so_far + 1
        return True


class FaultProxy:
    """A proxy on a port of its own in front of `store`, a URL. `log` has method, key and status of every request answered."""

    def __init__(self, store: str) -> None:
        parts = urlsplit(store)
        self._store = (parts.hostname or "", parts.port or 80)
        self._rules: list[Rule] = []
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.log: list[tuple[str, str, int]] = []
        self.port = 0

    @property
    def endpoint(self) -> str:
        """The URL that the client is given instead of the store's."""
        return f"http://127.0.0.1:{self.port}"

    def answer(self, status: int, method: str = "*", key: str = "*", **when: object) -> Rule:
        """Answers by itself with a status; the store is not asked."""
        return self._add(method, key, when, before=lambda _: error(status))

    def drop_reply(self, method: str = "*", key: str = "*", **when: object) -> Rule:
        """Lets the store do it, and ends the connection instead of answering."""
        return self._add(method, key, when, lose=True)

    def delay(self, seconds: float, method: str = "*", key: str = "*", **when: object) -> Rule:
        """Waits before it asks the store."""
        return self._add(method, key, when, wait=seconds)

    def reset(self, method: str = "*", key: str = "*", **when: object) -> Rule:
        """Resets the connection; the store is not asked."""
        return self._add(method, key, when, reset=True)

    def truncate(self, size: int, method: str = "GET", key: str = "*", **when: object) -> Rule:
        """Ends the connection after so many bytes of the reply's body, of which the head promised all."""
        return self._add(method, key, when, cut=size)

    def before(
        self, hook: Callable[[Request], Reply | None], method: str = "*", key: str = "*", **when: object
    ) -> Rule:
        """Calls a function, which may block, before the store is asked; a Reply of its own takes the store's place."""
        return self._add(method, key, when, before=hook)

    def after(
        self, hook: Callable[[Request, Reply], Reply | None], method: str = "*", key: str = "*", **when: object
    ) -> Rule:
        """Calls a function, which may block, before the client hears; a Reply of its own takes the place of the store's."""
        return self._add(method, key, when, after=hook)

    def ask(self, request: Request) -> Reply:
        """The store's answer to a request, for a hook that does more around it."""
        return asyncio.run(self._ask(request))

    def clear(self) -> None:
        """Forgets every rule and the log."""
        self._rules.clear()
        self.log.clear()

    def __enter__(self) -> FaultProxy:
        self._thread.start()
        self._started.wait(30)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)

    def _add(self, method: str, key: str, when: dict[str, object], **action: object) -> Rule:
        """A rule; `when` may hold `query`, a pattern, `times` and `each`."""
        action["each"] = when.pop("each", False)
        rule = Rule(method, key, when.pop("query", "*"), when.pop("times", None), **action)  # type: ignore[arg-type]
        if when:
            raise TypeError(f"a rule has no {', '.join(when)}")
        self._rules.append(rule)
        return rule

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0, limit=LIMIT))
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of the client, request after request."""
        with suppress(OSError, EOFError, asyncio.CancelledError):
            try:
                is_open = True
                while is_open:
                    request = await _read_request(reader, writer)
                    is_open = request is not None and await self._handle(request, writer)
            finally:
                writer.close()

    async def _handle(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        """Answers one request as the rules want it; False where the connection is over."""
        rules = [rule for rule in list(self._rules) if rule.takes(request)]
        reply: Reply | None = None
        for rule in rules:
            await asyncio.sleep(rule.wait)
            if rule.reset:
                return _reset(writer)
            if rule.before and reply is None:
                reply = await asyncio.to_thread(rule.before, request)
        if reply is None:
            try:
                reply = await self._ask(request)
            except (OSError, EOFError):  # the store is down
                return _reset(writer)
        for rule in rules:
            if rule.after:
                reply = await asyncio.to_thread(rule.after, request, reply) or reply
        self.log.append((request.method, request.key, reply.status))
        if any(rule.lose for rule in rules):
            return _reset(writer)
        cuts = [rule.cut for rule in rules if rule.cut is not None]
        body = b"" if request.method == "HEAD" else reply.body
        writer.write(reply.head + body[: min(cuts) if cuts else None])
        await writer.drain()
        return not cuts

    async def _ask(self, request: Request) -> Reply:
        """The store's answer, by a connection for this request alone."""
        reader, writer = await asyncio.open_connection(*self._store, limit=LIMIT)
        try:
            writer.write(request.head + request.body)
            await writer.drain()
            status = 100
            while status < 200:  # 100 Continue was answered by us already
                head = await reader.readuntil(b"\r\n\r\n")
                status = int(head.split(b" ", 2)[1])
            bodiless = request.method == "HEAD" or status in NO_BODY
            return Reply(status, head, b"" if bodiless else await _read_body(reader, head, to_the_end=True))
        finally:
            writer.close()


def error(status: int) -> Reply:
    """An error as S3 words it."""
    words = HTTPStatus(status).phrase
    code = {503: "SlowDown", 500: "InternalError", 501: "NotImplemented"}.get(status, words.replace(" ", ""))
    body = f"<Error><Code>{code}</Code><Message>{words}</Message></Error>".encode()
    head = f"HTTP/1.1 {status} {words}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n"
    return Reply(status, head.encode(), body)


async def _read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request | None:
    """The client's next request; None where it has closed the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    method, target, _ = head.split(b"\r\n", 1)[0].decode("ascii").split(" ", 2)
    if _header(head, b"expect").lower() == b"100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    path, _, query = target.partition("?")
    return Request(method, unquote(path).lstrip("/"), query, head, await _read_body(reader, head))


async def _read_body(reader: asyncio.StreamReader, head: bytes, *, to_the_end: bool = False) -> bytes:
    """A body in its own framing; `to_the_end` where a reply without any ends with its connection."""
    if _header(head, b"transfer-encoding").lower() == b"chunked":
        body, left = b"", 1
        while left:
            size = await reader.readuntil(b"\r\n")
            left = int(size.split(b";")[0], 16)
            body += size + await reader.readexactly(left + 2)
        return body
    length = _header(head, b"content-length")
    if length:
        return await reader.readexactly(int(length))
    return await reader.read() if to_the_end else b""


def _header(head: bytes, name: bytes) -> bytes:
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip()
    return b""


def _reset(writer: asyncio.StreamWriter) -> bool:
    """Ends a connection so that the other side sees it broken, not closed."""
    peer = writer.get_extra_info("socket")
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    return False

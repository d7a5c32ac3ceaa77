"""A web server of a test's own."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


class Handler(BaseHTTPRequestHandler):
    """Answers what a test's subclass says to what is asked (GET), posted, put and deleted, and writes no log."""

    def do_GET(self) -> None:
        self.get()

    def do_POST(self) -> None:
        self.post(self.rfile.read(int(self.headers["Content-Length"])))

    def do_PUT(self) -> None:
        self.put(self.rfile.read(int(self.headers["Content-Length"])))

    def do_DELETE(self) -> None:
        self.delete()

    def get(self) -> None:
        self.answer(405)

    def put(self, body: bytes) -> None:
        self.answer(405)

    def delete(self) -> None:
        self.answer(405)

    def post(self, body: bytes) -> None:
        self.answer(405)

    def log_message(self, *_: object) -> None:
        """Nothing: it would stand among the words of the tests."""

    def answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving(handler: type[Handler]) -> Iterator[str]:
    """Its address, while it runs."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


@contextmanager
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A proxy that the environment names for every server: what it was asked for, which it hands on to nobody."""
    seen: list[str] = []

    class Proxy(Handler):
        def get(self) -> None:
            seen.append(self.path)
            self.answer(502)

        def post(self, body: bytes) -> None:
            self.get()

    with serving(Proxy) as url:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, url)
            monkeypatch.setenv(name.upper(), url)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        yield seen


@contextmanager
def receiver(received: list[dict[str, Any]]) -> Iterator[str]:
    """The address of one that keeps what is posted to it."""

    class Receiver(Handler):
        def post(self, body: bytes) -> None:
            received.append(json.loads(body))
            self.answer(204)

    with serving(Receiver) as url:
        yield f"{url}/alerts"

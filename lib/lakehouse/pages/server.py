"""Serves the Data Docs: the bucket beside an s3a:// lake, or the folder in LAKEHOUSE_HOME. Read-only, on loopback.

    .venv/bin/python -m lakehouse.pages.server [--host 127.0.0.1] [--port 8088] [--certificate FILE --key FILE]

What is served are pages by their names, nothing else: no listing, no hidden file, nothing outside of the Data Docs. There
is no login, so another host than loopback is for a network that only its readers are on. `/health` answers 200 while the
server lives, whether or not there are pages.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import logging
import re
import signal
import ssl
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from tornado.web import Application, HTTPError, RequestHandler

from lakehouse import log
from lakehouse.contracts import resource_folder
from lakehouse.errors import ConfigError, LakehouseError, StoreError
from lakehouse.pages.store import CHUNK, NAME, DocsBucket, Page, content_type, place
from lakehouse.settings import Settings, load_settings

T = TypeVar("T")
FRONT_PAGE = "index.html"
# Names as Data Docs have them; what begins with a dot is being written, and `..` leads out.
PAGE = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]*/)*[A-Za-z0-9][A-Za-z0-9._-]*\.(?:html|css|LICENSE)")
SCRIPT = (resource_folder("pages") / "assets" / "search.js").read_bytes()
SEARCH = f"sha256-{base64.b64encode(hashlib.sha256(SCRIPT).digest()).decode()}"
HEADERS = {
    # Pages change in place: a browser that has one asks whether it still holds.
    "Cache-Control": "no-cache",
    # Pages bring their styles and need nothing else; of scripts the catalogue's search alone may run, as we wrote it.
    "Content-Security-Policy": "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    f"script-src '{SEARCH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Server": "lakehouse",
}
# dbt's page is a program: its scripts may run, and may reach nothing all the same.
OF_DBT = "dbt/index.html"
PROGRAM = ("default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data:; font-src data:; "
           "base-uri 'none'; form-action 'none'; frame-ancestors 'none'")  # fmt: skip
FAULTS = {
    404: "There is no such page. Data Docs begin at / once a run has ended.",
    405: "Pages can only be read.",
    502: "The store of the Data Docs does not answer; the log of this server says more.",
}


class DocsFolder:
    """The folder as a store of pages."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, name: str) -> Page | None:
        """One page; None where there is none, or where its name leads out of the folder by a link."""
        path = (self._folder / name).resolve()
        if not path.is_file() or not path.is_relative_to(self._folder.resolve()):
            return None
        file = path.stat()
        return Page(file.st_size, f'"{file.st_mtime_ns:x}-{file.st_size:x}"', _pieces(path))


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as page:
        while piece := page.read(CHUNK):
            yield piece


class Handler(RequestHandler):
    """What every answer has in common."""

    def set_default_headers(self) -> None:
        """Those of every answer."""
        for name, value in HEADERS.items():
            self.set_header(name, value)

    def write_error(self, status_code: int, **_: object) -> None:
        """One sentence, whatever went wrong."""
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(FAULTS.get(status_code, "This did not work.") + "\n")


class Health(Handler):
    """Says that the server lives."""

    def get(self) -> None:
        """Nothing is looked at: a server without pages lives too."""
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish("ok\n")

    head = get


class Pages(Handler):
    """A page by its name; a folder is its index."""

    def initialize(self, store: DocsFolder | DocsBucket) -> None:
        """What the application hands to each request."""
        self.store = store

    async def get(self, path: str) -> None:
        """The page, or only that it still holds; HTTPError for what is no page."""
        name = f"{path}{FRONT_PAGE}" if not path or path.endswith("/") else path
        if not PAGE.fullmatch(name):
            raise HTTPError(404)
        page = await self._off_the_loop(self.store.open, name)
        if page is None:
            raise HTTPError(404)
        self.set_header("Content-Type", content_type(name))
        self.set_header("Etag", page.etag)
        if name == OF_DBT:
            self.set_header("Content-Security-Policy", PROGRAM)
        if self.check_etag_header():
            self.set_status(304)
            return
        self.set_header("Content-Length", page.length)
        if self.request.method == "GET":
            while piece := await self._off_the_loop(next, page.pieces, b""):
                self.write(piece)
                await self.flush()

    head = get

    async def _off_the_loop(self, call: Callable[..., T], *arguments: object) -> T:
        """A call that waits for a disk or a store, without everybody else waiting too."""
        try:
            return await asyncio.get_running_loop().run_in_executor(None, call, *arguments)
        except StoreError as e:
            log.warning("docs.store_failed", reason=str(e))
            raise HTTPError(502) from None


def application(settings: Settings) -> Application:
    """The server of the Data Docs that these settings lead to."""
    where = place(settings)
    store = DocsBucket(settings, where) if where else DocsFolder(settings.home / NAME)
    return Application([(r"/health", Health), (r"/(.*)", Pages, {"store": store})], log_function=_logged)


def _logged(handler: RequestHandler) -> None:
    if not isinstance(handler, Health):
        log.event("docs.request", method=handler.request.method, status=handler.get_status())


def certificate(file: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """TLS by a certificate and its key (PEM), or none where neither is named. Raises ConfigError where they do not hold."""
    if file is None and key is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(str(file), str(key))
    except OSError:  # ssl's own too, whose words say nothing of the file
        raise ConfigError(
            "--certificate and --key must name a certificate and its key (PEM) that can be read"
        ) from None
    return context


async def serve(settings: Settings, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
    """Serves until the process is asked to end. Raises ConfigError where the port is not to be had."""
    try:
        server = application(settings).listen(
            port, host, ssl_options=tls, max_body_size=1024, idle_connection_timeout=60
        )
    except OSError as e:
        raise ConfigError(f"{host}:{port} cannot be served on ({e.strerror}): give another --host or --port") from None
    log.event("docs.serving", host=host, port=port)
    ended = asyncio.Event()
    for sign in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(sign, ended.set)
    await ended.wait()
    server.stop()
    await server.close_all_connections()


def main() -> None:
    """Serves by the words of the command line; what is refused is a line of the log and its exit code."""
    words = argparse.ArgumentParser(description="Serves the Data Docs, read-only.")
    words.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    words.add_argument("--port", default=8088, type=int, help="port to listen on (default: %(default)s)")
    words.add_argument("--certificate", type=Path, help="certificate to show (PEM), for TLS")
    words.add_argument("--key", type=Path, help="its key (PEM)")
    given = words.parse_args()
    log.to_json_lines()
    logging.getLogger("tornado").setLevel(logging.CRITICAL)
    try:
        tls = certificate(given.certificate, given.key)
        asyncio.run(serve(load_settings(), given.host, given.port, tls))
    except LakehouseError as e:
        log.event("docs.refused", code=e.exit_code, message=str(e))
        sys.exit(e.exit_code)


if __name__ == "__main__":
    main()

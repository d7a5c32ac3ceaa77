"""Two small web servers for this machine alone: one answers scrapes, the other takes alerts as Alertmanager does.

`GET /metrics` is the scrape, `POST /api/v2/alerts` what vmalert calls, `GET /health` answers while the server lives.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from pydantic import TypeAdapter, ValidationError

from lakehouse import log
from lakehouse.errors import ConfigError
from lakehouse.monitoring.alerts import Alert, Told, handle
from lakehouse.settings import Settings

LARGEST_POST = 10_000_000
TEXT = "text/plain; charset=utf-8"
POSTED = TypeAdapter(list[Alert])
# What was posted, each with the moment at which it came.
Posts = Queue[tuple[datetime, list[Alert]]]


def exposition(collector: Collector) -> bytes:
    """What a scrape is answered."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    return generate_latest(registry)


class _Handler(BaseHTTPRequestHandler):
    """What both servers have in common."""

    server_version, sys_version = "lakehouse", ""
    timeout = 30

    def do_GET(self) -> None:
        """Health, and what a server shows."""
        if self.path == "/health":
            self.answer(200, b"ok\n")
        else:
            self.get()

    def get(self) -> None:
        self.answer(404, b"There is no such page.\n")

    def answer(self, status: int, body: bytes = b"", kind: str = TEXT) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: a scrape twice a minute is no news."""


def metrics_server(collector: Collector, host: str, port: int) -> ThreadingHTTPServer:
    """A server of metrics that does not serve yet. Raises ConfigError where the port is not to be had."""

    class Metrics(_Handler):
        def get(self) -> None:
            if self.path.partition("?")[0] == "/metrics":
                self.answer(200, exposition(collector), CONTENT_TYPE_LATEST)
            else:
                super().get()

    return _listening(Metrics, host, port)


def alerts_server(settings: Settings, host: str, port: int) -> ThreadingHTTPServer:
    """A server that takes alerts, and a thread that tells them, one post after the other."""
    posts = Posts()

    class Alerts(_Handler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            if self.path != "/api/v2/alerts":
                self.answer(404, b"Alerts are posted to /api/v2/alerts.\n")
            elif length > LARGEST_POST:
                self.answer(413)
            else:
                try:
                    posts.put((datetime.now(UTC), POSTED.validate_json(self.rfile.read(length))))
                    self.answer(200)
                except ValidationError:
                    self.answer(400, b"This is not a list of alerts in the form of Alertmanager's API, version 2.\n")

    server = _listening(Alerts, host, port)
    told = Told(settings.home / "monitoring" / "alerts.json")
    threading.Thread(target=_tell, args=(posts, told, settings), name="alerts", daemon=True).start()
    return server


def _tell(posts: Posts, told: Told, settings: Settings) -> None:
    while True:
        # Whether an alert is over is as of its post: a receiver that is slow to answer may let posts wait for minutes.
        came_at, alerts = posts.get()
        try:
            handle(alerts, told, settings, came_at, time.sleep)
        except OSError as e:  # the file of what was told
            log.warning("alert.not_kept", reason=e.strerror)
        except Exception as e:  # noqa: BLE001 - the next alert is told, whatever was wrong with this one
            log.warning("alert.not_told", reason=type(e).__name__)


def serve(make: Callable[[], ThreadingHTTPServer], what: str) -> None:
    """Serves until the process is asked to end."""
    with make() as server:
        for sign in (signal.SIGINT, signal.SIGTERM):
            signal.signal(sign, lambda *_: threading.Thread(target=server.shutdown).start())
        log.event(f"{what}.serving", host=server.server_address[0], port=server.server_address[1])
        server.serve_forever()


def _listening(handler: type[BaseHTTPRequestHandler], host: str, port: int) -> ThreadingHTTPServer:
    try:
        return ThreadingHTTPServer((host, port), handler)
    except OSError as e:
        raise ConfigError(f"{host}:{port} cannot be served on ({e.strerror}): give another --host or --port") from None

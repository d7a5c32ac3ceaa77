"""What is asked of Airflow over a long backfill: every page of its runs, and patience while its web server is away."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from lakehouse.stores.airflow import Airflow

pytestmark = pytest.mark.unit
PAGE = 100  # Airflow's maximum_page_limit
DAYS = [date(2026, 1, 1) + timedelta(days=n) for n in range(130)]


class Handler(BaseHTTPRequestHandler):
    """One ended backfill of 130 days, of which only the last failed; the first question about it is not answered."""

    away: ClassVar[list[bool]] = [True]

    def do_POST(self) -> None:
        self.answer(201, {"access_token": "token"})

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/api/v2/backfills/7":
            if self.away:
                self.away.pop()
                self.answer(503, {})
                return
            self.answer(200, {"dag_id": "dag", "from_date": "a", "to_date": "b", "completed_at": "c"})
            return
        begin = int(parse_qs(url.query)["offset"][0])
        states = ["failed" if day == DAYS[-1] else "success" for day in DAYS][begin : begin + PAGE]
        self.answer(200, {"dag_runs": [{"state": s} for s in states], "total_entries": len(DAYS)})

    def answer(self, status: int, body: object) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def airflow() -> Iterator[Airflow]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Airflow(f"http://127.0.0.1:{server.server_port}", "admin", "secret")
        server.shutdown()


def test_a_failure_behind_the_first_page_is_counted_and_a_web_server_that_was_away_is_asked_again(
    airflow: Airflow,
) -> None:
    assert airflow.wait([7]) == {"success": 129, "failed": 1}

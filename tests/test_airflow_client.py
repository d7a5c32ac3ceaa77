"""What is asked of Airflow over a long backfill: every page of its runs, and patience while its web server is away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from lakehouse.airflow import Airflow
from tests.web_server import Handler, serving

pytestmark = pytest.mark.unit
PAGE = 100  # Airflow's maximum_page_limit
DAYS = [date(2026, 1, 1) + timedelta(days=n) for n in range(130)]


class Backfilled(Handler):
    """One ended backfill of 130 days, of which only the last failed; the first question about it is not answered."""

    away: ClassVar[list[bool]] = [True]

    def post(self, body: bytes) -> None:
        self.answer(201, json.dumps({"access_token": "token"}).encode())

    def get(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/api/v2/backfills/7":
            if self.away:
                self.away.pop()
                self.answer(503)
                return
            found = {"dag_id": "dag", "from_date": "a", "to_date": "b", "completed_at": "c"}
            self.answer(200, json.dumps(found).encode())
            return
        begin = int(parse_qs(url.query)["offset"][0])
        states = ["failed" if day == DAYS[-1] else "success" for day in DAYS][begin : begin + PAGE]
        page = {"dag_runs": [{"state": state} for state in states], "total_entries": len(DAYS)}
        self.answer(200, json.dumps(page).encode())


@pytest.fixture
def airflow() -> Iterator[Airflow]:
    with serving(Backfilled) as url:
        yield Airflow(url, "admin", "secret")


def test_a_failure_behind_the_first_page_is_counted_and_a_web_server_that_was_away_is_asked_again(
    airflow: Airflow,
) -> None:
    assert airflow.wait([7]) == {"success": 129, "failed": 1}

"""Airflow, by its public REST API: asks it to run the three DAGs over a range of days, and waits for what becomes of it."""

from __future__ import annotations

import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from lakehouse.errors import ConfigError, LedgerError, StoreError

# Each layer's DAG, upstream first.
DAGS = {
    "bronze": "daily_bronze_ingestion",
    "silver": "daily_silver_transformation",
    "gold": "daily_gold_aggregation",
}
POLL_SECONDS = 5
# A web server that is started again is back by then; the backfill goes on without it.
PATIENCE_SECONDS = 300


class Airflow:
    """One Airflow as one of its users. Raises ConfigError where it does not let the user in, StoreError where it is away.

    `ca_file`: certificates to trust of an https:// address, beside those that everybody trusts.
    """

    def __init__(self, url: str, user: str, password: str, ca_file: Path | None = None) -> None:
        trusted = ssl.create_default_context()
        if ca_file:
            trusted.load_verify_locations(ca_file)
        self._client = httpx.Client(base_url=url.rstrip("/"), timeout=30, trust_env=False, verify=trusted)
        self._url, self._user, self._password = url, user, password

    def check(self, dag: str, first: datetime, last: datetime, days: int) -> None:
        """Raises LedgerError where Airflow would not run the DAG for each of the days: asked before anything is begun."""
        newest = self._call("GET", "/api/v2/backfills", dag, params={"dag_id": dag, "order_by": "-id", "limit": 1})
        if any(b["completed_at"] is None for b in newest["backfills"]):
            raise LedgerError(_at_work(dag))
        if self._call("GET", f"/api/v2/dags/{dag}", dag)["is_paused"]:
            raise LedgerError(
                f"{dag} is paused, so its runs would wait for ever; unpause it in Airflow, then ask again"
            )
        would = self._call("POST", "/api/v2/backfills/dry_run", dag, json=_request(dag, first, last, again=True))
        if (runs := would["total_entries"]) != days:
            raise LedgerError(f"Airflow would run {dag} for {runs} of {days} days; the others are at work there, or the "
                              f"last is not due yet: ask again later, or for fewer days")  # fmt: skip

    def backfill(self, dag: str, first: datetime, last: datetime, *, again: bool = False) -> int:
        """Asks for the DAG's runs from `first` to `last` (logical dates, both within); returns the backfill's number.

        A run that succeeded is left alone unless `again`; one that failed is run again.
        """
        return int(self._call("POST", "/api/v2/backfills", dag, json=_request(dag, first, last, again=again))["id"])

    def wait(self, backfills: Iterable[int], told: Callable[[dict[str, int]], None] | None = None) -> dict[str, int]:
        """Waits until every run of the backfills has ended; returns how many ended in each state.

        `told` is called with the counts so far whenever they change.
        """
        numbers, counts = list(backfills), dict[str, int]()
        while True:
            ended, now = self._look(numbers)
            if told and now != counts:
                told(now)
            counts = now
            if ended:
                return counts
            time.sleep(POLL_SECONDS)

    @retry(retry=retry_if_exception_type(StoreError), stop=stop_after_delay(PATIENCE_SECONDS),
           wait=wait_fixed(POLL_SECONDS), reraise=True)  # fmt: skip
    def _look(self, backfills: list[int]) -> tuple[bool, dict[str, int]]:
        """Whether all have ended, and how many of their runs are in each state."""
        found = [self._call("GET", f"/api/v2/backfills/{number}") for number in backfills]
        counts = Counter(run["state"] for of in found for run in self._runs(of))
        return all(of["completed_at"] for of in found), dict(counts)

    def _runs(self, backfill: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Page by page: the server cuts a page to a length of its own."""
        asked = {"run_type": "backfill", "logical_date_gte": backfill["from_date"],
                 "logical_date_lte": backfill["to_date"], "order_by": "logical_date"}  # fmt: skip
        seen, total = 0, 1
        while seen < total:
            page = self._call("GET", f"/api/v2/dags/{backfill['dag_id']}/dagRuns", params={**asked, "offset": seen})
            yield from page["dag_runs"]
            total = page["total_entries"] if page["dag_runs"] else seen
            seen += len(page["dag_runs"])

    def _call(self, method: str, path: str, what: str = "", **given: Any) -> dict[str, Any]:
        try:
            if "Authorization" not in self._client.headers:
                self._log_in()
            answer = self._client.request(method, path, **given)
            if answer.status_code == httpx.codes.UNAUTHORIZED:  # a token does not live for ever, a backfill may
                self._log_in()
                answer = self._client.request(method, path, **given)
        except httpx.HTTPError as e:
            raise StoreError(f"Airflow at {self._url} does not answer ({type(e).__name__}); check LAKEHOUSE_AIRFLOW_URL, "
                             f"and that it runs: make status") from None  # fmt: skip
        if answer.status_code == httpx.codes.CONFLICT:
            raise LedgerError(_at_work(what))
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise StoreError(f"Airflow at {self._url} knows no {what or path}; check its DAG folder")
        if answer.is_error:
            raise StoreError(
                f"Airflow at {self._url} refused {method} {path} with {answer.status_code}; its log says why"
            )
        return dict(answer.json())

    def _log_in(self) -> None:
        self._client.headers.pop("Authorization", None)
        answer = self._client.post("/auth/token", json={"username": self._user, "password": self._password})
        if answer.is_error:
            raise ConfigError(f"Airflow at {self._url} does not let {self._user} in ({answer.status_code}); check "
                              f"LAKEHOUSE_AIRFLOW_USER and LAKEHOUSE_AIRFLOW_PASSWORD")  # fmt: skip
        self._client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"


def _at_work(dag: str) -> str:
    return f"Airflow has a backfill of {dag} at work already; wait for it or cancel it there"


def _request(dag: str, first: datetime, last: datetime, *, again: bool) -> dict[str, Any]:
    return {"dag_id": dag, "from_date": first.isoformat(), "to_date": last.isoformat(), "max_active_runs": 1,
            "reprocess_behavior": "completed" if again else "failed"}  # fmt: skip

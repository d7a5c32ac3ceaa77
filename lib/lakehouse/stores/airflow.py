"""Airflow, by its public REST API: asks it to run the three DAGs over a range of days, and waits for what becomes of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import httpx

from lakehouse.errors import ConfigError, LedgerError, StoreError

# Each layer's DAG, upstream first.
DAGS = {
    "bronze": "daily_bronze_ingestion",
    "silver": "daily_silver_transformation",
    "gold": "daily_gold_aggregation",
}
POLL_SECONDS = 5


class Airflow:
    """One Airflow as one of its users. Raises ConfigError where it does not let the user in, StoreError where it is away."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self._client = httpx.Client(base_url=url.rstrip("/"), timeout=30, trust_env=False)
        self._url, self._user, self._password = url, user, password

    def backfill(self, dag: str, first: datetime, last: datetime, *, again: bool = False) -> int:
        """Asks for the DAG's runs from `first` to `last` (logical dates, both within); returns the backfill's number.

        A run that succeeded is left alone unless `again`; one that failed is run again.
        """
        body = {"dag_id": dag, "from_date": first.isoformat(), "to_date": last.isoformat(), "max_active_runs": 1,
                "reprocess_behavior": "completed" if again else "failed"}  # fmt: skip
        return int(self._call("POST", "/api/v2/backfills", dag, json=body)["id"])

    def wait(self, backfills: Iterable[int], told: Callable[[dict[str, int]], None] | None = None) -> dict[str, int]:
        """Waits until every run of the backfills has ended; returns how many ended in each state.

        `told` is called with the counts so far whenever they change.
        """
        numbers, counts = list(backfills), dict[str, int]()
        while True:
            open_ = [n for n in numbers if self._call("GET", f"/api/v2/backfills/{n}")["completed_at"] is None]
            now = self._states(numbers)
            if told and now != counts:
                told(now)
            counts = now
            if not open_:
                return counts
            time.sleep(POLL_SECONDS)

    def _states(self, backfills: list[int]) -> dict[str, int]:
        counts: dict[str, int] = {}
        for number in backfills:
            of = self._call("GET", f"/api/v2/backfills/{number}")
            runs = self._call(
                "GET", f"/api/v2/dags/{of['dag_id']}/dagRuns",
                params={"run_type": "backfill", "logical_date_gte": of["from_date"],
                        "logical_date_lte": of["to_date"], "limit": 1000},
            )["dag_runs"]  # fmt: skip
            for run in runs:
                counts[run["state"]] = counts.get(run["state"], 0) + 1
        return counts

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
            raise LedgerError(f"Airflow has a backfill of {what} at work already; wait for it or cancel it there")
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

"""Dashboards, as VictoriaMetrics serves them: every query of each has an answer."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from lakehouse.database import Database
from lakehouse.errors import StoreError
from lakehouse.monitoring.collector import Scrape
from lakehouse.monitoring.server import exposition
from lakehouse.records import Finding
from tests.conftest import free_port
from tests.monitoring.conftest import Nights
from tests.monitoring.test_anomalies import MONDAY, fill
from tests.monitoring.victoria import running, victoria

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "conf" / "monitoring" / "dashboards"
FILES = sorted(FOLDER.glob("*.json"))
# Series as MinIO and Airflow gave them to a stack; the numbers are made up.
OF_OTHERS = Path(__file__).with_name("scraped.prom")


@pytest.fixture
def filled(nights: Nights, tmp_path: Path) -> Iterator[str]:
    """A VictoriaMetrics that has scraped a ledger three times, and what others gave; its address."""
    fill(nights, 110, nulls=60)
    drift = Finding("bronze", "orders", "schema_new_note", "warning", False, None, None)
    nights.publish("bronze", MONDAY, (drift,), orders=110)
    nights.publish("gold", MONDAY, fact_daily_sales=3)
    nights.execute(
        "create schema gold; create table gold.fact_daily_sales (sales_date date, net_sales numeric, units_sold bigint)"
    )
    nights.execute(
        "insert into gold.fact_daily_sales select %s::date - 7 * n, 10, 7 from generate_series(0, 6) n", MONDAY
    )
    nights.execute("analyze gold.fact_daily_sales")
    scrape = Scrape(Database(nights.dsn, "gold", StoreError), tmp_path)
    up = 'up{job="lakehouse"} 1\nALERTS{alertname="GoldLate",alertstate="firing"} 1\n'
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        victoria("victoria-metrics"), f"-httpListenAddr={url.removeprefix('http://')}", "-search.latencyOffset=0s",
        f"-storageDataPath={tmp_path / 'victoria'}", f"-vmui.customDashboardsPath={FOLDER}",
    ]  # fmt: skip
    with running(command, f"{url}/health", tmp_path / "log"), httpx.Client(base_url=url, timeout=60) as client:
        now = int(time.time() * 1000)
        for number, at in enumerate((now - 120_000, now - 60_000, now - 2_000), start=1):
            # Postgres tells its counters only now and then.
            nights.execute("select count(*), pg_stat_force_next_flush() from ops.runs")
            for text in (exposition(scrape).decode(), up, of_others(number)):
                client.post("/api/v1/import/prometheus", params={"timestamp": at}, content=text).raise_for_status()
        client.get("/internal/force_flush").raise_for_status()
        yield url


def of_others(number: int) -> str:
    """The series of others at the scrape of that number: they grow."""
    return re.sub(
        r"(\d+)$", lambda n: str(int(n[1]) * number), OF_OTHERS.read_text(encoding="utf-8"), flags=re.MULTILINE
    )


def queries(dashboard: dict[str, Any]) -> list[tuple[str, str]]:
    """Title and query of everything that a dashboard shows."""
    return [(p["title"], e) for row in dashboard["rows"] for p in row["panels"] for e in p["expr"]]


@pytest.mark.slow
def test_every_query_of_every_dashboard_that_is_served_has_an_answer(filled: str) -> None:
    with httpx.Client(base_url=filled, timeout=60) as client:
        served = client.get("/vmui/custom-dashboards").raise_for_status().json()["dashboardsSettings"]
        assert sorted(d["filename"] for d in served) == [file.name for file in FILES]
        asked = [(d["title"], *query) for d in served for query in queries(d)]
        empty = [
            f"{dashboard}: {title}: {query}"
            for dashboard, title, query in asked
            if not client.get("/api/v1/query", params={"query": query}).raise_for_status().json()["data"]["result"]
        ]
    assert len(asked) > 30
    assert empty == []


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.name)
def test_a_dashboard_fits_its_file_and_names_its_series(file: Path) -> None:
    dashboard = json.loads(file.read_text(encoding="utf-8"))
    panels = [panel for row in dashboard["rows"] for panel in row["panels"]]
    assert dashboard["filename"] == file.name
    assert [p["title"] for p in panels if len(p["alias"]) != len(p["expr"]) or not 1 <= p["width"] <= 12] == []

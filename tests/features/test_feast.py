"""Feast on the feature tables, for real: point-in-time joins are right to the second, and online is the newest day."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lakehouse.features.tables import without_forgotten
from tests.features.conftest import Features
from tests.features.test_command import url
from tools.features import __main__ as tool
from tools.features.environment import FEATURES
from tools.setup.machine import ROOT

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def feast(shop: Features, *moments: str) -> dict[str, Any]:
    words = [FEATURES.python, Path(__file__).with_name("ask_feast.py"), tool.REPOSITORY, *moments]
    done = subprocess.run(words, env=tool.environment(url(shop)), stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def publish(shop: Features, home: Path) -> subprocess.CompletedProcess[str]:
    """`python -m tools.features`, as `make features` starts it."""
    environment = {"LAKEHOUSE_HOME": str(home), "LAKEHOUSE_GOLD_DSN": url(shop), "PATH": "/usr/bin:/bin", "HOME": str(home),
                   "PYTHONPATH": f"{ROOT / 'lib'}:{ROOT}"}  # fmt: skip
    words = [sys.executable, "-m", "tools.features"]
    return subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True)


def test_joins_are_right_to_the_second_online_is_the_newest_day_and_again_changes_nothing(
    features: Features, tmp_path: Path
) -> None:
    assert FEATURES.mark.is_file(), "Feast is not installed: run `make features`"
    features.ask("drop schema if exists feast cascade")
    features.make("2026-01-25", "2026-01-26")
    done = publish(features, tmp_path)
    assert done.returncode == 0, done.stderr + (tmp_path / "feast" / "feast.log").read_text()
    assert "customer_daily 2, product_daily 1" in done.stdout

    # O2 is of the last instant of 25 January, O3 of the first of 26 January: each counts from the end of its day.
    said = feast(
        features,
        "C1@2026-01-25T23:59:59Z",
        "C1@2026-01-26T00:00:00Z",
        "C1@2026-01-26T00:00:01Z",
        "C2@2026-01-26T23:59:59Z",
        "C2@2026-01-27T00:00:00Z",
        "C2@2026-01-27T00:00:01Z",
        "C3@2026-01-27T00:00:01Z",
        "C1@2026-01-29T00:00:01Z",
    )
    found = {(r["customer_id"], r["event_timestamp"][:19]): r["orders_total"] for r in said["offline"]}
    assert len(said["offline"]) == 8
    assert found == {
        ("C1", "2026-01-25 23:59:59"): None,
        ("C1", "2026-01-26 00:00:00"): 2,
        ("C1", "2026-01-26 00:00:01"): 2,
        ("C2", "2026-01-26 23:59:59"): None,
        ("C2", "2026-01-27 00:00:00"): 1,
        ("C2", "2026-01-27 00:00:01"): 1,
        ("C3", "2026-01-27 00:00:01"): None,
        ("C1", "2026-01-29 00:00:01"): None,  # two days after the newest row: no answer is better than an old one
    }
    assert said["online"] == {
        "customer_id": ["C1", "C2", "C3"],
        "orders_total": [2, 1, None],
        "gross_sales_total": [150.0, 30.0, None],
        "average_days_between_orders": [20.0, None, None],
    }

    content = "select md5(string_agg(t::text, ',' order by t::text)) from (select entity_key, feature_name, value, event_ts from feast.lakehouse_customer_daily) t"
    before = features.ask(content)
    assert publish(features, tmp_path).returncode == 0
    assert features.ask(content) == before

    # A customer without a row of the newest day is not online any more; a forgetting empties the store of customers.
    features.ask(
        "delete from features.features_customer_daily where customer_id = 'C2' and feature_date = '2026-01-26'"
    )
    assert "customer_daily 1, product_daily 1" in publish(features, tmp_path).stdout
    assert without_forgotten(features.database)["feast.lakehouse_customer_daily"] > 0
    assert features.ask("select count(*) from feast.lakehouse_customer_daily") == [(0,)]

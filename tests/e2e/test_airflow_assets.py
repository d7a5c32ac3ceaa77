"""The DAGs with LAKEHOUSE_SCHEDULE=assets, on a real Airflow: each layer starts when the one before has published."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from lakehouse.airflow import DAGS
from tests.conftest import passable_folder
from tests.e2e.stack import AFTERNOON, TASKS, running_stack

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1500)]


def test_silver_and_gold_follow_bronze_by_themselves() -> None:
    settings = {"LAKEHOUSE_SCHEDULE": "assets", "LAKEHOUSE_TIMEZONE": AFTERNOON.key}
    with passable_folder() as folder, running_stack(folder, **settings) as stack:
        airflow = stack.airflow()
        airflow.unpause()
        airflow.ends({"bronze": airflow.trigger("bronze", datetime(1998, 12, 30, 11, 7, tzinfo=AFTERNOON))})
        for layer in ("silver", "gold"):
            path = f"/dags/{DAGS[layer]}/dagRuns?run_type=asset_triggered"
            airflow.until(f"{layer} has started", lambda path=path: airflow.call("GET", path)["dag_runs"])
            airflow.ends({layer: airflow.call("GET", path)["dag_runs"][0]["dag_run_id"]})
        assert stack.runs() == [(layer, date(1998, 12, 29), "published") for layer in TASKS]

"""The three DAGs on a real Airflow: scheduler, DAG processor, triggerer and API server, on Postgres, as `make up` starts them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.conftest import passable_folder
from tests.e2e.stack import TASKS, StackForTests, running_stack

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def stack() -> Iterator[StackForTests]:
    # By hand only: unpaused, each DAG would at once run for yesterday, and the sample's days are long gone.
    by_hand = {"AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False"}
    # A proxy that is not there: what the parts say to each other goes through none.
    dead_proxy = dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"), "http://127.0.0.1:9")
    with passable_folder() as folder, running_stack(folder, **by_hand, **dead_proxy) as started:
        yield started


def test_a_backfill_of_paused_dags_is_refused_before_it_begins(stack: StackForTests) -> None:
    range_ = ("--from", "1998-12-29", "--to", "1998-12-29")
    done = stack.run("lakehouse", "backfill", *range_, "--airflow")
    assert done.returncode == 8, done.stdout + done.stderr
    assert "daily_bronze_ingestion is paused" in done.stdout + done.stderr
    assert stack.query("airflow", "select count(*) from backfill") == [(0,)]


def test_a_day_started_by_hand_goes_through_the_three_dags(stack: StackForTests) -> None:
    airflow = stack.airflow()
    airflow.unpause()
    # Out of order, and at odd hours of the day after: the sensors find the run of the same business date.
    hours = {"gold": 20, "silver": 2, "bronze": 11}
    runs = {layer: airflow.trigger(layer, datetime(1998, 12, 30, hour, 7, tzinfo=UTC)) for layer, hour in hours.items()}

    airflow.ends(runs)

    tasks = {layer: airflow.tasks(layer, run_id) for layer, run_id in runs.items()}
    assert set(tasks["silver"]) == {"wait_for_bronze_ingestion", "transform_to_silver"}
    began = [tasks[layer][task]["start_date"] for layer, task in TASKS.items()]
    assert began == sorted(began)
    runs_of_the_day = "select layer, business_date::text, state from ops.runs order by seq"
    assert stack.query("ecommerce_gold", runs_of_the_day) == [
        (layer, "1998-12-29", "published") for layer in ("bronze", "silver", "gold")
    ]
    [(sales, days)] = stack.query(
        "ecommerce_gold", "select count(*), count(distinct sales_date) from gold.fact_daily_sales"
    )
    assert sales > 90_000
    assert days > 300

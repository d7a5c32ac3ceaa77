"""The three DAGs on a real Airflow: scheduler, DAG processor, triggerer and API server, on Postgres, as `make up` starts them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any

import pytest

from lakehouse.airflow import DAGS
from tests.conftest import passable_folder
from tests.e2e.stack import AFTERNOON, HOURS, LOOPBACK, TASKS, StackForTests, running_stack
from tests.web_server import receiver

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1500)]
BY_HAND = date(1998, 12, 29)


@pytest.fixture(scope="module")
def alerts() -> list[dict[str, Any]]:
    return []


@pytest.fixture(scope="module")
def stack(alerts: list[dict[str, Any]]) -> Iterator[StackForTests]:
    # A proxy that is not there: what the parts say to each other goes through none.
    dead_proxy = dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"), "http://127.0.0.1:9")
    with (
        passable_folder() as folder,
        receiver(alerts) as url,
        running_stack(folder, LAKEHOUSE_TIMEZONE=AFTERNOON.key, LAKEHOUSE_ALERT_WEBHOOK=url, **dead_proxy) as started,
    ):
        yield started


def let_fire(stack: StackForTests, layer: str, at: datetime) -> str:
    """Makes a time of a DAG come; returns the run that the scheduler then starts by itself."""
    columns = (
        "next_dagrun",
        "next_dagrun_create_after",
        "next_dagrun_data_interval_start",
        "next_dagrun_data_interval_end",
    )
    plan = ", ".join(f"{column} = '{at.isoformat()}'" for column in columns)
    runs: list[dict[str, Any]] = []

    def started() -> bool:
        # Again and again: whenever the DAG processor reads the DAG it writes the plan again.
        stack.query("airflow", f"update dag set {plan} where dag_id = '{DAGS[layer]}'")
        runs[:] = stack.airflow().call("GET", f"/dags/{DAGS[layer]}/dagRuns?run_type=scheduled")["dag_runs"]
        return bool(runs)

    stack.airflow().until(f"{layer} has started by itself", started)
    return str(runs[0]["dag_run_id"])


def test_a_backfill_of_paused_dags_is_refused_before_it_begins(stack: StackForTests) -> None:
    assert "daily_bronze_ingestion is paused" in refused_backfill(stack)
    assert stack.query("airflow", "select count(*) from backfill") == [(0,)]


def test_a_day_started_by_hand_goes_through_the_three_dags(stack: StackForTests) -> None:
    airflow = stack.airflow()
    airflow.unpause()
    # Out of order, and at odd hours of the day after: the sensors find the run of the same business date.
    hours = {"gold": 20, "silver": 2, "bronze": 11}
    runs = {
        layer: airflow.trigger(layer, datetime(1998, 12, 30, hour, 7, tzinfo=AFTERNOON))
        for layer, hour in hours.items()
    }

    stack.wait_for_bronze(BY_HAND)
    listeners = stack.listeners()
    assert "java" in {program for program, _, _ in listeners}
    assert {ip for _, ip, _ in listeners} <= LOOPBACK

    airflow.ends(runs)

    tasks = {layer: airflow.tasks(layer, run_id) for layer, run_id in runs.items()}
    assert set(tasks["silver"]) == {"wait_for_bronze_ingestion", "transform_to_silver"}
    began = [tasks[layer][task]["start_date"] for layer, task in TASKS.items()]
    assert began == sorted(began)
    assert stack.runs() == [(layer, BY_HAND, "published") for layer in TASKS]
    [(sales, days)] = stack.query(
        "ecommerce_gold", "select count(*), count(distinct sales_date) from gold.fact_daily_sales"
    )
    assert sales > 90_000
    assert days > 300


def test_a_night_starts_by_itself_and_late_gold_is_told(stack: StackForTests, alerts: list[dict[str, Any]]) -> None:
    today = datetime.now(AFTERNOON).date()
    yesterday = today - timedelta(days=1)
    assert stack.run("lakehouse", "sample", "advance", "foodmart", "--to", "1998-12-30").returncode == 0

    runs = {
        layer: let_fire(stack, layer, datetime.combine(today, time(hour), AFTERNOON)) for layer, hour in HOURS.items()
    }
    stack.airflow().ends(runs)

    assert stack.runs()[3:] == [(layer, yesterday, "published") for layer in TASKS]
    assert stack.query("ecommerce_gold", "select count(*) from gold.fact_customer_orders") == [(24_311,)]
    stack.airflow().until("an alert has come", lambda: bool(alerts))
    # Of gold only, which was due at seven; and nothing of the day by hand, which nobody expected at any hour.
    assert [(a["event"], a["run"], a["business_date"]) for a in alerts] == [("late", runs["gold"], str(yesterday))]
    assert "was due at 07:00" in alerts[0]["reason"]


def test_a_backfill_is_refused_before_it_begins_where_another_is_at_work(stack: StackForTests) -> None:
    airflow = stack.airflow()
    day = datetime(1999, 6, 1, HOURS["silver"], tzinfo=AFTERNOON).isoformat()
    other = airflow.call("POST", "/backfills", json={"dag_id": DAGS["silver"], "from_date": day, "to_date": day})

    assert "Airflow has a backfill of daily_silver_transformation at work already" in refused_backfill(stack)

    assert stack.query("airflow", "select dag_id from backfill") == [(DAGS["silver"],)]
    airflow.call("PUT", f"/backfills/{other['id']}/cancel")


def refused_backfill(stack: StackForTests) -> str:
    """What is said where a backfill is refused."""
    done = stack.run("lakehouse", "backfill", "--from", str(BY_HAND), "--to", str(BY_HAND), "--airflow")
    assert done.returncode == 8, done.stdout + done.stderr
    return done.stdout + done.stderr

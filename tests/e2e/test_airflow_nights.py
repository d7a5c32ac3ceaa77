"""Nights of a shop on a real Airflow: three in a row, a failure and its fix, a backfill of five, a scheduler that dies.

Real sales, day by day; gold is held against the control totals after each step.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from lakehouse.airflow import DAGS
from tests.conftest import passable_folder
from tests.e2e.stack import HOURS, StackForTests, running_stack
from tests.e2e.test_samples_by_day import HASHES, TOTALS
from tests.web_server import receiver

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(5400)]
NIGHTS = [date(2011, 11, 30), date(2011, 12, 1), date(2011, 12, 2)]
FIXED, BACKFILLED, KILLED = date(2011, 12, 3), (date(2011, 12, 4), date(2011, 12, 8)), date(2011, 12, 9)


@dataclass
class Story:
    """What was seen on the way."""

    airflow: str = ""
    totals: dict[date, Any] = field(default_factory=dict)
    alerts: list[dict[str, Any]] = field(default_factory=list)
    seconds_to_fail: float = 0
    silver_tasks: dict[str, str] = field(default_factory=dict)
    tries_of_bronze: int = 0
    killed_at_work: list[Any] = field(default_factory=list)
    backfill_states: list[dict[str, Any]] = field(default_factory=list)
    published_twice: list[Any] = field(default_factory=list)
    hashes: dict[str, Any] = field(default_factory=dict)


def totals(stack: StackForTests) -> tuple[Any, ...]:
    return stack.query(
        "ecommerce_gold",
        "select (select count(*) from gold.fact_daily_sales), (select count(*) from gold.fact_customer_orders), "
        "(select count(*) from gold.dim_customers), (select sum(net_sales)::text from gold.fact_daily_sales)",
    )[0]


def at(layer: str, day: date) -> datetime:
    """When the DAG of a layer fires for a business date."""
    following = day + timedelta(days=1)
    return datetime(following.year, following.month, following.day, HOURS[layer], tzinfo=ZoneInfo("UTC"))


@pytest.fixture(scope="module")
def story() -> Iterator[Story]:
    told = Story()
    # By hand only: should a DAG's time come meanwhile, it would run for yesterday, and the sample's days are long gone.
    settings = {"AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False"}
    with passable_folder() as folder, receiver(told.alerts) as url:
        StackForTests(folder).lakehouse("sample", "load", "online_retail", "--until", str(NIGHTS[0]))
        with running_stack(folder, LAKEHOUSE_ALERT_WEBHOOK=url, **settings) as stack:
            told.airflow = stack.url("AIRFLOW")
            stack.airflow().unpause()
            live_through_three_nights(stack, told)
            live_through_a_failure(stack, told)
            live_through_a_backfill(stack, told)
            live_through_a_dying_scheduler(stack, told)
            told.published_twice = stack.query(
                "ecommerce_gold",
                "select layer, business_date from ops.runs where state = 'published' group by 1, 2 having count(*) > 1",
            )  # fmt: skip
        yield told


def live_through_three_nights(stack: StackForTests, told: Story) -> None:
    airflow = stack.airflow()
    for night in NIGHTS:
        stack.lakehouse("sample", "advance", "online_retail", "--to", str(night))
        airflow.ends({layer: airflow.trigger(layer, at(layer, night)) for layer in DAGS})
        told.totals[night] = totals(stack)


def live_through_a_failure(stack: StackForTests, told: Story) -> None:
    airflow = stack.airflow()
    stack.query("ecommerce_source", "alter table customers rename column city to town")
    runs = {layer: airflow.trigger(layer, at(layer, FIXED)) for layer in ("bronze", "silver")}
    airflow.ends({"bronze": runs["bronze"]}, "failed")
    failed = time.monotonic()
    airflow.ends({"silver": runs["silver"]}, "failed")
    told.seconds_to_fail = time.monotonic() - failed
    told.silver_tasks = {name: t["state"] for name, t in airflow.tasks("silver", runs["silver"]).items()}
    told.tries_of_bronze = airflow.tasks("bronze", runs["bronze"])["ingest_to_bronze"]["try_number"]
    airflow.until("the alert has come", lambda: bool(told.alerts))

    stack.query("ecommerce_source", "alter table customers rename column town to city")
    for layer in ("bronze", "silver"):
        airflow.clear(layer, runs[layer])
    runs["gold"] = airflow.trigger("gold", at("gold", FIXED))
    airflow.ends(runs)
    told.totals[FIXED] = totals(stack)


def live_through_a_backfill(stack: StackForTests, told: Story) -> None:
    first, last = BACKFILLED
    stack.lakehouse("sample", "advance", "online_retail", "--to", str(last))
    done = stack.lakehouse("backfill", "--from", str(first), "--to", str(last), "--airflow", "--json",
                           LAKEHOUSE_AIRFLOW_URL=stack.url("AIRFLOW"),
                           LAKEHOUSE_AIRFLOW_PASSWORD=stack.secret("airflow_password"))  # fmt: skip
    told.backfill_states = json.loads(done.stdout)
    told.totals[last] = totals(stack)


def live_through_a_dying_scheduler(stack: StackForTests, told: Story) -> None:
    airflow = stack.airflow()
    stack.lakehouse("sample", "advance", "online_retail", "--to", str(KILLED))
    runs = {layer: airflow.trigger(layer, at(layer, KILLED)) for layer in DAGS}
    scheduler = stack.pid_of("scheduler")
    stack.wait_for_bronze(KILLED)
    os.kill(scheduler, signal.SIGKILL)
    told.killed_at_work = [(layer, state) for layer, day, state in stack.runs() if day == KILLED]
    stack.wait_for_scheduler(scheduler)
    airflow.ends(runs)
    told.totals[KILLED] = totals(stack)
    told.hashes = stack.hashes()


@pytest.mark.parametrize("night", [*NIGHTS, FIXED, BACKFILLED[1], KILLED], ids=str)
def test_gold_has_its_control_totals(story: Story, night: date) -> None:
    assert story.totals[night] == TOTALS[night]


def test_a_failure_that_a_retry_cannot_fix_is_not_retried(story: Story) -> None:
    assert story.tries_of_bronze == 1


def test_silver_fails_at_once_when_bronze_has(story: Story) -> None:
    assert story.silver_tasks == {"wait_for_bronze_ingestion": "failed", "transform_to_silver": "upstream_failed"}
    assert story.seconds_to_fail < 120


def test_a_failure_reaches_the_receiver_once(story: Story) -> None:
    about = [(a["event"], a["dag"], a["business_date"]) for a in story.alerts if a["business_date"] == str(FIXED)]
    assert about == [("failed", "daily_bronze_ingestion", str(FIXED))]
    assert "customers.city is missing" in story.alerts[0]["text"]
    assert story.alerts[0]["log"].startswith(f"{story.airflow}/dags/daily_bronze_ingestion/runs/")


def test_a_backfill_runs_every_dag_for_every_day(story: Story) -> None:
    assert story.backfill_states == [{"state": "success", "runs": 15}]


def test_a_killed_scheduler_comes_back_and_the_day_ends_where_it_should(story: Story) -> None:
    assert story.killed_at_work == [("bronze", "running")]
    assert story.hashes == HASHES


def test_no_day_was_published_twice(story: Story) -> None:
    assert story.published_twice == []

"""Parts of Airflow that are killed while a day goes through its DAGs, and a day whose upstream fails."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg2
import pytest

from lakehouse.server.embedded import EmbeddedPostgres
from tests.conftest import passable_folder
from tests.e2e.small_shop import EVERY_DAY, SCHEMA, SmallShop, day
from tests.e2e.stack import HOURS, StackForTests, running_stack

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(2400)]
KILLED = ("triggerer", "dag-processor", "scheduler")


@dataclass
class Story:
    """What was seen on the way."""

    gold: dict[str, Any] = field(default_factory=dict)
    expected: dict[str, Any] = field(default_factory=dict)
    published: list[Any] = field(default_factory=list)
    waiting: dict[str, str] = field(default_factory=dict)
    at_the_kill: list[Any] = field(default_factory=list)
    seconds_to_fail: float = 0
    silver_tasks: dict[str, str] = field(default_factory=dict)


def at(layer: str, n: int) -> datetime:
    """When the DAG of a layer fires for the nth day."""
    following = day(n) + timedelta(days=1)
    return datetime(following.year, following.month, following.day, HOURS[layer], tzinfo=ZoneInfo("UTC"))


def live(dsn: str, n: int) -> None:
    with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("set timezone = 'UTC'")
        cursor.execute(EVERY_DAY.format(n=n, next=n + 1, day=day(n).isoformat()))


@pytest.fixture(scope="module")
def story(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    seen = Story()
    shop = SmallShop(postgres, "parts", tmp_path_factory.mktemp("parts"))
    shop.live(1)
    seen.expected = shop.gold_hashes()
    shop.close()
    # By hand only: should a DAG's time come meanwhile, it would run for yesterday.
    settings = {"AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False", "LAKEHOUSE_TIMEZONE": "UTC"}
    with passable_folder() as folder:
        source = EmbeddedPostgres(folder / "stack").dsn("ecommerce_source")
        with closing(psycopg2.connect(source)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(SCHEMA)
        live(source, 1)
        with running_stack(folder, **settings) as stack:
            stack.airflow().unpause()
            live_through_killed_parts(stack, seen)
            live_through_a_failed_upstream(stack, seen)
        yield seen


def live_through_killed_parts(stack: StackForTests, seen: Story) -> None:
    airflow = stack.airflow()
    runs = {layer: airflow.trigger(layer, at(layer, 1)) for layer in ("silver", "gold")}
    wait = {"silver": "wait_for_bronze_ingestion", "gold": "wait_for_silver_transformation"}
    airflow.until("both wait", lambda: all(
        airflow.tasks(layer, runs[layer]).get(name, {}).get("state") == "deferred" for layer, name in wait.items()
    ))  # fmt: skip
    seen.waiting = {layer: airflow.tasks(layer, runs[layer])[name]["state"] for layer, name in wait.items()}
    # Last, so that it has not ended when the others have come to wait for it.
    runs["bronze"] = airflow.trigger("bronze", at("bronze", 1))
    stack.wait_for_bronze(day(1))
    dead = {part: stack.pid_of(part) for part in KILLED}
    for pid in dead.values():
        os.kill(pid, signal.SIGKILL)
    seen.at_the_kill = stack.query("ecommerce_gold", "select layer, state from ops.runs")
    airflow.until("all are back", lambda: all(stack.pid_of(part) not in (0, pid) for part, pid in dead.items()))
    airflow.ends(runs)
    seen.gold = stack.hashes()
    seen.published = stack.query(
        "ecommerce_gold", "select layer, count(*) from ops.runs where state = 'published' group by 1 order by 1"
    )


def live_through_a_failed_upstream(stack: StackForTests, seen: Story) -> None:
    airflow = stack.airflow()
    live(stack.dsn("ecommerce_source"), 2)
    stack.query("ecommerce_source", "alter table customers rename column city to town")
    runs = {layer: airflow.trigger(layer, at(layer, 2)) for layer in ("bronze", "silver")}
    airflow.ends({"bronze": runs["bronze"]}, "failed")
    failed = time.monotonic()
    airflow.ends({"silver": runs["silver"]}, "failed")
    seen.seconds_to_fail = time.monotonic() - failed
    seen.silver_tasks = {name: t["state"] for name, t in airflow.tasks("silver", runs["silver"]).items()}


@pytest.mark.fault("F18")
def test_a_day_goes_on_when_scheduler_triggerer_and_dag_processor_were_killed_and_publishes_once(story: Story) -> None:
    assert story.waiting == {"silver": "deferred", "gold": "deferred"}
    assert story.at_the_kill == [("bronze", "running")]
    assert story.gold == story.expected
    assert story.published == [("bronze", 1), ("gold", 1), ("silver", 1)]


@pytest.mark.fault("F19")
def test_a_layer_whose_upstream_failed_fails_at_once_and_does_not_run(story: Story) -> None:
    assert story.silver_tasks == {"wait_for_bronze_ingestion": "failed", "transform_to_silver": "upstream_failed"}
    assert story.seconds_to_fail < 120

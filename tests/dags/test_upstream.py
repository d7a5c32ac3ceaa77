"""The wait for the layer before, on a real metadata database: it finds the run of the same business date, however timed."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.sdk import DagRunState
from airflow.utils.session import create_session
from airflow.utils.types import DagRunType

UPSTREAM, SENSOR = "daily_bronze_ingestion", "wait_for_bronze_ingestion"
pytestmark = pytest.mark.usefixtures("metadata")


@pytest.fixture(autouse=True)
def no_run_yet():
    """Metadata without runs."""
    with create_session() as session:
        for table in (TaskInstance, DagRun):
            session.query(table).delete()


def upstream_run(logical_date: str, state: str, kind: DagRunType = DagRunType.SCHEDULED) -> None:
    moment = datetime.fromisoformat(logical_date).astimezone(UTC)
    with create_session() as session:
        session.add(
            DagRun(
                dag_id=UPSTREAM,
                run_id=f"{kind}__{moment.isoformat()}",
                logical_date=moment,
                run_after=moment,
                run_type=kind,
                state=state,
            )
        )


def outcome(dags, logical_date: str, patience: float = 60, **settings: str) -> str:
    """How the wait of silver's run of this logical date ends; the job behind it is not run."""
    dag = dags(**settings)["daily_silver_transformation"]
    sensor = dag.get_task(SENSOR)
    sensor.look_interval, sensor.timeout = timedelta(seconds=1), patience
    run = dag.test(logical_date=datetime.fromisoformat(logical_date), mark_success_pattern="transform_to_silver")
    with create_session() as session:
        run = session.get(DagRun, run.id)
        return {ti.task_id: ti.state for ti in run.task_instances}[SENSOR]


def ends(state: str) -> None:
    """The upstream run comes to its end."""
    with create_session() as session:
        session.query(DagRun).filter(DagRun.dag_id == UPSTREAM).update({"state": state})


CASES = [
    # zone, bronze's logical date, silver's logical date
    ("UTC", "2026-02-01T01:00:00+00:00", "2026-02-01T03:00:00+00:00"),
    ("UTC", "2026-02-01T22:15:00+00:00", "2026-02-01T03:00:00+00:00"),
    ("UTC", "2026-02-01T00:00:00+00:00", "2026-02-01T23:59:59+00:00"),
    # One hour and three between 01:00 and 03:00, in Berlin.
    ("Europe/Berlin", "2026-03-29T01:00:00+01:00", "2026-03-29T03:00:00+02:00"),
    ("Europe/Berlin", "2026-10-25T01:00:00+02:00", "2026-10-25T03:00:00+01:00"),
    ("Europe/London", "2026-03-29T02:00:00+01:00", "2026-03-29T03:00:00+01:00"),
    # A day with a midnight that does not exist, and one that ends twice.
    ("America/Sao_Paulo", "2018-11-04T01:00:00-02:00", "2018-11-04T03:00:00-02:00"),
    ("America/Sao_Paulo", "2018-02-17T23:30:00-03:00", "2018-02-17T01:00:00-02:00"),
    ("America/Havana", "2018-11-04T00:30:00-05:00", "2018-11-04T03:00:00-05:00"),
]


@pytest.mark.parametrize(("zone", "bronze", "silver"), CASES)
def test_the_run_of_the_same_business_date_is_found(dags, zone, bronze, silver):
    upstream_run(bronze, "success")
    assert outcome(dags, silver, LAKEHOUSE_TIMEZONE=zone) == "success"


@pytest.mark.parametrize("kind", [DagRunType.SCHEDULED, DagRunType.MANUAL, DagRunType.BACKFILL_JOB])
def test_it_may_have_been_started_by_anyone(dags, kind):
    upstream_run("2026-02-01T09:00:00+00:00", "success", kind)
    assert outcome(dags, "2026-02-01T03:00:00+00:00") == "success"


@pytest.mark.fault("F19")
def test_a_failed_upstream_fails_the_wait_at_once_and_for_good(dags):
    upstream_run("2026-02-01T01:00:00+00:00", "failed")
    assert outcome(dags, "2026-02-01T03:00:00+00:00") == "failed"


def test_a_second_run_of_the_day_that_succeeded_makes_up_for_the_first(dags):
    upstream_run("2026-02-01T01:00:00+00:00", "failed")
    upstream_run("2026-02-01T08:00:00+00:00", "success")
    assert outcome(dags, "2026-02-01T03:00:00+00:00") == "success"


def test_a_day_that_was_brought_stays_brought_when_a_later_run_of_it_failed(dags):
    upstream_run("2026-02-01T01:00:00+00:00", "success")
    upstream_run("2026-02-01T08:00:00+00:00", "failed")
    assert outcome(dags, "2026-02-01T03:00:00+00:00") == "success"


def test_a_run_that_is_still_at_work_counts_more_than_a_later_one_that_failed(dags):
    upstream_run("2026-02-01T01:00:00+00:00", "running")
    upstream_run("2026-02-01T01:30:00+00:00", "failed")
    end = threading.Timer(4, ends, ("success",))
    end.start()
    assert outcome(dags, "2026-02-01T03:00:00+00:00") == "success"
    end.join()


@pytest.mark.parametrize("other_day", ["2026-01-31T01:00:00+00:00", "2026-02-02T01:00:00+00:00"])
def test_runs_of_other_days_do_not_count_and_the_wait_ends(dags, other_day):
    upstream_run(other_day, "success")
    assert outcome(dags, "2026-02-01T03:00:00+00:00", patience=0) == "failed"


def test_a_run_that_comes_later_is_found_when_the_sensor_looks_again(dags):
    late = threading.Timer(4, upstream_run, ("2026-02-01T07:00:00+00:00", "success"))
    late.start()
    assert outcome(dags, "2026-02-01T03:00:00+00:00") == "success"
    late.join()


def test_a_run_that_is_still_running_is_watched_until_it_ends(dags):
    upstream_run("2026-02-01T01:00:00+00:00", "running")
    end = threading.Timer(4, ends, ("failed",))
    end.start()
    assert outcome(dags, "2026-02-01T03:00:00+00:00") == "failed"
    end.join()


def test_a_run_without_a_logical_date_waits_for_nothing(dags):
    dag = dags()["daily_silver_transformation"]
    run = dag.test(logical_date=None, mark_success_pattern="transform_to_silver")
    assert run.state == DagRunState.FAILED

"""A layer's task: what it refuses before it submits, how it submits, and which ends are tried again."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from airflow.models.dagrun import DagRun
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from airflow.utils.session import create_session
from conftest import COMPLETE, ROOT, SECRET

from lakehouse.errors import LakehouseError
from lakehouse.settings import load_settings
from lakehouse_dags.jobs import JobFailed, JobRefused, ended, missing_settings

DAY = "2026-02-01T01:00:00+00:00"


@pytest.fixture
def job(dags):
    """The task of bronze as its DAG has it now."""
    return lambda: dags()["daily_bronze_ingestion"].get_task("ingest_to_bronze")


def refusal(job, context) -> str:
    with pytest.raises(AirflowFailException) as caught:
        job().execute(context)
    return str(caught.value)


def test_a_missing_connection_is_named_by_its_variable(complete, checkout, job, context, metadata):
    complete(AIRFLOW_CONN_SPARK_DEFAULT=None)
    assert refusal(job, context(DAY)) == (
        "nothing was submitted: there is no connection spark_default, which says where Spark runs: set "
        'AIRFLOW_CONN_SPARK_DEFAULT, for example to {"conn_type": "spark", "host": "local[2]"}'
    )
    assert checkout.seen is None


@pytest.mark.parametrize("name", ["LAKEHOUSE_SOURCE_DSN", "LAKEHOUSE_GOLD_DSN", "LAKEHOUSE_LAKE"])
def test_a_missing_setting_is_named(complete, checkout, job, context, name):
    complete(**{name: None})
    assert refusal(job, context(DAY)) == f"nothing was submitted: {name} is not set"
    assert checkout.seen is None


def test_an_s3a_lake_needs_its_keys_and_all_that_is_missing_is_named_at_once(complete, checkout, job, context):
    complete(LAKEHOUSE_LAKE="s3a://", LAKEHOUSE_GOLD_DSN=None)
    said = refusal(job, context(DAY))
    assert said == (
        "nothing was submitted: LAKEHOUSE_GOLD_DSN is not set; AWS_ACCESS_KEY_ID is not set; "
        "AWS_SECRET_ACCESS_KEY is not set"
    )


def test_a_setting_may_be_a_file_of_secrets(complete, tmp_path):
    complete(LAKEHOUSE_SOURCE_DSN=None, LAKEHOUSE_SECRETS_DIR=str(tmp_path))
    assert missing_settings(load_settings()) == ["LAKEHOUSE_SOURCE_DSN is not set"]
    (tmp_path / "LAKEHOUSE_SOURCE_DSN").write_text(COMPLETE["LAKEHOUSE_SOURCE_DSN"], encoding="utf-8")
    assert missing_settings(load_settings()) == []


def test_a_run_without_a_day_is_refused_before_it_is_submitted(complete, checkout, job, context):
    complete()
    assert "has no logical date" in refusal(job, context(None))
    assert "is not over" in refusal(job, context("2999-01-01T01:00:00+00:00"))
    assert checkout.seen is None


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("dist/lakehouse.zip", "is not there: make zip"),
        ("jobs/bronze.py", "is not there: set LAKEHOUSE_ROOT to the checkout"),
        ("spark-defaults.conf", "is not there: set LAKEHOUSE_ROOT to the checkout"),
        ("conf/spark-cluster.conf", "is not there: set LAKEHOUSE_ROOT to the checkout"),
    ],
)
def test_a_file_that_is_missing_is_named_with_what_makes_it(complete, checkout, job, context, missing, said):
    complete()
    (checkout.root / missing).unlink()
    assert f"{checkout.root / missing} {said}" in refusal(job, context(DAY))


def test_a_jobs_environment_that_is_missing_is_named(complete, checkout, job, context, tmp_path, monkeypatch):
    complete()
    monkeypatch.setenv("LAKEHOUSE_JOBS_ENVIRONMENT", str(tmp_path / "none"))
    assert f"{tmp_path}/none/bin/spark-submit is not there: make setup" in refusal(job, context(DAY))


def test_the_job_gets_its_day_and_the_python_and_spark_of_its_own_environment(complete, checkout, job, context):
    complete()
    run, task, environment = context(DAY), job(), ROOT / ".venv"
    task.execute(run)
    assert checkout.seen["arguments"] == ["--date", "2026-01-31"]
    assert Path(checkout.seen["python"]).parent == environment / "bin"
    assert Path(checkout.seen["home"]).is_relative_to(environment)
    assert {asset.name: event.extra for asset, event in run["outlet_events"].items()} == {
        asset.name: {"business_date": "2026-01-31"} for asset in task.outlets
    }
    command = subprocess.list2cmdline(map(str, task._hook._submit_sp.args))
    assert "--date 2026-01-31" in command
    assert SECRET not in command


@pytest.mark.parametrize(("master", "read"), [("local[1]", False), ("spark://127.0.0.1:9", True)])
def test_secret_options_of_a_cluster_reach_spark_by_a_file_that_is_gone_afterwards(
    complete, checkout, job, context, tmp_path, master, read
):
    (tmp_path / "cluster.conf").write_text("spark.authenticate.secret s3cret\nspark.app.name from-both\n")
    (checkout.root / "spark-defaults.conf").write_text("spark.ui.enabled false")
    (checkout.root / "conf/spark-cluster.conf").write_text("spark.sql.adaptive.enabled true")
    connection = json.dumps({"conn_type": "spark", "host": master})
    complete(AIRFLOW_CONN_SPARK_DEFAULT=connection, LAKEHOUSE_SPARK_PROPERTIES=str(tmp_path / "cluster.conf"))
    checkout.ends(SEES_PROPERTIES)
    task = job()
    task.execute(context(DAY))
    file, mode, text = (checkout.root / "jobs" / "properties").read_text().split("|")
    assert ("s3cret" in text) is ("spark.sql.adaptive.enabled" in text) is read
    assert "spark.ui.enabled" in text
    assert "s3cret" not in subprocess.list2cmdline(map(str, task._hook._submit_sp.args))
    assert Path(file).exists() is not read
    assert mode == "0o600" or not read
    assert task.properties_file == str(checkout.root / "spark-defaults.conf")


# A job that writes down which file of options its spark-submit was given, and what is in it.
SEES_PROPERTIES = """
words = open(f"/proc/{os.getppid()}/cmdline").read().split(chr(0))
file = words[words.index("--properties-file") + 1]
seen = f"{file}|{oct(os.stat(file).st_mode & 0o777)}|{open(file).read()}"
open(os.path.join(os.path.dirname(sys.argv[0]), "properties"), "w").write(seen)
"""


def test_no_secret_is_in_what_airflow_keeps_of_a_task(complete, job):
    complete()
    task = job()
    kept = {field: getattr(task, field) for field in task.template_fields}
    assert kept["application"].endswith("jobs/bronze.py")
    assert SECRET not in str(kept)


@pytest.mark.parametrize(("deploy_mode", "mapped"), [(None, True), ("client", True), ("cluster", False)])
def test_a_driver_on_this_machine_maps_the_class_archive(job, deploy_mode, mapped, tmp_path, monkeypatch):
    archive = tmp_path / "share" / "lakehouse" / "classes.jsa"
    archive.parent.mkdir(parents=True)
    monkeypatch.setenv("LAKEHOUSE_JOBS_ENVIRONMENT", str(tmp_path))
    assert job()._class_archive(deploy_mode) == {}, "there is none yet"
    archive.touch()
    wanted = {"spark.driver.defaultJavaOptions": f"-XX:SharedArchiveFile={archive}"}
    assert job()._class_archive(deploy_mode) == (wanted if mapped else {})


AGAIN = {1: True, 2: False, 3: False, 4: True, 5: False, 6: False, 7: True, 8: False, 9: False, 10: True, 11: True, 12: True,
         137: True, -9: True}  # fmt: skip


def test_every_exit_code_of_the_lakehouse_is_decided_on():
    assert {e.exit_code for e in [LakehouseError, *LakehouseError.__subclasses__()]} <= set(AGAIN)


@pytest.mark.parametrize(("code", "again"), AGAIN.items())
def test_the_exit_code_decides_whether_a_task_is_tried_again(code, again):
    error = ended("bronze of 2026-01-31", code)
    assert type(error) is (JobFailed if again else JobRefused)
    assert isinstance(error, AirflowFailException) is not again
    assert error.exit_code == code


@pytest.mark.parametrize(
    ("end", "kind", "said"),
    [
        ("sys.exit(6)", JobRefused, "bronze of 2026-01-31 ended with exit code 6: A critical rule failed: nothing was"),
        ("sys.exit(4)", JobFailed, "bronze of 2026-01-31 ended with exit code 4: The source cannot be read"),
        ("os.kill(os.getppid(), signal.SIGKILL)", JobFailed, "bronze of 2026-01-31 was killed by signal 9"),
    ],
)
def test_the_end_of_a_job_reaches_the_task_through_spark_submit(complete, checkout, job, context, end, kind, said):
    complete()
    checkout.ends(end)
    run = context(DAY)
    with pytest.raises(AirflowException) as caught:
        job().execute(run)
    assert type(caught.value) is kind
    assert str(caught.value).startswith(said)
    assert run["outlet_events"] == {}, "a failed task tells no asset"


# A job that finds another run at work at its first tries, and counts them.
BUSY = """
tries = os.path.join(os.path.dirname(sys.argv[0]), "tries")
open(tries, "a").write("x")
sys.exit(10 if len(open(tries).read()) <= {busy} else 0)
"""


@pytest.fixture
def run_of_bronze(complete, checkout, metadata, dags):
    """Runs the DAG of bronze, whose job finds another run at work so many times; the end, tries and state of its task."""

    def run(busy: int, logical_date: datetime, patience: timedelta) -> tuple[str, int, int]:
        complete()
        checkout.ends(BUSY.format(busy=busy))
        dag = dags()["daily_bronze_ingestion"]
        task = dag.get_task("ingest_to_bronze")
        task.busy_interval, task.busy_limit = timedelta(0), patience
        task.retries, task.on_failure_callback = 0, []
        run_id = dag.test(logical_date=logical_date).id
        with create_session() as session:
            [ti] = session.get(DagRun, run_id).task_instances
            return ti.state, len((checkout.root / "jobs" / "tries").read_text()), ti.try_number

    return run


def test_a_job_waits_for_another_run_as_often_as_it_must_and_no_retry_is_spent(run_of_bronze):
    assert run_of_bronze(2, datetime(2026, 3, 2, 1, tzinfo=UTC), timedelta(minutes=30)) == ("success", 3, 1)


def test_a_job_that_has_waited_for_long_enough_fails_as_others_do(run_of_bronze):
    assert run_of_bronze(99, datetime(2026, 3, 3, 1, tzinfo=UTC), timedelta(0)) == ("failed", 1, 1)


def test_while_a_job_waits_for_another_run_it_holds_no_slot(metadata):
    from airflow.models.pool import Pool

    assert Pool.get_pool("spark").include_deferred is False


@pytest.mark.parametrize("task", ["maintain_lakehouse", "back_up_lakehouse", "verify_lakehouse"])
def test_the_jobs_of_maintenance_get_no_day_and_need_none(complete, checkout, dags, context, task):
    complete()
    dags()["nightly_maintenance"].get_task(task).execute(context(None))
    assert checkout.seen["arguments"] == []


def test_a_real_job_whose_servers_are_down_is_tried_again(complete, job, context, tmp_path):
    """The checkout's own job: it finds nobody at the gold database's port. Its home is not the demo's."""
    complete(LAKEHOUSE_ROOT=str(ROOT), LAKEHOUSE_HOME=str(tmp_path / "home"))
    with pytest.raises(JobFailed) as caught:
        job().execute(context(DAY))
    assert caught.value.exit_code == 7

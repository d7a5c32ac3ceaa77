"""The DAGs as Airflow reads them: names, times, order, defaults, and how long reading takes."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.providers.standard.sensors.external_task import ExternalTaskSensor
from airflow.serialization.serialized_objects import DagSerialization

FOLDER = Path(__file__).parents[2] / "dags"
TIMES = {
    "daily_bronze_ingestion": "0 1 * * *",
    "daily_silver_transformation": "0 3 * * *",
    "daily_gold_aggregation": "0 5 * * *",
    "nightly_maintenance": "0 7 * * *",
}
SPARK_TASKS = {
    "daily_bronze_ingestion": "ingest_to_bronze",
    "daily_silver_transformation": "transform_to_silver",
    "daily_gold_aggregation": "aggregate_to_gold",
    "nightly_maintenance": "maintain_lakehouse",
}
SENSORS = {
    "daily_silver_transformation": ("wait_for_bronze_ingestion", "daily_bronze_ingestion"),
    "daily_gold_aggregation": ("wait_for_silver_transformation", "daily_silver_transformation"),
}
each_dag = pytest.mark.parametrize("dag_id", TIMES)


def test_the_folder_holds_its_dags_in_files_of_their_names(dags, checkout):
    found = dags()
    assert sorted(found) == sorted(TIMES)
    assert {d: Path(dag.fileloc).stem for d, dag in found.items()} == {d: d for d in TIMES}


@each_dag
def test_a_dag_starts_at_its_time_in_the_shops_zone(dags, dag_id):
    timetable = dags(LAKEHOUSE_TIMEZONE="America/Sao_Paulo")[dag_id].timetable
    assert timetable.expression == TIMES[dag_id]
    assert timetable.timezone == "America/Sao_Paulo"


@each_dag
def test_a_dag_runs_one_day_at_a_time_and_no_missed_days_by_itself(dags, dag_id):
    dag = dags()[dag_id]
    assert dag.catchup is False
    assert dag.max_active_runs == 1
    assert dag.start_date is None, "with a start date, switching the DAG on would run yesterday at once"


@each_dag
def test_a_dag_explains_itself_in_the_words_of_its_file(dags, dag_id):
    dag = dags()[dag_id]
    assert dag.doc_md
    assert (FOLDER / f"{dag_id}.py").read_text(encoding="utf-8").startswith(f'"""{dag.doc_md.strip()}')


def test_maintenance_goes_by_the_clock_and_is_followed_by_backup_and_verify(dags):
    maintenance = dags(LAKEHOUSE_SCHEDULE="assets")["nightly_maintenance"]
    assert maintenance.timetable.expression == TIMES["nightly_maintenance"]
    tasks = {task.task_id: task for task in maintenance.tasks}
    assert {name: task.upstream_task_ids for name, task in tasks.items()} == {
        "clean_task_logs": set(),
        "maintain_lakehouse": set(),
        "back_up_lakehouse": {"maintain_lakehouse"},
        "verify_lakehouse": {"back_up_lakehouse"},
    }
    jobs = {name: task.job for name, task in tasks.items() if name != "clean_task_logs"}
    assert jobs == {"maintain_lakehouse": "maintain", "back_up_lakehouse": "backup", "verify_lakehouse": "verify"}
    # What maintenance could not do is no reason to go without a backup; without one there is nothing to look at.
    assert tasks["back_up_lakehouse"].trigger_rule == "all_done"
    assert tasks["verify_lakehouse"].trigger_rule == "all_success"


def test_each_task_of_maintenance_has_its_alert(dags):
    for task in dags()["nightly_maintenance"].tasks:
        assert [type(callback).__name__ for callback in task.on_failure_callback] == ["Alert"], task.task_id


def test_bronze_is_one_task_and_the_others_wait_first(dags):
    found = dags()
    assert found["daily_bronze_ingestion"].task_ids == ["ingest_to_bronze"]
    for dag_id, (sensor, upstream) in SENSORS.items():
        dag = found[dag_id]
        assert sorted(dag.task_ids) == sorted([sensor, SPARK_TASKS[dag_id]])
        assert dag.get_task(sensor).downstream_task_ids == {SPARK_TASKS[dag_id]}
        assert dag.get_task(sensor).external_dag_id == upstream


@pytest.mark.parametrize("dag_id", SENSORS)
def test_a_sensor_waits_deferred_fails_with_its_upstream_and_gives_up_one_day(dags, dag_id):
    sensor = dags()[dag_id].get_task(SENSORS[dag_id][0])
    assert isinstance(sensor, ExternalTaskSensor)
    assert sensor.deferrable is True
    assert sensor.allowed_states == ["success"]
    assert sensor.failed_states == ["failed"]
    assert 0 < sensor.timeout <= timedelta(days=1).total_seconds()
    assert sensor.soft_fail is False


@each_dag
def test_a_spark_task_is_submitted_from_the_pool_and_tried_again_with_longer_pauses(dags, dag_id):
    task = dags()[dag_id].get_task(SPARK_TASKS[dag_id])
    assert isinstance(task, SparkSubmitOperator)
    assert (task.pool, task.pool_slots) == ("spark", 1)
    assert task.retries == 3
    assert task.retry_delay == timedelta(minutes=2)
    assert task.retry_exponential_backoff > 1
    assert task.max_retry_delay == timedelta(minutes=30)
    assert task.execution_timeout == timedelta(hours=2)
    assert task.owner == "data-engineering"


@each_dag
def test_each_task_has_one_alert_for_its_failure(dags, dag_id):
    for task in dags()[dag_id].tasks:
        assert [type(callback).__name__ for callback in task.on_failure_callback] == ["Alert"]
        assert not task.on_retry_callback


@each_dag
def test_a_spark_task_runs_the_job_of_its_layer_in_the_jobs_environment(dags, dag_id):
    task = dags(LAKEHOUSE_ROOT="/opt/shop", LAKEHOUSE_JOBS_ENVIRONMENT="/opt/env")[dag_id].get_task(SPARK_TASKS[dag_id])
    assert task.application == f"/opt/shop/jobs/{task.job}.py"
    assert task.py_files == "/opt/shop/dist/lakehouse.zip"
    assert task.properties_file == "/opt/shop/spark-defaults.conf"
    assert task._spark_binary == "/opt/env/bin/spark-submit"


def test_without_settings_the_checkout_is_the_parent_of_the_dag_folder(dags):
    task = dags()["daily_bronze_ingestion"].get_task("ingest_to_bronze")
    assert Path(task.application) == FOLDER.parent / "jobs" / "bronze.py"
    assert Path(task._spark_binary) == FOLDER.parent / ".venv" / "bin" / "spark-submit"


def test_the_deadline_of_gold_is_a_setting(dags):
    [deadline] = dags(LAKEHOUSE_GOLD_DEADLINE="PT90M")["daily_gold_aggregation"].deadline
    assert deadline.interval == timedelta(minutes=90)
    assert deadline.reference.reference_name == "DagRunLogicalDateDeadline"
    assert deadline.callback.path == "lakehouse_dags.alerts.Alert"


@each_dag
def test_a_dag_can_be_written_for_the_scheduler_and_read_again(dags, dag_id):
    dag = dags()[dag_id]
    again = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
    assert sorted(again.task_ids) == sorted(dag.task_ids)


def test_a_wrong_setting_is_an_import_error_that_names_it(monkeypatch):
    from airflow.dag_processing.dagbag import DagBag

    monkeypatch.setenv("LAKEHOUSE_SCHEDULE", "sometimes")
    bag = DagBag(FOLDER)
    assert {Path(file).stem for file in bag.import_errors} == {*TIMES, "daily_dbt_marts"}
    assert all("LAKEHOUSE_SCHEDULE: Input should be 'cron' or 'assets'" in e for e in bag.import_errors.values())


@each_dag
def test_reading_a_file_takes_less_than_a_second_of_its_own_and_neither_pyspark_nor_a_store(dag_id):
    code = (
        "import sys, time, airflow.sdk, airflow.providers.apache.spark.operators.spark_submit\n"
        "import airflow.providers.standard.sensors.external_task, runpy\n"
        f"sys.path.append({str(FOLDER)!r})\n"
        "started = time.process_time()\n"
        f"runpy.run_path({str(FOLDER / dag_id)!r} + '.py')\n"
        "print(time.process_time() - started, *({'pyspark', 'lakehouse.ledger'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, *heavy = done.stdout.split()
    assert float(seconds) < 1
    assert heavy == []

"""Brings the shop's day into bronze, each night at 01:00 in the shop's zone.

One task runs `jobs/bronze.py` for the **business date**: the day before the run's logical date, by the shop's calendar.
A run by hand takes a logical date, any time of the day after the day to bring; a run without one is refused.

The task needs a connection `spark_default` and the settings `LAKEHOUSE_SOURCE_DSN`, `LAKEHOUSE_GOLD_DSN` and
`LAKEHOUSE_LAKE`, for a lake on `s3a://` also `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`: in the environment of the
workers, or as files in `LAKEHOUSE_SECRETS_DIR`. What is missing is named before anything is submitted.

A drift, a failed gate or a wrong setting fails at once; a server that does not answer is tried again three times. While
another run is at work on the layer the task waits for it, up to two hours.
"""

from airflow.sdk import DAG

from lakehouse_dags.alerts import Alert
from lakehouse_dags.jobs import LayerJob
from lakehouse_dags.schedules import DEFAULTS, nightly

with DAG(
    dag_id="daily_bronze_ingestion",
    schedule=nightly("0 1 * * *"),
    catchup=False,
    max_active_runs=1,
    default_args={**DEFAULTS, "on_failure_callback": Alert()},
    doc_md=__doc__,
    tags=["lakehouse"],
):
    LayerJob(task_id="ingest_to_bronze", layer="bronze")

"""Brings silver up to the shop's day, each night at 03:00 in the shop's zone, after bronze.

`wait_for_bronze_ingestion` waits for the run of `daily_bronze_ingestion` with the same **business date** (the day before
the logical date, by the shop's calendar), whenever that run started; it fails as soon as that run fails.
`transform_to_silver` then runs `jobs/silver.py`. It needs the same connection and settings as bronze.

With `LAKEHOUSE_SCHEDULE=assets` there is no time and no sensor: the run starts when bronze has published all its tables,
and their asset events say the business date.
"""

from airflow.sdk import DAG

from lakehouse_dags.alerts import Alert
from lakehouse_dags.jobs import LayerJob
from lakehouse_dags.schedules import DEFAULTS, assets, by_assets, nightly
from lakehouse_dags.sensors import UpstreamSensor

with DAG(
    dag_id="daily_silver_transformation",
    schedule=list(assets("bronze")) if by_assets() else nightly("0 3 * * *"),
    catchup=False,
    max_active_runs=1,
    default_args={**DEFAULTS, "on_failure_callback": Alert()},
    doc_md=__doc__,
    tags=["lakehouse"],
):
    transform = LayerJob(task_id="transform_to_silver", layer="silver")
    if not by_assets():
        UpstreamSensor(task_id="wait_for_bronze_ingestion", external_dag_id="daily_bronze_ingestion") >> transform

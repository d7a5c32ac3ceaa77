"""Publishes gold for the shop's day, each night at 05:00 in the shop's zone, after silver.

`wait_for_silver_transformation` waits for the run of `daily_silver_transformation` with the same **business date** (the
day before the logical date, by the shop's calendar); it fails as soon as that run fails.
`aggregate_to_gold` then runs `jobs/gold.py`. It needs the same connection and settings as bronze.

A run that is not done `LAKEHOUSE_GOLD_DEADLINE` after its time raises an alert: gold is late.

With `LAKEHOUSE_SCHEDULE=assets` there is no time and no sensor: the run starts when silver has published all its tables,
and their asset events say the business date. The deadline then counts from that start.
"""

from airflow.sdk import DAG, DeadlineAlert, DeadlineReference, SyncCallback

from lakehouse.settings import load_settings
from lakehouse_dags.alerts import Alert
from lakehouse_dags.jobs import LayerJob
from lakehouse_dags.schedules import DEFAULTS, assets, by_assets, nightly
from lakehouse_dags.sensors import UpstreamSensor

with DAG(
    dag_id="daily_gold_aggregation",
    schedule=list(assets("silver")) if by_assets() else nightly("0 5 * * *"),
    catchup=False,
    max_active_runs=1,
    default_args={**DEFAULTS, "on_failure_callback": Alert()},
    deadline=DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT if by_assets() else DeadlineReference.DAGRUN_LOGICAL_DATE,
        interval=load_settings().gold_deadline,
        callback=SyncCallback(Alert),
        name="gold is late",
    ),
    doc_md=__doc__,
    tags=["lakehouse"],
):
    aggregate = LayerJob(task_id="aggregate_to_gold", layer="gold")
    if not by_assets():
        (
            UpstreamSensor(task_id="wait_for_silver_transformation", external_dag_id="daily_silver_transformation")
            >> aggregate
        )

"""Keeps the lake, the ledger and the logs small, each night at 07:00 in the shop's zone, when gold is usually done.

`maintain_lakehouse` runs `jobs/maintain.py`: files are compacted, what nobody needs any more is deleted, what is
published stays. It needs the same connection and settings as bronze. It runs by the clock, whether or not the night
went well, and while a layer is at work it waits for it, up to two hours.

`clean_task_logs` deletes logs of Airflow's tasks and of its DAG processor that are older than `LAKEHOUSE_LOG_RETENTION`.
"""

from airflow.sdk import DAG

from lakehouse_dags.alerts import Alert
from lakehouse_dags.jobs import LakehouseJob
from lakehouse_dags.schedules import DEFAULTS, nightly
from lakehouse_dags.task_logs import clean_task_logs

with DAG(
    dag_id="nightly_maintenance",
    schedule=nightly("0 7 * * *"),
    catchup=False,
    max_active_runs=1,
    default_args={**DEFAULTS, "on_failure_callback": Alert()},
    doc_md=__doc__,
    tags=["lakehouse"],
):
    LakehouseJob(task_id="maintain_lakehouse", job="maintain")
    # By itself: logs are cleaned though the lake could not be.
    clean_task_logs()

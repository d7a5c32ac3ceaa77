"""Keeps lake, ledger and logs small and backed up, each night at 07:00 in the shop's zone, when gold is usually done.

`maintain_lakehouse` runs `jobs/maintain.py`: files are compacted, what nobody needs any more is deleted, what is
published stays. Then `back_up_lakehouse` copies ledger, gold and lake as of one moment (`jobs/backup.py`), and
`verify_lakehouse` holds all three against each other, and the backup, restored for trial, against its manifest
(`jobs/verify.py`). The backup is made though the maintenance failed, and is looked at only if it was made. All need the
same connection and settings as bronze. They run by the clock, whether or not the night went well, and while a layer is
at work they wait for it, up to two hours; the backup waits only for another one.

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
    maintain = LakehouseJob(task_id="maintain_lakehouse", job="maintain")
    backup = LakehouseJob(task_id="back_up_lakehouse", job="backup", trigger_rule="all_done")
    maintain >> backup >> LakehouseJob(task_id="verify_lakehouse", job="verify")
    # By itself: logs are cleaned though the lake could not be.
    clean_task_logs()

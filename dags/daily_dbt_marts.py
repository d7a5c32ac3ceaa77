"""Builds dbt's marts as soon as gold has published all its tables, whatever started gold. Part of no night: it only reads.

`build_marts` runs `python -m tools.dbt` in the checkout: dbt builds and tests the marts of `transform/` on the gold that is
published then, and their page among the Data Docs is made again. It needs the same settings as bronze. A test that fails
is an alert; gold and the views of marts are as they were.

The DAG is there where `make dbt` has made dbt's environment in the checkout, and runs once it is unpaused.
"""

from datetime import timedelta

from airflow.sdk import DAG

from lakehouse_dags.alerts import Alert
from lakehouse_dags.dbt import DbtBuild, is_installed
from lakehouse_dags.schedules import DEFAULTS, assets

if is_installed():
    with DAG(
        dag_id="daily_dbt_marts",
        schedule=list(assets("gold")),
        catchup=False,
        max_active_runs=1,
        default_args={**DEFAULTS, "on_failure_callback": Alert()},
        doc_md=__doc__,
        tags=["lakehouse"],
    ):
        DbtBuild(task_id="build_marts", execution_timeout=timedelta(hours=1))

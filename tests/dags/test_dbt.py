"""The DAG of dbt's marts: there where dbt is installed, started by gold's assets alone, and ended by the code of the build."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from airflow.sdk import DagRunState
from airflow.sdk.exceptions import AirflowFailException
from airflow.serialization.serialized_objects import DagSerialization
from conftest import ROOT

from lakehouse_dags.dbt import DbtBuild
from lakehouse_dags.jobs import JobFailed, JobRefused

DAG = "daily_dbt_marts"
GOLD = {f"gold.{file.stem}" for file in (ROOT / "conf" / "contracts" / "gold").glob("*.yml")}


@pytest.fixture
def installed(checkout):
    """A checkout in which `make dbt` was run, with a build that ends as it is told."""
    (checkout.root / ".venv-dbt").mkdir()
    (checkout.root / ".venv-dbt" / "made-by-make-dbt").touch()
    (checkout.root / "tools" / "dbt").mkdir(parents=True)
    (checkout.root / "tools" / "__init__.py").touch()

    def ends(code: str) -> None:
        (checkout.root / "tools" / "dbt" / "__main__.py").write_text(
            f"import pathlib, sys\npathlib.Path('built').write_text(sys.executable)\n{code}\n", encoding="utf-8"
        )

    ends("")
    return checkout.root, ends


def test_without_dbt_there_is_no_such_dag(dags, checkout):
    assert DAG not in dags()


def test_it_is_one_task_that_starts_when_gold_has_published_all_its_tables_however_gold_was_started(dags, installed):
    for schedule in ("cron", "assets"):
        dag = dags(LAKEHOUSE_SCHEDULE=schedule)[DAG]
        assert {asset.name for asset in dag.timetable.asset_condition.objects} == GOLD
        assert type(dag.timetable.asset_condition).__name__ == "AssetAll"
    assert dag.task_ids == ["build_marts"]
    assert (dag.catchup, dag.max_active_runs, dag.start_date) == (False, 1, None)
    task = dag.get_task("build_marts")
    assert (task.retries, task.outlets) == (3, [])
    assert task.pool != "spark", "a night's jobs do not wait for it"
    assert [type(callback).__name__ for callback in task.on_failure_callback] == ["Alert"]


def test_it_explains_itself_and_can_be_written_for_the_scheduler(dags, installed):
    dag = dags()[DAG]
    assert (ROOT / "dags" / f"{DAG}.py").read_text(encoding="utf-8").startswith(f'"""{dag.doc_md.strip()}')
    again = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
    assert again.task_ids == dag.task_ids


def test_a_build_runs_in_the_checkout_by_the_jobs_environment(dags, installed, complete, metadata):
    complete()
    root, _ = installed
    run = dags()[DAG].test(logical_date=datetime(2026, 3, 1, 6, tzinfo=UTC))
    assert run.state == DagRunState.SUCCESS
    assert Path((root / "built").read_text(encoding="utf-8")) == ROOT / ".venv" / "bin" / "python"


@pytest.mark.parametrize(
    ("code", "error", "said"),
    [
        (6, JobRefused, "exit code 6: A critical rule failed"),
        (8, JobRefused, "exit code 8"),
        (7, JobFailed, "exit code 7"),
    ],
)
def test_a_test_that_fails_is_not_tried_again_and_a_server_that_is_away_is(installed, complete, code, error, said):
    complete()
    _, ends = installed
    ends(f"sys.exit({code})")
    with pytest.raises(error, match=said):
        DbtBuild(task_id="build_marts").execute({})


def test_what_is_missing_is_named_before_anything_is_built(installed, complete, monkeypatch):
    complete(LAKEHOUSE_GOLD_DSN=None)
    monkeypatch.setenv("LAKEHOUSE_JOBS_ENVIRONMENT", "/nowhere")
    root, _ = installed
    with pytest.raises(AirflowFailException, match=r"LAKEHOUSE_GOLD_DSN is not set; /nowhere/bin/python is not there"):
        DbtBuild(task_id="build_marts").execute({})
    assert not (root / "built").exists()

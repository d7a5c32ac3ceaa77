"""Old logs of Airflow go, and nothing else."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest

from lakehouse_dags.task_logs import delete_old

OLD = time.time() - timedelta(days=31).total_seconds()


def write(file: Path, *, old: bool) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    if old:
        os.utime(file, (OLD, OLD))
        os.utime(file.parent, (OLD, OLD))
    return file


def test_old_logs_go_with_their_folders_and_new_ones_stay(tmp_path):
    old = write(tmp_path / "logs" / "run_id=old" / "attempt=1.log", old=True)
    beside = write(tmp_path / "logs" / "run_id=both" / "attempt=1.log", old=True)
    new = write(tmp_path / "logs" / "run_id=both" / "attempt=2.log", old=False)
    (tmp_path / "logs" / "run_id=about-to-begin").mkdir()

    assert delete_old(tmp_path / "logs", timedelta(days=30)) == 2

    assert not old.parent.exists()
    assert not beside.exists()
    assert new.exists()
    assert (tmp_path / "logs" / "run_id=about-to-begin").exists()


def test_what_a_link_leads_to_stays(tmp_path):
    elsewhere = write(tmp_path / "elsewhere" / "data", old=True)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "latest").symlink_to(elsewhere.parent)
    delete_old(tmp_path / "logs", timedelta(days=30))
    assert elsewhere.exists()


def test_a_folder_that_is_not_there_has_nothing_to_delete(tmp_path):
    assert delete_old(tmp_path / "none", timedelta(days=30)) == 0


def test_the_task_cleans_the_folders_that_airflow_writes_to(dags, metadata, monkeypatch, tmp_path):
    monkeypatch.setenv("AIRFLOW__LOGGING__BASE_LOG_FOLDER", str(tmp_path / "tasks"))
    monkeypatch.setenv("AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY", str(tmp_path / "dags"))
    files = [write(tmp_path / name / "x" / "a.log", old=True) for name in ("tasks", "dags")]
    task = dags(LAKEHOUSE_LOG_RETENTION="P30D")["nightly_maintenance"].get_task("clean_task_logs")

    assert task.python_callable() == 2

    assert [file.exists() for file in files] == [False, False]


@pytest.mark.parametrize("retention", ["P32D", "P1000D"])
def test_the_setting_says_how_long_logs_are_kept(dags, monkeypatch, tmp_path, retention):
    monkeypatch.setenv("AIRFLOW__LOGGING__BASE_LOG_FOLDER", str(tmp_path))
    kept = write(tmp_path / "x" / "a.log", old=True)
    dags(LAKEHOUSE_LOG_RETENTION=retention)["nightly_maintenance"].get_task("clean_task_logs").python_callable()
    assert kept.exists()

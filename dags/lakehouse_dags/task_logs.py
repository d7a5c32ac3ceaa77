"""Deletes logs of Airflow that are old: it keeps them for ever by itself."""

import os
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from airflow.sdk import task

from lakehouse.settings import load_settings


@task(task_id="clean_task_logs")
def clean_task_logs() -> int:
    """Deletes what is older than the setting says in the folders that Airflow's configuration names."""
    from airflow.configuration import conf

    names = ("base_log_folder", "dag_processor_child_process_log_directory")
    folders = [Path(conf.get("logging", name)) for name in names]
    return sum(delete_old(folder, load_settings().log_retention) for folder in folders)


def delete_old(folder: Path, age: timedelta) -> int:
    """Deletes files below `folder` that nobody has written to for `age`, then folders left empty; returns how many files.

    Links are not followed. A file or folder that goes away meanwhile, or is filled again, is no fault.
    """
    before, deleted = time.time() - age.total_seconds(), 0
    # Read before anything is deleted, as that changes a folder's own time.
    rooms = [(Path(room), files, _changed(Path(room))) for room, _, files in os.walk(folder)]
    for room, files, changed in reversed(rooms):
        for file in (room / name for name in files):
            if _changed(file) < before:
                file.unlink(missing_ok=True)
                deleted += 1
        if room != folder and changed < before:
            with suppress(OSError):  # something is in it
                room.rmdir()
    return deleted


def _changed(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:
        return float("inf")

"""The task of a scheduler that has started this process, as the parent of its runs.

`OPENLINEAGE_PARENT_ID` (namespace/job/run) says it, as OpenLineage's own integrations hand it on. Without it, what
Airflow tells every task of itself (`AIRFLOW_CTX_…`) is made into the id that Airflow's OpenLineage provider gives the task,
so that its events and ours meet.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from openlineage.client.uuid import generate_static_uuid

# A run without a logical date bears the instant after which it was due: asset_triggered__2026-01-02T03:04:05+00:00_x7.
INSTANT = re.compile(r"__(\d{4}-\d\d-\d\dT[^_]+)")


@dataclass(frozen=True)
class Parent:
    """A run of another job."""

    namespace: str
    job: str
    run_id: str


def parent_of(environment: Mapping[str, str]) -> Parent | None:
    """The parent that a process's environment names; None where it names none."""
    namespace, _, rest = environment.get("OPENLINEAGE_PARENT_ID", "").partition("/")
    job, _, run_id = rest.rpartition("/")
    with suppress(ValueError):
        return Parent(namespace, job, str(UUID(run_id)))
    return _airflow(environment)


def _airflow(environment: Mapping[str, str]) -> Parent | None:
    dag, task, attempt = (environment.get(f"AIRFLOW_CTX_{name}", "") for name in ("DAG_ID", "TASK_ID", "TRY_NUMBER"))
    found = INSTANT.search(environment.get("AIRFLOW_CTX_DAG_RUN_ID", ""))
    text = environment.get("AIRFLOW_CTX_LOGICAL_DATE") or (found[1] if found else "")
    namespace = environment.get("AIRFLOW__OPENLINEAGE__NAMESPACE") or environment.get(
        "OPENLINEAGE_NAMESPACE", "default"
    )
    with suppress(ValueError):
        if dag and task and attempt:
            # No task of ours is mapped: its index is -1.
            data = f"{namespace}.{dag}.{task}.{attempt}.-1".encode()
            return Parent(namespace, f"{dag}.{task}", str(generate_static_uuid(datetime.fromisoformat(text), data)))
    return None

"""How many SQL executions a layer took: from Spark's event log of another process, or from the session of this one.

At a shop of moderate size a query costs less by what it does than by being a query: each is planned, generated and compiled
by a JVM that has just started. So the count is a figure of its own, and one that no busy machine can falsify.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from pyspark.sql import SparkSession

STARTED = "org.apache.spark.sql.execution.ui.SparkListenerSQLExecutionStart"
JOB_ENDED = "SparkListenerJobEnd"
WAIT = 10_000
"""Milliseconds that Spark's listeners have to hear of what has happened."""


class Span(NamedTuple):
    """A stretch of time, in seconds since 1970."""

    began: float
    ended: float


class EventLog(NamedTuple):
    """What Spark's event log says: when each SQL execution began and when each job ended, in seconds since 1970."""

    executions: list[float]
    jobs: list[float]

    def by_layer(self, layers: Mapping[str, Span]) -> dict[str, int]:
        """The executions that began within each layer's time."""
        return {
            layer: sum(span.began <= began <= span.ended for began in self.executions) for layer, span in layers.items()
        }


def event_log(folder: Path) -> EventLog:
    """Reads the logs of a folder, one file per session, not compressed; empty where there is none."""
    executions, jobs = list[float](), list[float]()
    for event in _events(sorted(folder.glob("*"))):
        if event["Event"] == STARTED:
            executions.append(float(str(event["time"])) / 1000)
        elif event["Event"] == JOB_ENDED:
            jobs.append(float(str(event["Completion Time"])) / 1000)
    return EventLog(sorted(executions), sorted(jobs))


def options(folder: Path) -> dict[str, str]:
    """Options of Spark by which a session writes its event log into a folder, as `event_log` reads it."""
    return {
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": folder.as_uri(),
        "spark.eventLog.rolling.enabled": "false",
        "spark.eventLog.compress": "false",
    }


def executions(spark: SparkSession, call: Callable[[], object]) -> int:
    """How many SQL executions a call took in this process's session, those within others included."""
    before = _newest_execution(spark)
    call()
    return _newest_execution(spark) - before


def _newest_execution(spark: SparkSession) -> int:
    """Executions bear numbers in their order; the session forgets old ones, but not how far it has counted."""
    jvm_session = spark._jsparkSession
    jvm_session.sparkContext().listenerBus().waitUntilEmpty(WAIT)
    newest = -1
    known = jvm_session.sharedState().statusStore().executionsList().iterator()
    while known.hasNext():
        newest = max(newest, int(known.next().executionId()))
    return newest


def _events(files: Iterable[Path]) -> Iterator[dict[str, object]]:
    for file in files:
        with file.open(encoding="utf-8") as lines:
            for line in lines:
                # Nine lines in ten are of tasks, and are not parsed. The last may be torn where the JVM was killed.
                if (STARTED in line or JOB_ENDED in line) and line.endswith("\n"):
                    yield json.loads(line)

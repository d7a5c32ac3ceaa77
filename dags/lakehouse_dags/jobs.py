"""What the three DAGs share: a layer's Spark job, the wait for the layer before, schedules and defaults.

Parsing needs no pyspark: a job runs in the jobs' own environment, by that environment's spark-submit.
"""

import inspect
import os
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.providers.standard.sensors.external_task import ExternalTaskSensor
from airflow.providers.standard.triggers.external_task import WorkflowTrigger
from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
from airflow.sdk import Asset, BaseHook, CronTriggerTimetable, DagRunState
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowNotFoundException,
    AirflowSensorTimeout,
)
from run_date import EXTRA, business_date, day_before

from lakehouse.business_date import BusinessDate
from lakehouse.contracts import load_contracts
from lakehouse.errors import ConfigError, DriftError, GateError, LakehouseError, SetupError, UsageError
from lakehouse.settings import Settings, load_settings

CONNECTION = "spark_default"
# One slot: two drivers at once would share the memory of one machine, and gain nothing.
POOL = "spark"
DEFAULTS = {
    "owner": "data-engineering",
    "retries": 3,
    "retry_delay": timedelta(minutes=2),
    "retry_exponential_backoff": 2,
    "max_retry_delay": timedelta(minutes=30),
}
# The same request gets the same answer: a wrong request or setting, drift, a failed gate, an incomplete environment.
# A ledger that forbids (8) is asked again, as the other run that it speaks of may have ended.
NOT_RETRIED = {e.exit_code for e in (UsageError, ConfigError, DriftError, GateError, SetupError)}


class JobFailed(AirflowException):
    """A job ended with an exit code after which a retry may help."""

    exit_code: int


class JobRefused(AirflowFailException):
    """A job ended with an exit code after which a retry would get the same answer."""

    exit_code: int


class UpstreamFailed(AirflowFailException):
    """The layer before did not bring the day, and has said so itself."""


@cache
def assets(layer: str) -> tuple[Asset, ...]:
    """One asset a table of the layer."""
    return tuple(Asset(name=f"{layer}.{table}", group="lakehouse") for table in load_contracts()[layer])


def by_assets() -> bool:
    """Whether silver and gold start when the layer before has published, instead of by the clock."""
    return load_settings().schedule == "assets"


def nightly(cron: str) -> CronTriggerTimetable:
    """A time of the shop's day."""
    return CronTriggerTimetable(cron, timezone=load_settings().timezone)


class LayerJob(SparkSubmitOperator):
    """Runs jobs/<layer>.py for the business date by the jobs environment's own spark-submit.

    Refuses before it submits: a run without a day that is over, an incomplete configuration, a missing connection.
    Its exit code decides on a retry. Success is told to the assets of the layer's tables.
    """

    def __init__(self, *, layer: str, **kwargs: Any) -> None:
        settings = load_settings()
        root = settings.root or Path(__file__).resolve().parent.parent
        self.layer = layer
        self.environment = settings.jobs_environment or root / ".venv"
        super().__init__(
            application=str(root / "jobs" / f"{layer}.py"),
            py_files=str(root / "dist" / "lakehouse.zip"),
            properties_file=str(root / "spark-defaults.conf"),
            spark_binary=str(self.environment / "bin" / "spark-submit"),
            conn_id=CONNECTION,
            name=f"lakehouse-{layer}",
            pool=POOL,
            execution_timeout=timedelta(hours=2),
            outlets=list(assets(layer)),
            **kwargs,
        )

    def execute(self, context: Any) -> None:
        """Submits the job and waits for its end."""
        day = business_date(context)
        faults = [*missing_connection(), *missing_settings(load_settings()), *self._missing_files()]
        if faults:
            raise AirflowFailException(f"nothing was submitted: {'; '.join(faults)}")
        # Here and not in the constructor: what is set there is rendered and kept for everyone to see.
        self.application_args = ["--date", str(day)]
        self.env_vars = self._environment()
        self.conf = self._class_archive(BaseHook.get_connection(CONNECTION).extra_dejson.get("deploy-mode"))
        try:
            super().execute(context)
        except AirflowException:
            code = self._hook._submit_sp.returncode if self._hook and self._hook._submit_sp else 0
            if not code:
                raise
            # The operator's own words repeat the whole log.
            raise ended(self.layer, day, code) from None
        for asset in assets(self.layer):
            context["outlet_events"][asset].extra = {EXTRA: str(day)}

    def _missing_files(self) -> list[str]:
        made_by = {self.py_files: "make zip", self._spark_binary: "make setup, or set LAKEHOUSE_JOBS_ENVIRONMENT"}
        needed = [self.application, self.properties_file, self.py_files, self._spark_binary]
        return [
            f"{file} is not there: {made_by.get(file, 'set LAKEHOUSE_ROOT to the checkout')}"
            for file in needed
            if not Path(file).is_file()
        ]

    def _environment(self) -> dict[str, str]:
        """spark-submit looks for Python and Spark on the path, and would find Airflow's."""
        home = next(self.environment.glob("lib/python*/site-packages/pyspark"), self.environment)
        return {
            "PATH": f"{self.environment / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "SPARK_HOME": str(home),
            "PYSPARK_PYTHON": str(self.environment / "bin" / "python"),
        }

    def _class_archive(self, deploy_mode: str | None) -> dict[str, str]:
        """A driver on this machine starts in half the time where `make setup` has left the classes of a day to map."""
        archive = self.environment / "share" / "lakehouse" / "classes.jsa"
        if deploy_mode == "cluster" or not archive.is_file():
            return {}
        return {"spark.driver.defaultJavaOptions": f"-XX:SharedArchiveFile={archive}"}


def ended(layer: str, day: object, code: int) -> AirflowException:
    """What the exit code of a job means, as the error that does or does not lead to a retry."""
    meanings = {e.exit_code: inspect.getdoc(e) or "" for e in LakehouseError.__subclasses__()}
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    meaning = f": {meanings[code].splitlines()[0]}" if code in meanings else "."
    error = (JobRefused if code in NOT_RETRIED else JobFailed)(
        f"{layer} of {day} {how}{meaning} The log above says more"
    )
    error.exit_code = code
    return error


def missing_connection() -> list[str]:
    """Without the connection the operator would submit to YARN and say so only in its log."""
    try:
        BaseHook.get_connection(CONNECTION)
    except AirflowNotFoundException:
        example = '{"conn_type": "spark", "host": "local[2]"}'
        return [
            f"there is no connection {CONNECTION}, which says where Spark runs: set "
            f"AIRFLOW_CONN_{CONNECTION.upper()}, for example to {example}"
        ]
    return []


def missing_settings(settings: Settings) -> list[str]:
    """What a scheduled run needs and a person's own machine does not: the embedded server and lake are no place for it."""
    needed = {
        "LAKEHOUSE_SOURCE_DSN": settings.source_dsn,
        "LAKEHOUSE_GOLD_DSN": settings.gold_dsn,
        "LAKEHOUSE_LAKE": settings.lake,
    }
    if settings.lake.startswith("s3a://"):
        needed |= {"AWS_ACCESS_KEY_ID": settings.access_key, "AWS_SECRET_ACCESS_KEY": settings.secret_key}
    return [f"{name} is not set" for name, value in needed.items() if not value]


class UpstreamSensor(ExternalTaskSensor):
    """Waits, deferred, for the upstream DAG's run of the same business date, whatever its logical date.

    A run that is there is watched by the triggerer. Where there is none yet, the sensor looks again after a while.
    """

    look_interval = timedelta(minutes=1)
    # The inherited link leads to a run of this run's id, which the other DAG does not have.
    operator_extra_links = ()

    def __init__(self, *, external_dag_id: str, **kwargs: Any) -> None:
        super().__init__(
            external_dag_id=external_dag_id,
            allowed_states=[DagRunState.SUCCESS.value],
            failed_states=[DagRunState.FAILED.value],
            deferrable=True,
            poke_interval=10,
            timeout=timedelta(hours=12).total_seconds(),
            **kwargs,
        )

    def execute(self, context: Any) -> None:
        """Defers to the run of the day, or until the next look."""
        day = business_date(context)
        left = timedelta(seconds=self.timeout) - (datetime.now(UTC) - context["ti"].start_date)
        run = newest_run(self.external_dag_id, day)
        if run is None and left <= timedelta(0):
            raise AirflowSensorTimeout(f"{self.external_dag_id} has no run for {day}: see that it is not paused")
        if run is None:
            self.log.info("%s has no run for %s yet", self.external_dag_id, day)
            self.defer(trigger=TimeDeltaTrigger(self.look_interval), method_name="look_again")
        self.log.info("waiting for %s of %s", run.run_id, self.external_dag_id)
        self.defer(
            trigger=WorkflowTrigger(
                external_dag_id=self.external_dag_id,
                run_ids=[run.run_id],
                allowed_states=self.allowed_states,
                failed_states=self.failed_states,
                poke_interval=self.poke_interval,
            ),
            method_name="execute_complete",
            timeout=max(left, self.look_interval),
        )

    def look_again(self, context: Any, event: Any = None) -> None:
        """Looks for the run once more."""
        self.execute(context)

    def execute_complete(self, context: Any, event: dict[str, Any] | None = None) -> None:
        """Ends as the upstream run has ended."""
        if event and event["status"] == "failed":
            raise UpstreamFailed(
                f"{self.external_dag_id} failed for {business_date(context)}: mend that, clear its run, then this one"
            )
        super().execute_complete(context, event)


def newest_run(dag_id: str, day: BusinessDate) -> Any:
    """The DAG's run of a business date, or None: the newest that succeeded, else one still at work, else the newest."""
    from airflow.sdk.execution_time.comms import GetPreviousDagRun
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    end = BusinessDate(day.next, day.zone).end
    for state in (DagRunState.SUCCESS.value, DagRunState.RUNNING.value, DagRunState.QUEUED.value, None):
        found = SUPERVISOR_COMMS.send(GetPreviousDagRun(dag_id=dag_id, logical_date=end, state=state)).dag_run
        if found is not None and day_before(found.logical_date, day.zone) == day:
            return found
    return None

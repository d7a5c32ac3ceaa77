"""A job of the lakehouse as a task: it runs by spark-submit of the jobs' own environment.

Parsing needs no pyspark. Its exit code decides what follows: a refusal fails at once, a server that does not answer is
tried again, and a layer that another run is at work on is waited for.
"""

import inspect
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowNotFoundException

from lakehouse.errors import (
    BusyError,
    ConfigError,
    DriftError,
    GateError,
    LakehouseError,
    LedgerError,
    SetupError,
    UsageError,
)
from lakehouse.settings import Settings, load_settings
from lakehouse_dags.run_date import EXTRA, business_date
from lakehouse_dags.schedules import assets

CONNECTION = "spark_default"
# One slot: two drivers at once would share the memory of one machine, and gain nothing.
POOL = "spark"
# The same request gets the same answer: a wrong request or setting, drift, a failed gate, a ledger that a person must
# look at, an incomplete environment.
NOT_RETRIED = {e.exit_code for e in (UsageError, ConfigError, DriftError, GateError, LedgerError, SetupError)}


def checkout() -> Path:
    """The folder with jobs/ and dist/, else the one that the DAG folder is in."""
    return load_settings().root or Path(__file__).resolve().parents[2]


def jobs_environment() -> Path:
    """The Python environment that the jobs run in."""
    return load_settings().jobs_environment or checkout() / ".venv"


class JobFailed(AirflowException):
    """A job ended with an exit code after which a retry may help."""

    exit_code: int


class JobRefused(AirflowFailException):
    """A job ended with an exit code after which a retry would get the same answer."""

    exit_code: int


class LakehouseJob(SparkSubmitOperator):
    """Runs jobs/<job>.py by the jobs environment's own spark-submit.

    Refuses before it submits: an incomplete configuration, a missing connection. Where another run is at work it waits,
    deferred and without the slot of the pool, and tries again; that costs no retry until `busy_limit` is over.
    """

    busy_interval = timedelta(minutes=2)
    busy_limit = timedelta(hours=2)

    def __init__(self, *, job: str, **kwargs: Any) -> None:
        root = checkout()
        self.job = job
        self.environment = jobs_environment()
        super().__init__(
            application=str(root / "jobs" / f"{job}.py"),
            py_files=str(root / "dist" / "lakehouse.zip"),
            properties_file=str(root / "spark-defaults.conf"),
            spark_binary=str(self.environment / "bin" / "spark-submit"),
            conn_id=CONNECTION,
            name=f"lakehouse-{job}",
            pool=POOL,
            execution_timeout=timedelta(hours=2),
            **kwargs,
        )

    def execute(self, context: Any, event: Any = None, busy_until: str = "") -> None:
        """Submits the job and waits for its end; also the method by which a wait for another run goes on."""
        words, subject = self.request(context)
        faults = [*missing_connection(), *missing_settings(load_settings()), *self._missing_files()]
        if faults:
            raise AirflowFailException(f"nothing was submitted: {'; '.join(faults)}")
        # Here and not in the constructor: what is set there is rendered and kept for everyone to see.
        self.application_args = words
        self.env_vars = self._environment()
        connection = BaseHook.get_connection(CONNECTION)
        self.conf = self._class_archive(connection.extra_dejson.get("deploy-mode"))
        own = self.properties_file
        try:
            with self._properties(connection.host or "") as self.properties_file:
                self._hook = None  # one of an earlier try has other files
                super().execute(context)
        except AirflowException:
            code = self._hook._submit_sp.returncode if self._hook and self._hook._submit_sp else 0
            if not code:
                raise
            if code == BusyError.exit_code:
                self._wait(subject, busy_until)
            # The operator's own words repeat the whole log.
            raise ended(subject, code) from None
        finally:
            self.properties_file = own

    def request(self, context: Any) -> tuple[list[str], str]:
        """The words for the job, and what it is called in a sentence. May refuse with AirflowFailException."""
        return [], self.job

    def _wait(self, subject: str, busy_until: str) -> None:
        """Defers until the next try; returns when it has waited for long enough."""
        now = datetime.now(UTC)
        until = datetime.fromisoformat(busy_until) if busy_until else now + self.busy_limit
        if now < until:
            self.log.info("another run is at work: %s waits until %s at the latest", subject, until)
            trigger = TimeDeltaTrigger(self.busy_interval)
            self.defer(trigger=trigger, method_name="execute", kwargs={"busy_until": until.isoformat()})

    def _missing_files(self) -> list[str]:
        further = load_settings().spark_properties
        made_by = {
            self.py_files: "make zip",
            self._spark_binary: "make setup, or set LAKEHOUSE_JOBS_ENVIRONMENT",
            further: "see LAKEHOUSE_SPARK_PROPERTIES",
        }
        needed = [
            self.application,
            self.properties_file,
            self.py_files,
            self._spark_binary,
            self._cluster_file,
            *([further] if further else []),
        ]
        return [
            f"{file} is not there: {made_by.get(file, 'set LAKEHOUSE_ROOT to the checkout')}"
            for file in needed
            if not Path(file).is_file()
        ]

    @property
    def _cluster_file(self) -> str:
        return str(Path(self.properties_file).parent / "conf" / "spark-cluster.conf")

    def _environment(self) -> dict[str, str]:
        """spark-submit looks for Python and Spark on the path, and would find Airflow's."""
        home = next(self.environment.glob("lib/python*/site-packages/pyspark"), self.environment)
        return {
            "PATH": f"{self.environment / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "SPARK_HOME": str(home),
            "PYSPARK_PYTHON": str(self.environment / "bin" / "python"),
        }

    @contextmanager
    def _properties(self, master: str) -> Iterator[str]:
        """Spark's options in one file: on a cluster also what it turns up, and those that LAKEHOUSE_SPARK_PROPERTIES names."""
        own, further = str(self.properties_file), load_settings().spark_properties
        if master.startswith("local"):
            yield own
            return
        files = [own, self._cluster_file, *([further] if further else [])]
        # As a file that only we can read: what is on a command line every user of the machine sees.
        with tempfile.NamedTemporaryFile("w", prefix="lakehouse-spark-", suffix=".conf", encoding="utf-8") as both:
            both.write("\n".join(Path(file).read_text(encoding="utf-8") for file in files))
            both.flush()
            yield both.name

    def _class_archive(self, deploy_mode: str | None) -> dict[str, str]:
        """A driver on this machine starts in half the time where `make setup` has left the classes of a day to map."""
        archive = self.environment / "share" / "lakehouse" / "classes.jsa"
        if deploy_mode == "cluster" or not archive.is_file():
            return {}
        return {"spark.driver.defaultJavaOptions": f"-XX:SharedArchiveFile={archive}"}


class LayerJob(LakehouseJob):
    """Brings the run's business date into a layer, and tells the assets of the layer's tables of it.

    Refuses a run without a day that is over.
    """

    def __init__(self, *, layer: str, **kwargs: Any) -> None:
        self.layer = layer
        super().__init__(job=layer, outlets=list(assets(layer)), **kwargs)

    def request(self, context: Any) -> tuple[list[str], str]:
        """The run's day, for the job of the layer."""
        day = business_date(context)
        return ["--date", str(day)], f"{self.layer} of {day}"

    def execute(self, context: Any, event: Any = None, busy_until: str = "") -> None:
        """As every job; its assets carry the day."""
        super().execute(context, event, busy_until)
        for asset in assets(self.layer):
            context["outlet_events"][asset].extra = {EXTRA: str(business_date(context))}


def ended(subject: str, code: int) -> AirflowException:
    """What the exit code of a job means, as the error that does or does not lead to a retry."""
    meanings = {e.exit_code: inspect.getdoc(e) or "" for e in LakehouseError.__subclasses__()}
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    meaning = f": {meanings[code].splitlines()[0]}" if code in meanings else "."
    error = (JobRefused if code in NOT_RETRIED else JobFailed)(f"{subject} {how}{meaning} The log above says more")
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

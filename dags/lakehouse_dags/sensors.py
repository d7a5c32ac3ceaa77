"""The wait for the layer before: by business date, and deferred."""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.standard.sensors.external_task import ExternalTaskSensor
from airflow.providers.standard.triggers.external_task import WorkflowTrigger
from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
from airflow.sdk import DagRunState
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout

from lakehouse.business_date import BusinessDate
from lakehouse_dags.run_date import business_date, day_before


class UpstreamFailed(AirflowFailException):
    """The layer before did not bring the day, and has said so itself."""


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
                f"{self.external_dag_id} failed for {business_date(context)}: fix that, clear its run, then this one"
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

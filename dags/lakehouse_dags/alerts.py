"""Tells a person, by webhook and by e-mail, that a task failed for good, a gate refused a day, or gold is late.

One alert a failure: not one a retry, and none for a sensor whose upstream has failed and said so. Gold that is late is
told too, whatever was said before: a task that was killed at every try has said nothing. A receiver that does
not answer is logged and hides nothing. Names, counts and links only: no value of a row, no secret, and nothing that a
terminal or a chat would obey: a column of the source may have any name.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from airflow.sdk import BaseNotifier
from airflow.sdk.exceptions import AirflowException

from lakehouse.errors import GateError, LakehouseError, StoreError
from lakehouse.receivers import NotSentError, receivers
from lakehouse.receivers import printable as cleaned
from lakehouse.settings import Settings, load_settings
from lakehouse_dags.run_date import business_date, day_before
from lakehouse_dags.sensors import UpstreamFailed

# A run by hand or of a backfill is late by nature: the person who started it is watching.
EXPECTED_IN_TIME = ("scheduled", "asset_triggered")


@dataclass(frozen=True)
class Message:
    """What happened, in one sentence and in fields."""

    title: str
    event: str
    dag: str
    run: str
    business_date: str
    task: str = ""
    reason: str = ""
    lakehouse_run: str = ""
    rules: tuple[Mapping[str, Any], ...] = ()
    log: str = ""
    docs: str = ""

    @property
    def text(self) -> str:
        """For people: a line a fact."""
        broken = [
            f"{r['table']} {r['rule']}: {_counted(r['unexpected'])} of {_counted(r['rows'])} rows" for r in self.rules
        ]
        facts = {
            "DAG": self.dag, "Task": self.task, "Run": self.run, "Business date": self.business_date,
            "Reason": self.reason, "Lakehouse run": self.lakehouse_run, "Rules broken": "; ".join(broken),
            "Log": self.log, "Data Docs": self.docs,
        }  # fmt: skip
        return "\n".join([self.title, *(f"{name}: {fact}" for name, fact in facts.items() if fact)])


class Alert(BaseNotifier):
    """As `on_failure_callback` of a task it tells of the failure, as the callback of a deadline that gold is late."""

    def notify(self, context: Any) -> None:
        """Sends to every receiver that is set."""
        settings = load_settings()
        message = _late(context, settings) if "deadline" in context else _failure(context, settings)
        if message is None:
            return
        message = printable(message)
        self.log.warning("alert: %s", message.title)
        for receiver, send in receivers(settings).items():
            try:
                send(message.title, message.text, asdict(message))
            except NotSentError as e:
                self.log.error("the alert did not reach the %s: %s", receiver, e)


def printable(message: Message) -> Message:
    """The message with a space for each character that is none to read: escapes, line breaks, turns of direction."""

    def each(words: Mapping[str, Any]) -> dict[str, Any]:
        return {name: cleaned(word) if isinstance(word, str) else word for name, word in words.items()}

    words, rules = each(vars(message)), tuple(each(rule) for rule in message.rules)
    return replace(message, **{**words, "rules": rules})


def _failure(context: Any, settings: Settings) -> Message | None:
    error = context.get("exception")
    if isinstance(error, UpstreamFailed):
        return None
    ti, task = context["ti"], context["task"]
    layer = getattr(task, "layer", "")
    day = _day(context)
    # Of a task that was lost with its worker, the DAG processor tells, and knows only when the run began.
    began = getattr(ti, "start_date", None) or context["dag_run"].start_date
    failure = _from_ledger(settings, layer, day, began) if layer and day else None
    refused = getattr(error, "exit_code", None) == GateError.exit_code
    rules = tuple(asdict(r) for r in failure.rules) if failure else ()
    page = f"runs/{failure.run_id}/index.html" if failure and rules else ""
    return Message(
        title=f"The gate of {layer} refused {day}" if refused else f"{ti.dag_id} failed for {day or 'an unknown day'}",
        event="gate_refused" if refused else "failed",
        dag=ti.dag_id,
        run=ti.run_id,
        business_date=day,
        task=ti.task_id,
        reason=failure.message if failure else _words(error),
        lakehouse_run=failure.run_id if failure else "",
        rules=rules,
        log=ti.log_url,
        docs=_docs(settings, page),
    )


def _late(context: Any, settings: Settings) -> Message | None:
    run = context["dag_run"]
    if run["run_type"] not in EXPECTED_IN_TIME:
        return None
    logical_date = run["logical_date"]
    day = str(day_before(datetime.fromisoformat(logical_date), settings.zone)) if logical_date else ""
    # As the DAG has set it: assets start a run that has no logical date.
    due = datetime.fromisoformat(logical_date or run["queued_at"]) + settings.gold_deadline
    return Message(
        title=f"Gold of {day or 'the last day'} is late",
        event="late",
        dag=run["dag_id"],
        run=run["dag_run_id"],
        business_date=day,
        reason=f"the run is {run['state']} and was due at {due.astimezone(settings.zone):%H:%M} ({settings.timezone})",
        docs=_docs(settings, ""),
    )


def _day(context: Any) -> str:
    try:
        return str(business_date(context))
    except AirflowException:
        return ""


def _words(error: object) -> str:
    """Airflow's words and ours; of any other error its kind, as its words may quote a row."""
    if error is None:
        return "the task was lost with its worker"
    return str(error) if isinstance(error, str | AirflowException) else type(error).__name__


def _from_ledger(settings: Settings, layer: str, day: str, since: datetime) -> Any:
    # Late: reading this file needs no store.
    from lakehouse.database import Database
    from lakehouse.ledger.quality import last_failure

    if settings.gold_dsn is None:
        return None
    database = Database(settings.gold_dsn.get_secret_value(), "gold", StoreError)
    try:
        return last_failure(database, layer, datetime.fromisoformat(day).date(), since)
    except LakehouseError:
        return None
    finally:
        database.close()


def _docs(settings: Settings, page: str) -> str:
    return f"{settings.docs_url.rstrip('/')}/{page}" if settings.docs_url else ""


def _counted(number: int | None) -> str:
    return "an unknown number" if number is None else f"{number:,}"

"""Alerts as vmalert posts them, again and again while they hold: a person is told once, and once more when it is over.

What was told is kept in a file, so that no alert is told twice because this process was started again. An alert that no
receiver took is told with the next post that has it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from tenacity import RetryError, Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from lakehouse import log
from lakehouse.receivers import NotSentError, printable, receivers
from lakehouse.settings import Settings

TRIES = 4
# vmalert says that an alert is over for a quarter of an hour; who missed that is not told a day later.
FORGOTTEN_AFTER = timedelta(days=1)
# Labels that say which alert it is, not where.
NOT_A_PLACE = {"alertname", "alertgroup", "severity", "job", "instance"}


class Alert(BaseModel):
    """One alert in the form of Alertmanager's API, version 2."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    labels: dict[str, str]
    annotations: dict[str, str] = {}
    starts_at: AwareDatetime = Field(alias="startsAt")
    ends_at: AwareDatetime | None = Field(None, alias="endsAt")

    @property
    def key(self) -> str:
        """What it is known by: its labels."""
        return json.dumps(self.labels, sort_keys=True)

    def is_over(self, now: datetime) -> bool:
        """Whether it has ended; one that holds ends in the future, unless it is posted again."""
        return self.ends_at is not None and self.ends_at <= now


@dataclass(frozen=True)
class Message:
    """What a person is told, in one sentence and in fields."""

    title: str
    event: str
    alert: str
    severity: str
    since: str
    where: Mapping[str, str]
    runbook: str

    @property
    def text(self) -> str:
        """For people: a line a fact."""
        facts = {
            "Alert": self.alert, "Severity": self.severity, "Since": self.since, "What to do": self.runbook,
            "Where": ", ".join(f"{name} {value}" for name, value in self.where.items()),
        }  # fmt: skip
        return "\n".join([self.title, *(f"{name}: {fact}" for name, fact in facts.items() if fact)])


class Told:
    """Which alerts have been told and are not over, kept in a file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._heard: dict[str, datetime] = {}
        if file.is_file():
            kept = json.loads(file.read_text(encoding="utf-8"))
            self._heard = {key: datetime.fromisoformat(at) for key, at in kept.items()}

    def due(self, alerts: Iterable[Alert], now: datetime) -> Iterator[tuple[Alert, bool]]:
        """Those of a post that have to be told now, each with whether it is over. `keep` says that it was."""
        for alert in alerts:
            is_told = alert.key in self._heard
            if is_told and not alert.is_over(now):
                self._heard[alert.key] = now
            elif is_told or not alert.is_over(now):
                yield alert, is_told

    def keep(self, alert: Alert, now: datetime, *, is_over: bool) -> None:
        """The alert was told, as one that holds or as one that is over."""
        if is_over:
            self._heard.pop(alert.key, None)
        else:
            self._heard[alert.key] = now
        self._write(now)

    def _write(self, now: datetime) -> None:
        self._heard = {key: at for key, at in self._heard.items() if now - at < FORGOTTEN_AFTER}
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = self._file.with_suffix(".part")
        part.write_text(json.dumps({key: at.isoformat() for key, at in self._heard.items()}), encoding="utf-8")
        part.replace(self._file)


def message_of(alert: Alert, settings: Settings, *, is_over: bool) -> Message:
    """An alert in words: the summary of its rule, where it holds, and the page that says what to do."""
    summary = alert.annotations.get("summary") or alert.labels.get("alertname", "an alert without a name")
    message = {
        "title": f"Over: {summary}" if is_over else summary,
        "alert": alert.labels.get("alertname", ""),
        "severity": alert.labels.get("severity", ""),
        "since": alert.starts_at.astimezone(settings.zone).strftime("%Y-%m-%d %H:%M %Z"),
        "runbook": alert.annotations.get("runbook", ""),
    }
    where = {name: printable(v) for name, v in sorted(alert.labels.items()) if name not in NOT_A_PLACE}
    words = {name: printable(value) for name, value in message.items()}
    return Message(event="resolved" if is_over else "alert", where=where, **words)


def tell(message: Message, settings: Settings, wait: Callable[[float], None]) -> bool:
    """Gives a message to every receiver that is set, trying again where one does not take it; whether one has it now."""
    facts: dict[str, Any] = dict(vars(message))
    log.warning("alert", alert=message.alert, was=message.event, severity=message.severity, **message.where)
    sends = receivers(settings)
    taken = 0
    for name, send in sends.items():
        try:
            for attempt in Retrying(
                stop=stop_after_attempt(TRIES),
                wait=wait_exponential(multiplier=1, max=10),
                retry=retry_if_exception_type(NotSentError),
                sleep=wait,
            ):
                with attempt:
                    send(message.title, message.text, facts)
            taken += 1
        except RetryError as e:
            log.warning("alert.not_sent", receiver=name, reason=str(e.last_attempt.exception()))
    return taken > 0 or not sends


def handle(
    alerts: Iterable[Alert], told: Told, settings: Settings, now: datetime, wait: Callable[[float], None]
) -> int:
    """Tells what a post has to tell; how many messages that were."""
    messages = 0
    for alert, is_over in list(told.due(alerts, now)):
        if tell(message_of(alert, settings, is_over=is_over), settings, wait):
            told.keep(alert, now, is_over=is_over)
            messages += 1
    return messages

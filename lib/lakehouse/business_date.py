"""A business date: the shop's calendar day whose data a run brings, the window it closes and the folder it fills."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from lakehouse.errors import UsageError
from lakehouse.records import PARTITION

EVERY_DAY = "daily"
WEEK = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass(frozen=True)
class BusinessDate:
    """One calendar day in the shop's zone."""

    day: date
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: str, zone: ZoneInfo, now: datetime | None = None) -> BusinessDate:
        """Reads YYYY-MM-DD. Raises UsageError where it is malformed or the day is not over in the shop's zone."""
        try:
            day = date.fromisoformat(text)
            if text != day.isoformat() or not 1 < day.year < 9999:
                raise ValueError
        except ValueError:
            raise UsageError(f"{text!r} is not a day written as YYYY-MM-DD, for example 2011-12-09") from None
        found = cls(day, zone)
        if (now or datetime.now(UTC)) < found.end:
            raise UsageError(f"{text} is not over in {zone.key}; the last day that is over is "
                             f"{last_over(zone, now)}")  # fmt: skip
        return found

    @property
    def end(self) -> datetime:
        """The first instant of the next day, in UTC: the window's end, itself outside.

        Where the clock skips midnight it is the instant of the change; where midnight comes twice, the first (fold 0).
        """
        following = self.next
        return datetime(following.year, following.month, following.day, tzinfo=self.zone).astimezone(UTC)

    @property
    def next(self) -> date:
        """The day after."""
        return self.day + timedelta(days=1)

    @property
    def partition(self) -> dict[str, str]:
        """Bronze's folders: zero-padded text."""
        return dict(zip(PARTITION, self.day.isoformat().split("-"), strict=True))

    def __str__(self) -> str:
        return self.day.isoformat()


def last_over(zone: ZoneInfo, now: datetime | None = None) -> date:
    """Yesterday in the shop's zone."""
    return (now or datetime.now(UTC)).astimezone(zone).date() - timedelta(days=1)


def weekdays(value: str) -> str:
    """`daily`, or days of the week by name. Raises ValueError for anything else."""
    words = [word.strip().lower() for word in value.split(",")]
    if words != [EVERY_DAY] and not set(words) <= set(WEEK):
        raise ValueError(f"must be {EVERY_DAY}, or names of days of the week, for example sunday,wednesday")
    return ",".join(words)

"""The business date of an Airflow run: written down once, and refused before anything is submitted."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk.exceptions import AirflowFailException

from lakehouse.business_date import BusinessDate
from lakehouse.errors import UsageError
from lakehouse.settings import load_settings

# Under this key an asset event carries the day it belongs to.
EXTRA = "business_date"


def day_before(logical_date: datetime, zone: ZoneInfo) -> BusinessDate:
    """The shop's calendar day before the one that a logical date falls on, whatever the clocks did in between."""
    return BusinessDate(logical_date.astimezone(zone).date() - timedelta(days=1), zone)


def business_date(context: Any, now: datetime | None = None) -> BusinessDate:
    """The day that a run brings: before its logical date, or the latest that the assets which started it carry.

    Raises AirflowFailException for a run that has neither, and for a day that is not over.
    """
    zone = load_settings().zone
    logical_date = context.get("logical_date")
    if logical_date is None:
        carried = [e.extra[EXTRA] for e in _events(context) if e.extra and EXTRA in e.extra]
        if not carried:
            raise AirflowFailException(
                "this run has no logical date, so it has no business date: trigger it again and give one, any time of "
                "the day after the day to bring"
            )
        text = max(carried)
    else:
        text = str(day_before(logical_date, zone))
    try:
        return BusinessDate.parse(text, zone, now or datetime.now(UTC))
    except UsageError as e:
        raise AirflowFailException(f"nothing was submitted: {e}") from None


def _events(context: Any) -> list[Any]:
    """The asset events that started a run; none for one that was started by a clock or a person."""
    return [event for events in (context.get("triggering_asset_events") or {}).values() for event in events]

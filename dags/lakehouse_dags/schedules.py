"""When the DAGs run, and what every task of theirs begins with."""

from datetime import timedelta
from functools import cache

from airflow.sdk import Asset, CronTriggerTimetable

from lakehouse.contracts import load_contracts
from lakehouse.settings import load_settings

DEFAULTS = {
    "owner": "data-engineering",
    "retries": 3,
    "retry_delay": timedelta(minutes=2),
    "retry_exponential_backoff": 2,
    "max_retry_delay": timedelta(minutes=30),
}


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

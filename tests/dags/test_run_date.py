"""The business date of a run: the shop's day before its logical date, whatever the calendar and the clocks do."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowFailException
from airflow.serialization.encoders import coerce_to_core_timetable
from airflow.timetables.base import TimeRestriction
from pendulum import instance

from lakehouse_dags.run_date import business_date, day_before

DAYS = [
    # zone, logical date, business date
    ("UTC", "2026-01-31T01:00:00+00:00", "2026-01-30"),
    ("UTC", "2026-03-01T01:00:00+00:00", "2026-02-28"),
    ("UTC", "2024-03-01T01:00:00+00:00", "2024-02-29"),
    ("UTC", "2024-02-29T05:00:00+00:00", "2024-02-28"),
    ("UTC", "2027-01-01T03:00:00+00:00", "2026-12-31"),
    ("UTC", "2026-07-02T00:00:00+00:00", "2026-07-01"),
    ("UTC", "2026-07-02T23:59:59.999999+00:00", "2026-07-01"),
    # The same instant is another day elsewhere.
    ("Asia/Tokyo", "2026-07-01T16:00:00+00:00", "2026-07-01"),
    ("America/Los_Angeles", "2026-07-02T08:00:00+00:00", "2026-07-01"),
    ("Pacific/Kiritimati", "2026-07-01T10:30:00+00:00", "2026-07-01"),
    ("Asia/Kathmandu", "2026-07-01T18:14:59+00:00", "2026-06-30"),
    ("Asia/Kathmandu", "2026-07-01T18:15:00+00:00", "2026-07-01"),
    # London: 01:00 is skipped on 29 March and comes twice on 25 October.
    ("Europe/London", "2026-03-29T01:00:00+00:00", "2026-03-28"),
    ("Europe/London", "2026-03-29T02:00:00+00:00", "2026-03-28"),
    ("Europe/London", "2026-10-25T00:00:00+00:00", "2026-10-24"),
    ("Europe/London", "2026-10-25T01:00:00+00:00", "2026-10-24"),
    ("Europe/London", "2026-10-24T23:30:00+00:00", "2026-10-24"),
    # Berlin: 02:00 is skipped, so 03:00 follows 01:59.
    ("Europe/Berlin", "2026-03-29T00:00:00+00:00", "2026-03-28"),
    ("Europe/Berlin", "2026-03-29T01:00:00+00:00", "2026-03-28"),
    # Sao Paulo in 2018: midnight is skipped on 4 November; 23:00 to 24:00 of 17 February comes twice.
    ("America/Sao_Paulo", "2018-11-04T03:00:00+00:00", "2018-11-03"),
    ("America/Sao_Paulo", "2018-11-04T02:59:59+00:00", "2018-11-02"),
    ("America/Sao_Paulo", "2018-02-18T01:30:00+00:00", "2018-02-16"),
    ("America/Sao_Paulo", "2018-02-18T02:30:00+00:00", "2018-02-16"),
    ("America/Sao_Paulo", "2018-02-18T03:00:00+00:00", "2018-02-17"),
    # Havana: midnight comes twice on 4 November 2018.
    ("America/Havana", "2018-11-04T04:00:00+00:00", "2018-11-03"),
    ("America/Havana", "2018-11-04T05:00:00+00:00", "2018-11-03"),
    # Samoa had no 30 December 2011 at all: the calendar's day before, of which nothing was sold.
    ("Pacific/Apia", "2011-12-31T06:00:00+14:00", "2011-12-30"),
]


@pytest.mark.parametrize(("zone", "logical_date", "expected"), DAYS)
def test_the_business_date_is_the_day_before_by_the_shops_calendar(zone, logical_date, expected):
    assert str(day_before(datetime.fromisoformat(logical_date), ZoneInfo(zone))) == expected


YEARS = [
    ("UTC", 2024),
    ("Europe/London", 2026),
    ("Europe/Berlin", 2026),
    ("America/New_York", 2026),
    ("America/Sao_Paulo", 2018),
    ("America/Havana", 2018),
    ("Asia/Beirut", 2021),
    ("Africa/Cairo", 2024),
    ("Australia/Lord_Howe", 2026),
    ("Atlantic/Azores", 2026),
]


@pytest.mark.parametrize("hour", [1, 3, 5])
@pytest.mark.parametrize(("zone", "year"), YEARS)
@pytest.mark.fault("F25")
def test_a_year_of_scheduled_runs_brings_each_day_once(dags, zone, year, hour):
    """Airflow's own clock, over both changes of a year."""
    dag_id = {1: "daily_bronze_ingestion", 3: "daily_silver_transformation", 5: "daily_gold_aggregation"}[hour]
    timetable = coerce_to_core_timetable(dags(LAKEHOUSE_TIMEZONE=zone)[dag_id].timetable)
    first = instance(datetime(year, 1, 1, hour, tzinfo=ZoneInfo(zone)).astimezone(UTC))
    last = instance(datetime(year, 12, 31, hour, tzinfo=ZoneInfo(zone)).astimezone(UTC))
    days, interval = [], None
    while run := timetable.next_dagrun_info(
        last_automated_data_interval=interval, restriction=TimeRestriction(first, last, catchup=True)
    ):
        days.append(day_before(run.logical_date, ZoneInfo(zone)).day)
        interval = run.data_interval
    wanted = [date(year - 1, 12, 31) + timedelta(days=n) for n in range((last.date() - first.date()).days + 1)]
    assert days == wanted


def test_a_run_brings_the_day_before_its_logical_date(context):
    assert str(business_date(context("2026-02-01T17:45:00+00:00"))) == "2026-01-31"


def test_the_shops_zone_decides(context, monkeypatch):
    monkeypatch.setenv("LAKEHOUSE_TIMEZONE", "Asia/Tokyo")
    assert str(business_date(context("2026-01-31T16:00:00+00:00"))) == "2026-01-31"


def test_a_run_without_a_logical_date_is_refused_in_one_sentence(context):
    with pytest.raises(AirflowFailException, match="this run has no logical date, so it has no business date: trigger"):
        business_date(context(None))


def test_a_day_that_is_not_over_is_refused(context):
    now = datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)
    with pytest.raises(AirflowFailException, match=r"nothing was submitted: .*2026-01-31 is not over in UTC"):
        business_date(context("2026-02-01T01:00:00+00:00"), now)
    assert str(business_date(context("2026-02-01T01:00:00+00:00"), now + timedelta(seconds=1))) == "2026-01-31"


def test_a_date_in_the_future_is_refused(context):
    far = (datetime.now(UTC) + timedelta(days=40)).isoformat()
    with pytest.raises(AirflowFailException, match="is not over in UTC; the last day that is over is"):
        business_date(context(far))


def events(*days: str | None):
    """Asset events that carry these days; None: an event that carries nothing, as when a person makes one."""
    return [SimpleNamespace(extra={"business_date": day} if day else {}) for day in days]


def test_a_run_that_assets_started_brings_the_latest_day_they_carry(context):
    started_by = {
        Asset("bronze.orders"): events("2026-01-30", "2026-01-31"),
        Asset("bronze.customers"): events("2026-01-30", None),
    }
    assert str(business_date(context(None, triggering_asset_events=started_by))) == "2026-01-31"


def test_assets_that_carry_no_day_start_nothing(context):
    with pytest.raises(AirflowFailException, match="has no logical date"):
        business_date(context(None, triggering_asset_events={Asset("bronze.orders"): events(None)}))


def test_a_run_by_hand_brings_the_day_it_was_given_whatever_assets_say(context):
    started_by = {Asset("bronze.orders"): events("2026-01-31")}
    assert str(business_date(context("2026-01-05T00:00:00+00:00", triggering_asset_events=started_by))) == "2026-01-04"


@pytest.mark.parametrize("said", ["2026-02-30", "yesterday", "2026-1-5"])
def test_assets_that_carry_no_date_are_refused(context, said):
    with pytest.raises(AirflowFailException, match="is not a day written as YYYY-MM-DD"):
        business_date(context(None, triggering_asset_events={Asset("bronze.orders"): events(said)}))

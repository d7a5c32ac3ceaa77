"""A business date: how it is written, when it is over, and the instant at which it ends."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.business_date import BusinessDate, last_over
from lakehouse.errors import UsageError

pytestmark = pytest.mark.unit

LATER = datetime(2030, 1, 1, tzinfo=UTC)
ZONES = sorted(available_timezones())


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def end(text: str, zone: str) -> datetime:
    return BusinessDate.parse(text, ZoneInfo(zone), now=LATER).end


@pytest.mark.parametrize(
    "text",
    ["", "today", "2011-12-9", "20111209", "09.12.2011", "2011-12-09 ", " 2011-12-09", "2011-12-09T00:00", "2011-W49-5",
     "2011-343", "2011-13-01", "2011-11-31", "2011-02-29", "1900-02-29", "-2011-12-09", "0001-01-01", "9999-12-31",
     "\u0662\u0660\u0661\u0661-\u0661\u0662-\u0660\u0669", "2011-12-09\n"],
)  # fmt: skip
def test_what_is_no_day_is_refused_and_how_to_write_one_is_said(text: str) -> None:
    with pytest.raises(UsageError, match=r"^'.*' is not a day written as YYYY-MM-DD, for example \d{4}-\d\d-\d\d$"):
        BusinessDate.parse(text, ZoneInfo("UTC"), now=LATER)


@pytest.mark.parametrize("text", ["2011-12-09", "2012-02-29", "2000-02-29", "0002-01-01"])
def test_a_day_is_read_and_written_alike(text: str) -> None:
    assert str(BusinessDate.parse(text, ZoneInfo("UTC"), now=LATER)) == text


def test_a_day_is_over_at_the_first_instant_of_the_next_and_not_before() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert BusinessDate.parse("2011-12-09", berlin, now=at("2011-12-09 23:00")).day == date(2011, 12, 9)
    with pytest.raises(UsageError, match=r"^2011-12-09 is not over in Europe/Berlin; the last day .* is 2011-12-08$"):
        BusinessDate.parse("2011-12-09", berlin, now=at("2011-12-09 22:59:59.999999"))


def test_a_day_can_be_over_in_one_shop_and_not_in_another() -> None:
    now = at("2011-12-09 12:00")
    assert last_over(ZoneInfo("Pacific/Auckland"), now) == date(2011, 12, 9)
    assert last_over(ZoneInfo("UTC"), now) == date(2011, 12, 8)
    assert last_over(ZoneInfo("Pacific/Pago_Pago"), now) == date(2011, 12, 8)


def test_without_a_clock_given_tomorrow_is_not_over() -> None:
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    with pytest.raises(UsageError, match="is not over in UTC"):
        BusinessDate.parse(tomorrow.isoformat(), ZoneInfo("UTC"))


@pytest.mark.parametrize(
    ("day", "zone", "expected"),
    [
        ("2011-12-09", "UTC", "2011-12-10 00:00"),
        ("2011-12-31", "Asia/Kolkata", "2011-12-31 18:30"),
        ("2012-02-28", "UTC", "2012-02-29 00:00"),
        ("2012-02-29", "UTC", "2012-03-01 00:00"),
        ("2011-02-28", "UTC", "2011-03-01 00:00"),
        # 23 and 25 hours.
        ("2011-03-27", "Europe/Berlin", "2011-03-27 22:00"),
        ("2011-10-30", "Europe/Berlin", "2011-10-30 23:00"),
        # The clock went from 00:00 to 01:00: the day before ends at the instant of the change.
        ("2018-11-03", "America/Sao_Paulo", "2018-11-04 03:00"),
        ("2018-11-04", "America/Sao_Paulo", "2018-11-05 02:00"),
        # It went back from 00:00 to 23:00 of the day before, which then had 25 hours.
        ("2018-02-17", "America/Sao_Paulo", "2018-02-18 03:00"),
        # Samoa had no 30th of December: the 29th and the day that was not end at one instant.
        ("2011-12-29", "Pacific/Apia", "2011-12-30 10:00"),
        ("2011-12-30", "Pacific/Apia", "2011-12-30 10:00"),
        ("2011-12-31", "Pacific/Apia", "2011-12-31 10:00"),
        # It went back from 01:00 to 00:00: midnight came twice, and the first one is the end.
        ("2011-10-29", "Atlantic/Azores", "2011-10-30 00:00"),
        ("2011-10-30", "Atlantic/Azores", "2011-10-31 01:00"),
    ],
)
def test_a_day_ends_where_the_next_begins_in_the_shops_zone(day: str, zone: str, expected: str) -> None:
    assert end(day, zone) == at(expected)


@given(st.sampled_from(ZONES), st.dates(date(1970, 1, 2), date(2029, 12, 30)))
def test_the_end_is_the_first_instant_of_the_next_day(zone: str, day: date) -> None:
    found = BusinessDate(day, ZoneInfo(zone)).end
    assert found.astimezone(ZoneInfo(zone)).date() > day
    assert (found - timedelta(microseconds=1)).astimezone(ZoneInfo(zone)).date() <= day


@given(st.sampled_from(ZONES), st.dates(date(1970, 1, 2), date(2029, 12, 30)))
def test_windows_follow_each_other_without_overlap(zone: str, day: date) -> None:
    ends = [BusinessDate(day + timedelta(days=n), ZoneInfo(zone)).end for n in range(-1, 2)]
    assert ends == sorted(ends)
    assert ends[2] - ends[0] <= timedelta(hours=51)


def test_a_days_folder_is_zero_padded_text() -> None:
    assert BusinessDate(date(2011, 3, 9), ZoneInfo("UTC")).partition == {"year": "2011", "month": "03", "day": "09"}
    assert BusinessDate(date(2, 3, 9), ZoneInfo("UTC")).partition["year"] == "0002"

"""A day beside the same weekdays before it: what the band is, and which days of a ledger are judged."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from lakehouse.monitoring.anomalies import FLOORS, Band, Value, band, judged
from lakehouse.records import Finding
from tests.monitoring.conftest import Nights, Scraped, value

MONDAY = date(2026, 3, 2)
ROWS = FLOORS["rows"]


def series(*values: float, kind: str = "rows") -> list[Value]:
    """A value for each of the Mondays that end with MONDAY."""
    days = [MONDAY - timedelta(weeks=n) for n in reversed(range(len(values)))]
    return [Value("bronze", "orders", "rows", kind, day, n) for day, n in zip(days, values, strict=True)]


@pytest.mark.unit
def test_three_past_weekdays_say_nothing() -> None:
    assert band([100, 100, 100], ROWS) is None
    assert list(judged(series(100, 100, 100, 1))) == []


@pytest.mark.unit
def test_half_and_twice_the_usual_are_within_the_band_of_steady_days() -> None:
    assert band([100, 100, 100, 100], ROWS) == Band(100, 50, 200)


@pytest.mark.unit
def test_days_that_differ_widen_the_band_by_five_deviations() -> None:
    found = band([100, 140, 60, 100, 140, 60], ROWS)
    assert found is not None
    assert found.median == 100
    assert found.low == pytest.approx(100 - 5 * 1.4826 * 40)


@pytest.mark.unit
def test_one_odd_day_in_the_past_moves_nothing() -> None:
    assert band([100, 100, 100, 100, 9_000], ROWS) == Band(100, 50, 200)


@pytest.mark.unit
@pytest.mark.parametrize(("newest", "is_anomaly"), [(49, True), (50, False), (200, False), (201, True), (0, True)])
def test_the_newest_day_is_judged_by_the_weekdays_before_it(newest: float, is_anomaly: bool) -> None:
    [found] = judged(series(100, 100, 100, 100, newest))
    assert found.is_anomaly is is_anomaly


@pytest.mark.unit
def test_other_weekdays_and_weeks_that_are_long_past_do_not_count() -> None:
    tuesdays = [
        Value("bronze", "orders", "rows", "rows", v.day + timedelta(days=1), 5_000) for v in series(*[1] * 9)[:-1]
    ]
    [found] = judged([*series(9_000, 9_000, *[100] * 8, 100), *tuesdays])
    assert found.band == Band(100, 50, 200)


@pytest.mark.unit
def test_a_few_rows_and_a_few_points_of_a_share_are_nobodys_alarm() -> None:
    [rows] = judged(series(2, 3, 2, 2, 20))
    assert not rows.is_anomaly
    [share] = judged(series(0, 0, 0, 0.01, 0.1, kind="share"))
    assert not share.is_anomaly
    [share] = judged(series(0, 0, 0, 0.01, 0.12, kind="share"))
    assert share.is_anomaly
    assert list(judged(series(0, 0, 0, 0, 0, kind="share"))) == []


def fill(nights: Nights, orders: int, *, nulls: int = 0, waiting: int = 0) -> None:
    """Five Mondays of bronze and silver, of which the last is the one that is asked about."""
    first = MONDAY - timedelta(weeks=5)
    for week in range(6):
        day = first + timedelta(weeks=week)
        is_last = week == 5
        rows = orders if is_last else 100
        missing = Finding("silver", "orders", "customer_id_not_null", "warning", True, nulls if is_last else 1, 100)
        nights.publish("bronze", day, orders=rows)
        nights.publish("silver", day, (missing,), orders={"read": rows, "no_customer": 2 + (waiting if is_last else 0)})


@pytest.mark.integration
def test_a_ledger_of_like_days_has_no_anomaly(nights: Nights, scraped: Scraped) -> None:
    fill(nights, 110)
    found = scraped(nights.dsn)
    assert value(found, "lakehouse_measure", layer="bronze", table="orders", measure="rows") == 110
    assert value(found, "lakehouse_measure_median", layer="bronze", table="orders", measure="rows") == 100
    assert [key for key, n in found.items() if key[0] == "lakehouse_anomaly" and n] == []


@pytest.mark.integration
def test_few_rows_many_nulls_and_a_full_quarantine_are_three_anomalies(nights: Nights, scraped: Scraped) -> None:
    fill(nights, 40, nulls=60, waiting=20)
    found = scraped(nights.dsn)
    odd = {
        (dict(key[1])["layer"], dict(key[1])["measure"])
        for key, n in found.items()
        if key[0] == "lakehouse_anomaly" and n
    }
    assert odd == {("bronze", "rows"), ("silver", "customer_id_not_null"), ("silver", "quarantined")}


@pytest.mark.integration
def test_a_first_load_and_missed_nights_are_no_days(nights: Nights, scraped: Scraped) -> None:
    fill(nights, 110)
    nights.execute("update ops.run_tables set window_start = null where rows_read = 110 and layer = 'bronze'")
    found = scraped(nights.dsn)
    # The newest day that is one is the Monday before, with four before it.
    assert value(found, "lakehouse_measure", layer="bronze", table="orders", measure="rows") == 100


@pytest.mark.integration
def test_sales_by_day_are_gold_s_own_where_gold_may_be_read(nights: Nights, scraped: Scraped) -> None:
    fill(nights, 110)
    nights.execute("create schema gold")
    nights.execute("create table gold.fact_daily_sales (sales_date date, net_sales numeric, units_sold bigint)")
    nights.execute(
        "insert into gold.fact_daily_sales select %s::date - 7 * n, case n when 0 then 10 else 1000 end, 7 "
        "from generate_series(0, 6) n", MONDAY,
    )  # fmt: skip
    found = scraped(nights.dsn)
    assert value(found, "lakehouse_anomaly", layer="gold", table="fact_daily_sales", measure="net_sales") == 1
    assert value(found, "lakehouse_anomaly", layer="gold", table="fact_daily_sales", measure="units_sold") == 0

"""Whether a day is like the same weekdays before it: rows, sums, and the shares of rows that break a rule or wait.

The band of a measure is its median over up to eight past weekdays, give or take the larger of five times their median
absolute deviation, scaled as for a normal distribution (by 1.4826), and a floor: a few weekdays may deviate by little,
and down to half or up to twice the usual is nobody's alarm. Fewer than four past weekdays say nothing.
Median and deviation: Hampel's identifier (1974); it is not led astray by the odd day in the past itself.
The factor and the floors were chosen on a year of the sample online_retail: docs/monitoring.md has the figures.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from statistics import median
from typing import NamedTuple

from psycopg2.extensions import cursor as Cursor

DEVIATIONS = 5.0
NORMAL = 1.4826
FEWEST_WEEKDAYS = 4
MOST_WEEKDAYS = 8
# Calendar days that hold the past weekdays, and a few that were left out.
DAYS = 7 * (MOST_WEEKDAYS + 2)


@dataclass(frozen=True)
class Floor:
    """How far a value may lie from the median whatever the deviation: shares of the median, and an amount."""

    below: float
    above: float
    amount: float


# By kind of measure. Shares of rows are between 0 and 1.
FLOORS = {"rows": Floor(0.5, 1, 20), "sum": Floor(0.5, 1, 20), "share": Floor(0, 0, 0.1)}


class Value(NamedTuple):
    """A measure of a table on a day."""

    layer: str
    table: str
    measure: str
    kind: str
    day: date
    value: float


class Band(NamedTuple):
    """The values that are like those of the past."""

    median: float
    low: float
    high: float


class Judged(NamedTuple):
    """The newest value of a measure beside the band of the weekdays before it."""

    newest: Value
    band: Band

    @property
    def is_anomaly(self) -> bool:
        return not self.band.low <= self.newest.value <= self.band.high


# A first load, or nights that were left out, are more than a day: their windows are longer.
ROWS = """
    select 'bronze', t.table_name, 'rows', 'rows', r.business_date, max(t.rows_read)::float
    from ops.runs r join ops.run_tables t using (run_id)
    where r.layer = 'bronze' and t.layer = 'bronze' and r.state = 'published' and r.business_date > %(since)s
    and t.window_end - t.window_start between interval '23 hours' and interval '25 hours'
    group by 2, 5
"""
# Open rows are those of all nights: what a night added is the difference to the one before.
QUARANTINED = """
    select 'silver', table_name, 'quarantined', 'share', business_date, sum(added)::float / sum(rows_read)
    from (
        select t.table_name, r.business_date, t.rows_read,
               greatest(0, t.rows_quarantined - lag(t.rows_quarantined) over (partition by t.table_name order by r.seq)) as added
        from ops.runs r join ops.run_tables t using (run_id)
        where r.layer = 'silver' and t.layer = 'silver' and r.state = 'published' and r.business_date > %(since)s
    ) nights
    where added is not null group by 2, 5 having sum(rows_read) > 0
"""
# Rules about nulls among them. Those of a source's columns bear names that are not ours.
BROKEN = """
    select q.layer, q.table_name, q.rule, 'share', r.business_date, max(q.unexpected::float / q.rows)
    from ops.runs r join ops.quality_results q using (run_id)
    where r.state = 'published' and r.business_date > %(since)s and q.rows > 0 and q.unexpected is not null
    and q.rule not like 'schema\\_%%'
    group by 1, 2, 3, 5
"""
SALES = """
    select 'gold', 'fact_daily_sales', m.measure, 'sum', f.sales_date, m.value
    from (select sales_date, sum(net_sales)::float as net_sales, sum(units_sold)::float as units_sold
          from gold.fact_daily_sales where sales_date > %(since)s group by 1) f,
         lateral (values ('net_sales', net_sales), ('units_sold', units_sold)) m (measure, value)
    where m.value is not null
"""
SINCE = """
    select max(business_date) - %s from ops.runs where state = 'published' and layer = 'bronze'
"""
HAS_SALES = (
    "select coalesce(has_schema_privilege(to_regnamespace('gold'), 'usage') "
    "and has_table_privilege(to_regclass('gold.fact_daily_sales'), 'select'), false)"
)


def measures(cursor: Cursor) -> list[Value]:
    """Every measure of every day of the last weeks, in an open transaction."""
    cursor.execute(SINCE, (DAYS,))
    since = cursor.fetchone()
    if since is None or since[0] is None:
        return []
    cursor.execute(HAS_SALES)
    sales = [SALES] if (cursor.fetchone() or (False,))[0] else []
    found: list[Value] = []
    for question in (ROWS, QUARANTINED, BROKEN, *sales):
        cursor.execute(question, {"since": since[0]})
        found += [Value(*row) for row in cursor.fetchall()]
    return found


def judged(values: Iterable[Value]) -> Iterator[Judged]:
    """The newest value of each measure that has a past, beside its band; shares that were never above 0 are left out."""
    series: dict[tuple[str, str, str], dict[date, Value]] = defaultdict(dict)
    for value in values:
        series[value.layer, value.table, value.measure][value.day] = value
    for days in series.values():
        newest = days[max(days)]
        past = [
            v.value for day, v in sorted(days.items()) if day < newest.day and day.weekday() == newest.day.weekday()
        ]
        found = band(past[-MOST_WEEKDAYS:], FLOORS[newest.kind])
        if found is not None and (newest.kind != "share" or any(v.value for v in days.values())):
            yield Judged(newest, found)


def band(past: Sequence[float], floor: Floor) -> Band | None:
    """The band around the values of past weekdays; None where there are too few of them."""
    if len(past) < FEWEST_WEEKDAYS:
        return None
    middle = median(past)
    deviation = NORMAL * median(abs(value - middle) for value in past)
    width = max(DEVIATIONS * deviation, floor.amount)
    below, above = (max(width, share * abs(middle)) for share in (floor.below, floor.above))
    return Band(middle, middle - below, middle + above)

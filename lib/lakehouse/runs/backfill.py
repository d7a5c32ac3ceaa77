"""Backfill: a range of business dates, planned first, then run in one session or by Airflow.

The plan is made from the ledger alone: what a day already has is left, unless its bronze is to be read again. Bronze
brings each day by itself; silver and gold catch up once, through the last day, unless versions of every day are wanted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from lakehouse.business_date import BusinessDate
from lakehouse.contracts import LAYERS
from lakehouse.errors import UsageError
from lakehouse.ledger import Ledger
from lakehouse.parts import Lakehouse
from lakehouse.records import Extracted, Outcome
from lakehouse.runs.day import replace_day
from lakehouse.runs.day import run as run_layer


@dataclass(frozen=True)
class Step:
    """One layer of one day: what there is, and what a backfill would do. `run_id`: of the run that covers it."""

    day: BusinessDate
    layer: str
    state: str
    would: str
    run_id: str | None = None


def days(first: BusinessDate, last: BusinessDate) -> list[BusinessDate]:
    """The range, both ends within. Raises UsageError where it runs backwards."""
    if first.day > last.day:
        raise UsageError(f"the range runs backwards: --from {first} is after --to {last}")
    return [BusinessDate(first.day + timedelta(days=n), first.zone) for n in range((last.day - first.day).days + 1)]


def plan(ledger: Ledger, range_: list[BusinessDate], *, replaces: bool = False, by_day: bool = False) -> list[Step]:
    """What a backfill would do, in order.

    Bronze runs where no window covers the day; with `replaces`, what a day's own run had read is read again. Silver and
    gold run where they have not published the day, or bronze is about to bring something: once through the last day, or
    with `by_day` after each day.
    """
    own = _own_windows(ledger, range_)
    bronze = [_bronze(ledger, day, own.get(day, []), replaces=replaces) for day in range_]
    if not by_day:
        return bronze + _catch_up(ledger, range_[-1], brought=any(s.would != "nothing" for s in bronze))
    steps: list[Step] = []
    for step in bronze:
        steps += [step, *_catch_up(ledger, step.day, brought=step.would != "nothing")]
    return steps


def _own_windows(ledger: Ledger, range_: list[BusinessDate]) -> dict[BusinessDate, list[Extracted]]:
    found: dict[BusinessDate, list[Extracted]] = {}
    for e in ledger.windows_between(range_[0].day, range_[-1].day):
        found.setdefault(BusinessDate(e.business_date, range_[0].zone), []).append(e)
    return found


def _bronze(ledger: Ledger, day: BusinessDate, own: list[Extracted], *, replaces: bool) -> Step:
    if own:
        return Step(day, "bronze", "published", "replace" if replaces else "nothing", own[-1].run_id)
    over = ledger.first_covering(day.end)
    if over:
        return Step(day, "bronze", f"within {over.business_date}", "nothing", over.run_id)
    return Step(day, "bronze", "missing", "run")


def _catch_up(ledger: Ledger, day: BusinessDate, *, brought: bool) -> list[Step]:
    steps = []
    for layer in LAYERS[1:]:
        last = ledger.last(layer)
        published = last is not None and last.as_of >= day.day
        would = "run" if brought or not published else "nothing"
        steps.append(Step(day, layer, "published" if published else "missing", would))
    return steps


def run(lakehouse: Lakehouse, steps: list[Step]) -> Iterator[Outcome]:
    """Does what the plan says in one session; stops at the first error, which it raises."""
    for step in steps:
        if step.would == "replace":
            yield replace_day(lakehouse, step.day)
        elif step.would != "nothing":
            yield from run_layer(lakehouse, step.layer, step.day)


def logical_dates(first: BusinessDate, last: BusinessDate) -> tuple[datetime, datetime]:
    """From the first instant to the last of the days on which the range's DAG runs fire: each the day after its date."""
    begin, end = (datetime.combine(d.next, t, d.zone) for d, t in ((first, time.min), (last, time.max)))
    return begin, end

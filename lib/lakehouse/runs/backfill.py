"""Backfill: a range of business dates, planned first, then run in one session or by Airflow.

The plan is made from the ledger alone: what a day already has is left, unless its bronze is to be read again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from lakehouse.business_date import BusinessDate
from lakehouse.contracts import LAYERS
from lakehouse.errors import UsageError
from lakehouse.ledger.ledger import Ledger
from lakehouse.records import Extracted, Outcome
from lakehouse.runs import day as pipeline
from lakehouse.wiring import Lakehouse


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


def plan(ledger: Ledger, range_: list[BusinessDate], *, replaces: bool = False) -> list[Step]:
    """Every layer of every day, oldest first.

    Bronze runs where no window covers the day; with `replaces`, what a day's own run had read is read again. Silver and
    gold run where they have not published the day, or bronze is about to bring something.
    """
    extracts, steps = ledger.extracts(), list[Step]()
    as_of = {layer: ledger.last(layer) for layer in LAYERS}
    for day in range_:
        bronze = _bronze(day, extracts, replaces=replaces)
        steps.append(bronze)
        brought = bronze.would != "nothing"
        for layer in LAYERS[1:]:
            last = as_of[layer]
            published = last is not None and last["as_of"] >= day.day
            would = ("rebuild" if published else "run") if brought or not published else "nothing"
            steps.append(Step(day, layer, "published" if published else "missing", would))
    return steps


def _bronze(day: BusinessDate, extracts: list[Extracted], *, replaces: bool) -> Step:
    own = [e for e in extracts if e.business_date == day.day]
    over = min((e for e in extracts if e.window_end >= day.end), key=lambda e: e.window_end, default=None)
    if own:
        return Step(day, "bronze", "published", "replace" if replaces else "nothing", own[-1].run_id)
    if over:
        return Step(day, "bronze", f"within {over.business_date}", "nothing", over.run_id)
    return Step(day, "bronze", "missing", "run")


def run(house: Lakehouse, steps: list[Step]) -> Iterator[Outcome]:
    """Does what the plan says in one session, day by day; stops at the first error, which it raises."""
    for step in steps:
        if step.would == "replace":
            yield pipeline.replace_day(house, step.day)
        elif step.would != "nothing":
            yield from pipeline.run(house, step.layer, step.day)


def logical_dates(first: BusinessDate, last: BusinessDate) -> tuple[datetime, datetime]:
    """From the first instant to the last of the days on which the range's DAG runs fire: each the day after its date."""
    begin, end = (datetime.combine(d.next, t, d.zone) for d, t in ((first, time.min), (last, time.max)))
    return begin, end

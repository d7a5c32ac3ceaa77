"""What days were when the report before told of them: kept in the page itself, as data that no browser runs.

Gold keeps how things are, not how they were. The report before knows what it said.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from lakehouse.report.facts import REMEMBERED, Facts

TOLD = re.compile(r'<script type="application/json" id="told">(.*?)</script>', re.DOTALL)


@dataclass(frozen=True)
class Told:
    """What a report said: its run, its date, and the net sales of each day (None: not known)."""

    run_id: str
    as_of: date
    net_by_day: dict[date, Decimal | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Restated:
    """A day that was told of, and whose net sales are others now."""

    day: date
    before: Decimal | None
    now: Decimal | None


def told_by(page: str | None, run_id: str) -> Told | None:
    """What an earlier page said, that of another run than this one; None where there is none, or it is no such page.

    A page of the same run knows the one before it by what it said otherwise.
    """
    found = TOLD.search(page or "")
    if not found:
        return None
    try:
        data = json.loads(found[1])
        told = _told(data)
        if told.run_id != run_id:
            return told
        if not data["before"]:
            return None
        before = _told(data["before"])
        return replace(before, net_by_day={**told.net_by_day, **before.net_by_day})
    except (ValueError, KeyError, TypeError, AttributeError, InvalidOperation):
        return None


def _told(data: Mapping[str, Any]) -> Told:
    amounts = {date.fromisoformat(d): None if n is None else Decimal(n) for d, n in data["net"].items()}
    return Told(str(data["run"]), date.fromisoformat(data["as_of"]), amounts)


def to_tell(facts: Facts, before: Told | None) -> str:
    """What the next report is to know of this one, and of the one before, as a block of data of the page."""
    told = _data(facts.run_id, facts.as_of, facts.net_by_day)
    if before:
        told["before"] = _data(before.run_id, before.as_of, {r.day: r.before for r in restated(facts, before)})
    # `</` would end the block.
    data = json.dumps(told, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json" id="told">{data}</script>'


def _data(run_id: str, as_of: date | None, net: Mapping[date, Decimal | None]) -> dict[str, Any]:
    amounts = {day.isoformat(): None if amount is None else str(amount) for day, amount in net.items()}
    return {"run": run_id, "as_of": as_of.isoformat() if as_of else "", "net": amounts, "before": None}


def restated(facts: Facts, told: Told) -> list[Restated]:
    """Days up to the date of the report before whose net sales have changed since, newest first.

    A day without a sale is told of as nothing: it may have gained one, or lost all.
    """
    since = (facts.as_of or told.as_of) - REMEMBERED
    days = {d for d in {*facts.net_by_day, *told.net_by_day} if since < d <= told.as_of}
    zero = Decimal(0)
    pairs = [Restated(d, told.net_by_day.get(d, zero), facts.net_by_day.get(d, zero)) for d in days]
    return sorted((r for r in pairs if r.before != r.now), key=lambda r: r.day, reverse=True)

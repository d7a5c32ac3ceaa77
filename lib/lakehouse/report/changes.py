"""What days were when the report before told of them: kept in the page itself, as data that no browser runs.

Gold keeps how things are, not how they were. The report before knows what it said.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation

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


def told_by(page: str | None) -> Told | None:
    """What an earlier page said; None where there is none, or where it is no such page."""
    found = TOLD.search(page or "")
    if not found:
        return None
    try:
        told = json.loads(found[1])
        amounts = {date.fromisoformat(d): None if n is None else Decimal(n) for d, n in told["net"].items()}
        return Told(str(told["run"]), date.fromisoformat(told["as_of"]), amounts)
    except (ValueError, KeyError, TypeError, AttributeError, InvalidOperation):
        return None


def to_tell(facts: Facts) -> str:
    """What the next report is to know of this one, as a block of data of the page."""
    net = {day.isoformat(): None if amount is None else str(amount) for day, amount in facts.net_by_day.items()}
    told = {"run": facts.run_id, "as_of": facts.as_of.isoformat() if facts.as_of else "", "net": net}
    # `</` would end the block.
    data = json.dumps(told, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json" id="told">{data}</script>'


def restated(facts: Facts, told: Told) -> list[Restated]:
    """Days up to the date of the report before whose net sales have changed since, newest first.

    A day without a sale is told of as nothing: it may have gained one, or lost all.
    """
    since = (facts.as_of or told.as_of) - REMEMBERED
    days = {d for d in {*facts.net_by_day, *told.net_by_day} if since < d <= told.as_of}
    zero = Decimal(0)
    pairs = [Restated(d, told.net_by_day.get(d, zero), facts.net_by_day.get(d, zero)) for d in days]
    return sorted((r for r in pairs if r.before != r.now), key=lambda r: r.day, reverse=True)

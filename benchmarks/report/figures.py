"""From raw runs to the figures of the page: medians, growth, drift, parity. Pure: records in, numbers out.

b    how a day's cost grows with the history, the change fixed: log of cost over log of orders
c    how a day's cost grows with the change, the history fixed: log of cost over log of the day's scale
drift per day    the mean of (cost of day i - cost of day i-1) / cost of day i-1
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise, takewhile
from typing import Any, NamedTuple

Record = Mapping[str, Any]
FIRST_LOAD, DAY = "first load", "day"


class Cost(NamedTuple):
    """What a contestant's first loads, or its days, cost in one file of results; seconds, bytes."""

    size: str
    contestant: str
    kind: str
    runs: int
    lost: int
    """Runs that failed, took too long, or were left out after one of those."""
    median_s: float
    least_s: float
    most_s: float
    cpu_s: float
    server_cpu_s: float
    others_cpu_s: float
    peak_rss_bytes: int
    rows_in_per_s: float
    """Rows read from the source, over the wall time of the whole run."""


def runs_of(content: Record, contestant: str, kind: str) -> list[Record]:
    """A contestant's first loads, or its days."""
    return [
        run
        for run in content.get("runs", [])
        if run["contestant"] == contestant and (run["step"] == FIRST_LOAD) == (kind == FIRST_LOAD)
    ]


def costs(content: Record) -> list[Cost]:
    """The cost of every contestant's first loads and days, in the order of a file's contestants."""
    return [
        _cost(content["plan"]["size"], contestant, kind, runs)
        for contestant in content.get("contestants", {})
        for kind in (FIRST_LOAD, DAY)
        if (runs := runs_of(content, contestant, kind))
    ]


def _cost(size: str, contestant: str, kind: str, runs: Sequence[Record]) -> Cost:
    well = [r for r in runs if r["state"] == "done"]
    walls = [r["wall_s"] for r in well]
    return Cost(
        size, contestant, kind, len(well), len(runs) - len(well),
        median(walls), min(walls, default=math.nan), max(walls, default=math.nan),
        median(r["client_cpu_s"] + r["server_cpu_s"] for r in well), median(r["server_cpu_s"] for r in well),
        median(r["others_cpu_s"] for r in well), max((r["peak_rss_bytes"] for r in well), default=0),
        median(r["rows_in"] / r["wall_s"] for r in well),
    )  # fmt: skip


def median(numbers: Iterable[float]) -> float:
    """The median; not a number where there is none."""
    listed = list(numbers)
    return statistics.median(listed) if listed else math.nan


def exponent(points: Iterable[tuple[float, float]]) -> float | None:
    """The slope of a straight line through the logarithms of points (how much, its cost); None of fewer than two."""
    logs = [(math.log(much), math.log(cost)) for much, cost in points if much > 0 and cost > 0]
    if len({x for x, _ in logs}) < 2:
        return None
    return statistics.linear_regression(*zip(*logs, strict=True)).slope


def drift(walls: Sequence[float]) -> float | None:
    """How much a day takes longer than the one before it, as a share, on average; None of fewer than two days."""
    steps = [(after - before) / before for before, after in pairwise(walls)]
    return statistics.fmean(steps) if steps else None


def days_in_a_row(content: Record, contestant: str) -> list[float]:
    """The seconds of a contestant's days in the first repeat, in their order, up to the first that is lost."""
    first_repeat = (run for run in runs_of(content, contestant, DAY) if run["repeat"] == 0)
    return [float(run["wall_s"]) for run in takewhile(lambda run: run["state"] == "done", first_repeat)]


def phases(content: Record, contestant: str, kind: str) -> dict[str, float]:
    """Seconds of each phase that a contestant tells of itself, the median of its runs."""
    return _medians(content, contestant, kind, "phases")


def unequal(content: Record) -> list[Record]:
    """The steps after which a gold was not that of the first contestant."""
    return [record for record in content.get("parity", []) if record.get("differs")]


def compared(content: Record) -> int:
    """How many golds were held against another."""
    return sum("differs" in record for record in content.get("parity", []))


def executions(content: Record, contestant: str, kind: str) -> dict[str, float]:
    """SQL executions per layer, the median of the runs in which they were counted; empty where they were not."""
    return _medians(content, contestant, kind, "executions")


def _medians(content: Record, contestant: str, kind: str, name: str) -> dict[str, float]:
    told = [run[name] for run in runs_of(content, contestant, kind) if name in run]
    return {part: median(one.get(part, 0) for one in told) for part in told[0]} if told else {}

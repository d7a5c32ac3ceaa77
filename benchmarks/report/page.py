"""benchmarks/README.md and its pictures, written from the raw figures in results/; nobody edits them by hand.

Of each size of shop and of day the newest file with the most contestants is shown. Executions and drift come from whatever
file has them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import altair

from benchmarks.report.figures import (
    DAY,
    FIRST_LOAD,
    Cost,
    Record,
    compared,
    costs,
    days_in_a_row,
    drift,
    executions,
    exponent,
    phases,
    unequal,
)
from benchmarks.report.results import FOLDER, read_all

PAGE = FOLDER.parent / "README.md"
PICTURES = FOLDER.parent / "pictures"
OURS = "lakehouse"
HEAD = """\
# Shopday: results

This page is written by `make bench-report` from the raw figures in [results](results). What is measured, what is fair and
how to run it: [docs/benchmark.md](../docs/benchmark.md). Machines differ: trust the ratios within one table.
"""
NOTHING = "\nThere are no figures in `results/` yet: `make bench SIZE=S` makes some.\n"


def write_report(folder: Path = FOLDER, page: Path = PAGE, pictures: Path = PICTURES) -> list[Path]:
    """Writes the page, and a picture where there is something to draw; returns what it wrote."""
    contents = read_all(folder)
    found = shown(contents)
    if found:
        parts = [HEAD, *(_of_size(content, contents) for content in found), _growth(found, contents)]
    else:
        parts = [HEAD, NOTHING]
    drawn = list(_pictures(found, pictures))
    parts += [f"\n![{words}]({file.relative_to(page.parent)})\n" for file, words in drawn]
    page.write_text("".join(parts), encoding="utf-8")
    return [page, *(file for file, _ in drawn)]


def shown(contents: Sequence[Record]) -> list[Record]:
    """The file that the page shows of each size of shop and of day, the smallest first."""
    newest: dict[tuple[int, float], Record] = {}
    for content in contents:  # oldest first
        before = newest.get(_sizes(content))
        if content.get("runs") and (before is None or _contestants(content) >= _contestants(before)):
            newest[_sizes(content)] = content
    return [newest[sizes] for sizes in sorted(newest)]


def _sizes(content: Record) -> tuple[int, float]:
    return content["plan"]["orders"], content["plan"]["scale"]


def _contestants(content: Record) -> int:
    return len({run["contestant"] for run in content["runs"]})


def _of_size(content: Record, contents: Sequence[Record]) -> str:
    plan, machine = content["plan"], content["machine"]
    memory = machine["memory_bytes"] / (1 << 30)
    of_days = "" if plan["scale"] == 1 else f", days × {plan['scale']:g}"
    lines = [
        f"\n## {plan['orders']:,} orders{of_days}\n",
        f"{content['began_at'][:10]}, {machine['cores']} cores ({machine['processor']}), {memory:.0f} GiB; seed "
        f"{content['seed']}; {plan['repeats']} × (first load and {plan['days']} days).\n",
        *_cost_table(costs(content), _limit(content)),
        _parity(content),
        *_less(content),
        *_phases(content),
        *_executions([c for c in contents if _sizes(c) == _sizes(content)]),
        *_limits(content),
    ]
    return "\n".join(lines)


def _cost_table(found: Sequence[Cost], limit: float) -> Iterator[str]:
    """Costs, beside the fastest contestant and the machine's limit: rows per second that one client can copy out."""
    columns = (
        "Contestant", "What", "Runs", "Median", "Least–most", "× the fastest", "Rows in/s", "of the limit", "CPU-s",
        "of it Postgres", "Peak memory", "CPU-s of others",
    )  # fmt: skip
    yield f"| {' | '.join(columns)} |"
    yield "|---|---|" + "--:|" * (len(columns) - 2)
    for cost in found:
        fastest = min((c.median_s for c in found if c.kind == cost.kind and c.runs), default=math.nan)
        cells = (
            cost.contestant, cost.kind, f"{cost.runs} (and {cost.lost} lost)" if cost.lost else str(cost.runs),
            f"{_number(cost.median_s)} s", f"{_number(cost.least_s)}–{_number(cost.most_s)}",
            _number(cost.median_s / fastest, 2), _number(cost.rows_in_per_s, 0), _share(cost.rows_in_per_s / limit),
            _number(cost.cpu_s), _number(cost.server_cpu_s), f"{cost.peak_rss_bytes / (1 << 20):,.0f} MB",
            _number(cost.others_cpu_s),
        )  # fmt: skip
        yield f"| {' | '.join(cells)} |"


def _limit(content: Record) -> float:
    """Rows per second of the first limit, one client that copies out; not a number where it was not measured."""
    limits = content.get("limits", [])
    return float(limits[0]["rows_per_second"]) if limits else math.nan


def _parity(content: Record) -> str:
    held, differ = compared(content), unequal(content)
    if not held:
        return "\nGold was held against nobody's: only one contestant ran.\n"
    if not differ:
        return f"\nAll six tables of gold were the same, to the last cell, in all {held} comparisons.\n"
    where = "; ".join(f"{r['contestant']} after {r['step']}: {', '.join(r['differs'])}" for r in differ)
    return (
        f"\n**Gold differs in {len(differ)} of {held} comparisons, so that these times cannot be compared.** {where}.\n"
    )


def _less(content: Record) -> Iterator[str]:
    for name, about in content.get("contestants", {}).items():
        if about["does_less"]:
            yield f"{name} does less: {about['does_less']}.\n"


def _phases(content: Record) -> Iterator[str]:
    yield from ("| Contestant | What | Seconds of each phase, medians |", "|---|---|---|")
    for contestant in content["contestants"]:
        for kind in (FIRST_LOAD, DAY):
            words = [f"{phase} {_number(seconds)}" for phase, seconds in phases(content, contestant, kind).items()]
            if words:
                yield f"| {contestant} | {kind} | {', '.join(words)} |"
    yield ""


def _executions(contents: Sequence[Record]) -> Iterator[str]:
    """Of the newest runs in which they were counted."""
    rows = []
    for kind in (FIRST_LOAD, DAY):
        counted = [found for content in contents if (found := executions(content, OURS, kind))]
        if counted:
            layers = ", ".join(f"{layer} {number:g}" for layer, number in counted[-1].items())
            rows.append(f"| {kind} | {sum(counted[-1].values()):g} | {layers} |")
    if rows:
        yield from ("| Ours | SQL executions | By layer |", "|---|--:|---|", *rows, "")


def _limits(content: Record) -> Iterator[str]:
    limits = content.get("limits", [])
    if limits:
        yield from ("| Limit of the machine | Rows | Seconds | Rows/s |", "|---|--:|--:|--:|")
        for limit in limits:
            per_second = f"{limit['rows_per_second']:,}" if limit["rows_per_second"] else ""
            yield f"| {limit['limit']} | {limit['rows']:,} | {_number(limit['seconds'], 2)} | {per_second} |"
        yield ""


def _growth(found: Sequence[Record], contents: Sequence[Record]) -> str:
    """How a day's CPU grows with the history and with its own size, and how a day takes longer than the one before."""
    rows = []
    for name in dict.fromkeys(name for content in found for name in content["contestants"]):
        days = {
            _sizes(c): cost.cpu_s for c in found for cost in costs(c) if (cost.contestant, cost.kind) == (name, DAY)
        }
        history = exponent((orders, cpu) for (orders, scale), cpu in days.items() if scale == 1)
        changes = []
        for orders in dict.fromkeys(orders for orders, _ in days):
            change = exponent((scale, cpu) for (of, scale), cpu in days.items() if of == orders)
            changes += [f"{change:.2f} at {orders:,}"] if change is not None else []
        rows.append(
            f"| {name} | {'' if history is None else f'{history:.2f}'} | {', '.join(changes)} | "
            f"{', '.join(_drifts(name, contents))} |"
        )
    head = "| Contestant | b: CPU of a day over history | c: CPU of a day over its size | Drift per day |"
    return "\n".join(["\n## Growth\n", head, "|---|--:|--:|---|", *rows, ""])


def _drifts(name: str, contents: Sequence[Record]) -> Iterator[str]:
    """Of the longest series of days of each size; of several as long, the newest."""
    longest: dict[int, list[float]] = {}
    for content in contents:
        orders, scale = _sizes(content)
        walls = days_in_a_row(content, name)
        if scale == 1 and len(walls) >= len(longest.get(orders, ())):
            longest[orders] = walls
    for orders, walls in sorted(longest.items()):
        share = drift(walls)
        if share is not None:
            yield f"{share:+.2%} in {len(walls)} days at {orders:,}"


def _pictures(found: Sequence[Record], folder: Path) -> Iterator[tuple[Path, str]]:
    """Each picture's file and what it shows, of days as large as they are meant to be."""
    at_scale = [content for content in found if content["plan"]["scale"] == 1]
    values: list[dict[str, Any]] = [
        {
            "contestant": cost.contestant,
            "orders": content["plan"]["orders"],
            "what": cost.kind,
            "seconds": cost.median_s,
        }
        for content in found
        for cost in costs(content)
        if cost.runs
    ]
    if values:
        chart = altair.Chart({"values": values}).mark_bar().encode(
            x=altair.X("seconds:Q", title="seconds, median"),
            y=altair.Y("contestant:N", title=None),
            color=altair.Color("contestant:N", legend=None),
            row=altair.Row("orders:O", title="orders"),
            column=altair.Column("what:N", title=None, sort=[FIRST_LOAD, DAY]),
        )  # fmt: skip
        yield (
            _saved(chart.resolve_scale(x="independent"), folder / "seconds.svg"),
            "Seconds of a first load and of a day, by contestant and size",
        )
    rows: list[dict[str, Any]] = [
        {"contestant": contestant, "orders": content["plan"]["orders"], "day": day, "seconds": seconds}
        for content in at_scale
        for contestant in content["contestants"]
        for day, seconds in enumerate(days_in_a_row(content, contestant), start=1)
    ]
    if any(row["day"] > 1 for row in rows):
        lines = altair.Chart({"values": rows}).mark_line(point=True).encode(
            x=altair.X("day:Q", title="business day", axis=altair.Axis(tickMinStep=1)),
            y=altair.Y("seconds:Q"),
            color=altair.Color("contestant:N", title=None),
            column=altair.Column("orders:O", title="orders"),
        )  # fmt: skip
        yield (
            _saved(lines.resolve_scale(y="independent"), folder / "days.svg"),
            "Seconds of each day of the first repeat, by contestant and size",
        )


def _saved(chart: Any, file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    chart.save(file)
    return file


def _share(number: float) -> str:
    return "" if math.isnan(number) else f"{number:.1%}"


def _number(number: float, digits: int = 1) -> str:
    return "" if math.isnan(number) else f"{number:,.{digits}f}"

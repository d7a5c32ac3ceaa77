"""benchmarks/README.md and its pictures, written from the raw figures in results/; nobody edits them by hand.

Of each size the newest file that has runs of all contestants is shown, else the newest that has runs.
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
    found = shown(read_all(folder))
    parts = [HEAD, *(_of_size(content) for content in found), *_growth(found)] if found else [HEAD, NOTHING]
    drawn = list(_pictures(found, pictures))
    parts += [f"\n![{words}]({file.relative_to(page.parent)})\n" for file, words in drawn]
    page.write_text("".join(parts), encoding="utf-8")
    return [page, *(file for file, _ in drawn)]


def shown(contents: Sequence[Record]) -> list[Record]:
    """The file of each size that the page shows, smallest shop first."""
    newest: dict[int, Record] = {}
    for content in contents:  # oldest first
        before = newest.get(content["plan"]["orders"])
        if content.get("runs") and (before is None or _contestants(content) >= _contestants(before)):
            newest[content["plan"]["orders"]] = content
    return [newest[orders] for orders in sorted(newest)]


def _contestants(content: Record) -> int:
    return len({run["contestant"] for run in content["runs"]})


def _of_size(content: Record) -> str:
    plan, machine = content["plan"], content["machine"]
    memory = machine["memory_bytes"] / (1 << 30)
    lines = [
        f"\n## {plan['orders']:,} orders\n",
        f"{content['began_at'][:10]}, {machine['cores']} cores ({machine['processor']}), {memory:.0f} GiB; seed "
        f"{content['seed']}; {plan['repeats']} × (first load, {plan['days']} days at scale {plan['scale']:g}).\n",
        *_cost_table(costs(content)),
        _parity(content),
        *_less(content),
        *_phases(content),
        *_executions(content),
        *_limits(content),
    ]
    return "\n".join(lines)


def _cost_table(found: Sequence[Cost]) -> Iterator[str]:
    yield "| Contestant | What | Runs | Median | Least–most | × ours | CPU-s | of it Postgres | Peak memory | Others meanwhile |"
    yield "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|"
    ours = {cost.kind: cost.median_s for cost in found if cost.contestant == OURS}
    for cost in found:
        lost = f" (and {cost.lost} lost)" if cost.lost else ""
        times = cost.median_s / ours.get(cost.kind, math.nan)
        yield (
            f"| {cost.contestant} | {cost.kind} | {cost.runs}{lost} | {_number(cost.median_s)} s | "
            f"{_number(cost.least_s)}–{_number(cost.most_s)} | {_number(times, 2)} | {_number(cost.cpu_s)} | "
            f"{_number(cost.server_cpu_s)} | {cost.peak_rss_bytes / (1 << 20):,.0f} MB | {_number(cost.others_cpu_s)} CPU-s |"
        )


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
    """Medians of the phases that each contestant tells of itself."""
    rows = []
    for contestant in content.get("contestants", {}):
        for kind in (FIRST_LOAD, DAY):
            told = [
                run["phases"]
                for run in content["runs"]
                if run["contestant"] == contestant
                and "phases" in run
                and (run["step"] == FIRST_LOAD) == (kind == FIRST_LOAD)
            ]
            if told:
                middle = {phase: sorted(p.get(phase, 0.0) for p in told)[len(told) // 2] for phase in told[0]}
                words = ", ".join(f"{phase} {_number(seconds)}" for phase, seconds in middle.items())
                rows.append(f"| {contestant} | {kind} | {words} |")
    if rows:
        yield from ("| Contestant | What | Seconds of each phase |", "|---|---|---|", *rows, "")


def _executions(content: Record) -> Iterator[str]:
    rows = []
    for kind in (FIRST_LOAD, DAY):
        counted = executions(content, OURS, kind)
        if counted:
            layers = ", ".join(f"{layer} {number:g}" for layer, number in counted.items())
            rows.append(f"| {kind} | {sum(counted.values()):g} | {layers} |")
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


def _growth(found: Sequence[Record]) -> Iterator[str]:
    """How a day grows with the history, and with the days before it."""
    names = list(dict.fromkeys(name for content in found for name in content.get("contestants", {})))
    rows = []
    for name in names:
        days = [
            (c["plan"]["orders"], cost)
            for c in found
            for cost in costs(c)
            if (cost.contestant, cost.kind) == (name, DAY)
        ]
        growth = exponent((orders, cost.cpu_s) for orders, cost in days)
        drifts = [(c["plan"]["size"], drift(days_in_a_row(c, name))) for c in found]
        said = ", ".join(f"{size} {share:+.2%}" for size, share in drifts if share is not None)
        rows.append(f"| {name} | {'' if growth is None else f'{growth:.2f}'} | {said} |")
    yield "\n## Growth\n\n| Contestant | b: CPU of a day over history | Drift per day |\n|---|--:|---|\n"
    yield "\n".join(rows) + "\n"


def _pictures(found: Sequence[Record], folder: Path) -> Iterator[tuple[Path, str]]:
    """Each picture's file and what it shows."""
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
            column=altair.Column("what:N", title=None),
        )  # fmt: skip
        yield (
            _saved(chart.resolve_scale(x="independent"), folder / "seconds.svg"),
            "Seconds of a first load and of a day, by contestant and size",
        )
    rows: list[dict[str, Any]] = [
        {"contestant": contestant, "orders": content["plan"]["orders"], "day": day, "seconds": seconds}
        for content in found
        for contestant in content.get("contestants", {})
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


def _number(number: float, digits: int = 1) -> str:
    return "" if math.isnan(number) else f"{number:,.{digits}f}"

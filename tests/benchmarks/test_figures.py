"""From raw runs to the page: medians, growth, drift, and what a page says of golds that differ."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from benchmarks.report.figures import costs, days_in_a_row, drift, executions, exponent
from benchmarks.report.page import shown, write_report

pytestmark = pytest.mark.unit


def ran(step: str, contestant: str, wall: float = 1.0, state: str = "done", **more: Any) -> dict[str, Any]:
    figures = {
        "wall_s": wall,
        "client_cpu_s": wall,
        "server_cpu_s": 0.5,
        "others_cpu_s": 0.1,
        "peak_rss_bytes": 1 << 30,
        "rows_in": 100,
    }
    about = {"repeat": 0, "step": step, "contestant": contestant, "state": state}
    return {**about, **(figures if state != "not run" else {}), **more}


def content(*runs: dict[str, Any], orders: int = 100, scale: float = 1.0, **more: Any) -> dict[str, Any]:
    names = dict.fromkeys(run["contestant"] for run in runs)
    return {
        "began_at": "2026-01-01T00:00:00+00:00", "seed": 1, "versions": {},
        "plan": {"size": f"{orders}-orders", "orders": orders, "days": 2, "repeats": 1, "scale": scale},
        "machine": {"cores": 2, "memory_bytes": 8 << 30, "processor": "a processor"},
        "contestants": {name: {"does_less": "", "settings": {}} for name in names}, "runs": list(runs), **more,
    }  # fmt: skip


def test_a_cost_is_the_median_of_the_runs_that_ended_well() -> None:
    found = costs(
        content(
            ran("first load", "lakehouse", 9),
            ran("day 1", "lakehouse", 3),
            ran("day 2", "lakehouse", 1),
            ran("day 3", "lakehouse", 2),
            ran("day 4", "lakehouse", 500, state="timed out"),
            ran("day 5", "lakehouse", state="not run"),
        )
    )
    assert [(c.kind, c.runs, c.lost, c.median_s, c.least_s, c.most_s, c.cpu_s) for c in found] == [
        ("first load", 1, 0, 9, 9, 9, 9.5),
        ("day", 3, 2, 2, 1, 3, 2.5),
    ]


def test_a_contestant_that_never_ended_well_stays_in_the_table() -> None:
    (cost,) = costs(content(ran("first load", "duckdb", state="failed")))
    assert (cost.runs, cost.lost, math.isnan(cost.median_s)) == (0, 1, True)


@pytest.mark.parametrize(
    ("points", "slope"),
    [
        ([(1, 7), (10, 70), (100, 700)], 1.0),
        ([(1, 7), (10, 7)], 0.0),
        ([(1, 7), (100, 70)], 0.5),
        ([(10, 7)], None),
        ([], None),
    ],
)
def test_growth_is_the_slope_of_the_logarithms(points: list[tuple[float, float]], slope: float | None) -> None:
    assert exponent(points) == (None if slope is None else pytest.approx(slope))


def test_drift_is_the_mean_step_from_a_day_to_the_next() -> None:
    assert drift([10, 11, 11]) == pytest.approx(0.05)
    assert drift([10]) is None
    lost = content(ran("day 1", "a", 1), ran("day 2", "a", state="failed"), ran("day 3", "a", 3))
    assert days_in_a_row(lost, "a") == [1]


def test_executions_are_told_by_layer_where_they_were_counted() -> None:
    counted = content(
        ran("day 1", "lakehouse", executions={"bronze": 10, "silver": 40}),
        ran("day 2", "lakehouse", executions={"bronze": 12, "silver": 40}),
        ran("day 1", "duckdb"),
    )
    assert executions(counted, "lakehouse", "day") == {"bronze": 11, "silver": 40}
    assert executions(counted, "lakehouse", "first load") == {}


def test_the_page_shows_the_newest_file_of_all_contestants_of_each_size() -> None:
    small, again = content(ran("day 1", "a"), ran("day 1", "b")), content(ran("day 1", "a", 2), ran("day 1", "b"))
    only_one, large = content(ran("day 1", "a", 3)), content(ran("day 1", "a"), orders=1_000)
    assert shown([large, small, again, only_one, content()]) == [again, large]


def test_days_of_another_size_are_shown_beside(tmp_path: Path) -> None:
    plain, tenfold = content(ran("day 1", "lakehouse", 1.5)), content(ran("day 1", "lakehouse", 19.5), scale=10)
    larger = content(ran("day 1", "lakehouse", 1.5), orders=10_000)
    assert shown([tenfold, larger, plain]) == [plain, tenfold, larger]
    page = page_of(tmp_path, plain, tenfold, larger)
    assert "## 100 orders, days × 10" in page
    assert "| lakehouse | 0.00 | 1.00 at 100 |  |" in page


def test_executions_and_drift_come_from_whatever_file_has_them(tmp_path: Path) -> None:
    both = content(ran("day 1", "lakehouse", 1), ran("day 1", "duckdb", 1))
    alone = content(*(ran(f"day {n}", "lakehouse", wall) for n, wall in ((1, 10), (2, 11), (3, 11))))
    counted = content(ran("day 1", "lakehouse", executions={"bronze": 12, "silver": 30}))
    page = page_of(tmp_path, both, alone, counted)
    assert "| day | 42 | bronze 12, silver 30 |" in page
    assert "+5.00% in 3 days at 100" in page


def page_of(folder: Path, *contents: dict[str, Any]) -> str:
    for number, one in enumerate(contents):
        (folder / f"{number}.json").write_text(json.dumps(one), encoding="utf-8")
    written = write_report(folder, folder / "README.md", folder / "pictures")
    assert all(file.stat().st_size for file in written)
    return written[0].read_text(encoding="utf-8")


def test_the_page_has_a_table_of_costs_and_says_that_gold_was_the_same(tmp_path: Path) -> None:
    one = content(
        ran("first load", "lakehouse", 10), ran("first load", "duckdb", 5), ran("day 1", "lakehouse", 4),
        ran("day 1", "duckdb", 6), ran("day 2", "lakehouse", 4), ran("day 2", "duckdb", state="failed"),
        parity=[{"contestant": "duckdb", "against": "lakehouse", "step": "day 1", "differs": []}],
        limits=[{"limit": "copy out", "rows": 10, "seconds": 0.5, "rows_per_second": 20}],
    )  # fmt: skip
    page = page_of(tmp_path, one)
    assert "| lakehouse | first load | 1 | 10.0 s | 10.0–10.0 | 2.00 | 10 | 50.0% |" in page
    assert "| duckdb | first load | 1 | 5.0 s | 5.0–5.0 | 1.00 | 20 | 100.0% |" in page
    assert "| duckdb | day | 1 (and 1 lost) | 6.0 s | 6.0–6.0 | 1.50 | 17 | 83.3% |" in page
    assert "All six tables of gold were the same, to the last cell, in all 1 comparisons." in page
    assert "| copy out | 10 | 0.50 | 20 |" in page
    assert "(pictures/seconds.svg)" in page
    assert "(pictures/days.svg)" in page


def test_the_page_says_first_that_golds_differ(tmp_path: Path) -> None:
    differs = {"contestant": "duckdb", "against": "lakehouse", "step": "day 1", "differs": ["dim_products"]}
    page = page_of(tmp_path, content(ran("day 1", "lakehouse"), ran("day 1", "duckdb"), parity=[differs]))
    assert "**Gold differs in 1 of 1 comparisons" in page
    assert "duckdb after day 1: dim_products" in page


def test_without_figures_the_page_says_how_to_make_some(tmp_path: Path) -> None:
    assert "make bench SIZE=S" in page_of(tmp_path)

"""A tiny shop through the whole benchmark: the lakehouse and its peers end every step at the same gold.

Nothing here is about time.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from benchmarks.limits import limits
from benchmarks.ours.pipeline import LAYERS, Lakehouse
from benchmarks.peers.contestants import PEERS
from benchmarks.peers.environment import MARK
from benchmarks.place import Place
from benchmarks.report.figures import compared, executions, unequal
from benchmarks.report.page import write_report
from benchmarks.report.results import Results
from benchmarks.series import Plan, run
from lakehouse.contracts import load_contracts

pytestmark = pytest.mark.e2e

PLAN = Plan("tiny", 2_000, days=2, scale=0.02)


@pytest.fixture(scope="module", autouse=True)
def _peers() -> None:
    if not MARK.exists():
        pytest.fail("the peers' environment is not made yet: run `python -m benchmarks.peers.environment` first")


@pytest.fixture(scope="module")
def content(place: Place, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The raw figures of a first load and two days."""
    results = Results(tmp_path_factory.mktemp("results") / "tiny.json", asdict(PLAN))
    run(PLAN, place, [Lakehouse(counts=True), *PEERS], results, print)
    found: dict[str, Any] = json.loads(results.path.read_text(encoding="utf-8"))
    return found


def test_every_run_ends_well(content: dict[str, Any]) -> None:
    turns = {
        "first load": "lakehouse duckdb pandas",
        "day 1": "duckdb pandas lakehouse",
        "day 2": "pandas lakehouse duckdb",
    }
    expected = [(step, name, "done") for step, names in turns.items() for name in names.split()]
    assert [(r["step"], r["contestant"], r["state"]) for r in content["runs"]] == expected


def test_all_tables_of_gold_are_the_same_after_every_step(content: dict[str, Any]) -> None:
    assert unequal(content) == []
    assert compared(content) == 6
    for record in content["parity"]:
        assert record["gold"].keys() == load_contracts()["gold"].keys()
        assert all(table["rows"] for table in record["gold"].values())
    hashes = [json.dumps(r["gold"]) for r in content["parity"] if r["contestant"] == "duckdb"]
    assert len(set(hashes)) == 3, "every step changes gold"


def test_what_was_read_is_the_same_too(content: dict[str, Any]) -> None:
    found = {(r["step"], r["contestant"]): r["rows"] for r in content["runs"]}
    for step in ("first load", "day 1", "day 2"):
        ours = {table: rows["kept"] for table, rows in found[step, "lakehouse"]["gold"].items()}
        assert ours == found[step, "duckdb"]["gold"] == found[step, "pandas"]["gold"], step


def test_executions_are_counted_in_every_layer(content: dict[str, Any]) -> None:
    for kind in ("first load", "day"):
        counted = executions(content, "lakehouse", kind)
        assert list(counted) == list(LAYERS)
        assert all(counted.values())
    for record in content["runs"]:
        if record["contestant"] == "lakehouse":
            assert sum(record["executions"].values()) <= 100, "what cost is that there are many queries (ADR 0011)"


def test_the_page_is_made_of_it(content: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "tiny.json").write_text(json.dumps(content), encoding="utf-8")
    page = write_report(tmp_path, tmp_path / "README.md", tmp_path / "pictures")[0].read_text(encoding="utf-8")
    assert "All six tables of gold were the same, to the last cell, in all 6 comparisons." in page
    assert "SQL executions" in page


def test_the_limits_of_the_machine_are_measured_on_the_same_shop(place: Place) -> None:
    found = list(limits(place, PLAN.orders, 2))
    assert [limit["limit"] for limit in found] == [
        "copy out, 1 client", "copy out, 2 clients", "copy in, 1 client", "copy in, 2 clients", "copy in, key after",
        "duckdb parquet", "spark session",
    ]  # fmt: skip
    assert all(len(limit["runs"]) == 2 and limit["seconds"] > 0 for limit in found)
    assert found[0]["rows"] == 8_036
    assert found[5]["bytes"] > 100_000

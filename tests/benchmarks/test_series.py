"""The order of runs, and what becomes of a contestant that fails, hangs or makes another gold."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.contestant import Step
from benchmarks.measure.processes import Measured
from benchmarks.place import Place, Site
from benchmarks.report.results import Results
from benchmarks.series import Plan, run
from lakehouse.contracts import load_contracts
from lakehouse.errors import BusyError

ORDERS = 200


class Fake:
    """A contestant that writes an empty gold and one product, whose price is `price` from the day `since` on."""

    does_less = ""

    def __init__(self, name: str, price: str = "1.5", since: int = 0, script: str = "") -> None:
        self.name, self._price, self._since, self._script = name, price, since, script

    def settings(self) -> dict[str, str]:
        return {"price": self._price}

    def command(self, step: Step, site: Site) -> list[str]:
        price = self._price if step.number >= self._since else "1.5"
        if self._script and step.number >= self._since:
            return [sys.executable, "-c", self._script]
        tables = "; ".join(
            f"create table gold.{table} ({', '.join(f'{c.name} {c.type}' for c in contract.columns)})"
            for table, contract in load_contracts()["gold"].items()
        )
        statement = f"drop schema if exists gold cascade; create schema gold; {tables}; "
        statement += f"insert into gold.dim_products (product_id, price) values ('P1', {price})"
        code = (
            f"import psycopg2; c = psycopg2.connect({site.gold_dsn!r}); c.cursor().execute({statement!r}); c.commit()"
        )
        return [sys.executable, "-c", code]

    def environment(self, site: Site) -> dict[str, str]:
        return {}

    def facts(self, measured: Measured, site: Site) -> dict[str, Any]:
        return {"phases": {"P4": measured.wall_s}, "rows_in": 1}


def ran(place: Place, folder: Path, plan: Plan, *contestants: Fake) -> dict[str, Any]:
    results = Results(folder / "results.json", {"size": plan.size})
    run(plan, place, contestants, results, lambda _: None)
    content: dict[str, Any] = json.loads(results.path.read_text(encoding="utf-8"))
    return content


def states(content: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(r["step"], r["contestant"], r["state"]) for r in content["runs"]]


@pytest.mark.unit
def test_who_goes_first_changes_with_every_step_and_repeat() -> None:
    turns = Plan("tiny", ORDERS, days=1, repeats=2).turns([Fake("a"), Fake("b")])
    assert [(repeat, step.name, "".join(c.name for c in turn)) for repeat, step, turn in turns] == [
        (0, "first load", "ab"),
        (0, "day 1", "ba"),
        (1, "first load", "ba"),
        (1, "day 1", "ab"),
    ]


@pytest.mark.integration
def test_one_benchmark_at_a_time_uses_a_place(place: Place) -> None:
    with pytest.raises(BusyError, match="another benchmark runs in"):
        Place(place.data.parent.parent).start()


@pytest.mark.integration
def test_each_step_is_run_by_all_and_their_golds_are_held_against_each_other(place: Place, tmp_path: Path) -> None:
    plan = Plan("tiny", ORDERS, days=2, scale=0.002)
    content = ran(place, tmp_path, plan, Fake("a"), Fake("b", price="1.5001", since=2))
    assert states(content) == [
        ("first load", "a", "done"), ("first load", "b", "done"), ("day 1", "b", "done"), ("day 1", "a", "done"),
        ("day 2", "a", "done"), ("day 2", "b", "done"),
    ]  # fmt: skip
    held = [(r["step"], r["contestant"], r.get("against"), r.get("differs")) for r in content["parity"]]
    assert held == [
        ("first load", "a", None, None), ("first load", "b", "a", []),
        ("day 1", "a", None, None), ("day 1", "b", "a", []),
        ("day 2", "a", None, None), ("day 2", "b", "a", ["dim_products"]),
    ]  # fmt: skip
    assert content["parity"][0]["gold"]["dim_products"]["rows"] == 1
    assert [d["rows"]["orders new"] for d in content["days"]] == [20, 20]
    assert content["runs"][0]["phases"]["P4"] > 0
    assert content["contestants"]["b"]["settings"] == {"price": "1.5001"}
    assert content["server"]["server_version"].startswith("18")


@pytest.mark.integration
def test_a_contestant_that_fails_or_hangs_stays_in_the_results_and_is_left_out_of_the_repeat(
    place: Place, tmp_path: Path
) -> None:
    says = '{"event": "command.failed", "message": "a rule failed"}'
    failing = Fake("failing", since=1, script=f"import sys; print({says!r}, file=sys.stderr); sys.exit(6)")
    hanging = Fake("hanging", since=1, script="import time; time.sleep(60)")
    plan = Plan("tiny", ORDERS, days=2, repeats=2, scale=0.002, limit=5)
    content = ran(place, tmp_path, plan, Fake("a"), failing, hanging)
    for repeat in (0, 1):
        found = {(r["step"], r["contestant"]): r for r in content["runs"] if r["repeat"] == repeat}
        assert [found["first load", name]["state"] for name in ("a", "failing", "hanging")] == ["done"] * 3
        assert found["day 1", "failing"]["state"] == "failed"
        assert found["day 1", "failing"]["message"] == "a rule failed"
        assert found["day 1", "hanging"]["state"] == "timed out"
        assert [found["day 2", name]["state"] for name in ("a", "failing", "hanging")] == ["done", "not run", "not run"]

"""The three runs in their frame: planned under the lock, covered days, dry runs, what a table that is new means.

The bodies that need Spark are replaced by writes of one row; plans, order and publishes are the real ones.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from lakehouse.business_date import BusinessDate
from lakehouse.errors import DriftError, LedgerError, NotYetError, SourceError, StoreError
from lakehouse.layers import bronze, gold, silver
from lakehouse.runs import backfill, dry_run, rebuild
from lakehouse.runs import day as days
from tests.fakes import CONTRACTS, Row, fake_lakehouse, replace_bodies, schema_of

pytestmark = pytest.mark.unit


def on(day: int) -> BusinessDate:
    return BusinessDate(date(2020, 1, day), ZoneInfo("UTC"))


@pytest.fixture
def lakehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Fakes, and bodies that write a row of each table that is due."""
    replace_bodies(monkeypatch)
    return fake_lakehouse(tmp_path)


def states(lakehouse: Any) -> list[tuple[str, int, str]]:
    return [(r.layer, r.day.day, r.state) for r in lakehouse.ledger.runs.values()]


def pointers(lakehouse: Any) -> dict[str, dict[str, int]]:
    return {layer: {t: p.version for t, p in held.items()} for layer, held in lakehouse.ledger.pointers.items()}


def test_a_day_goes_through_all_three_layers_and_again_it_is_covered(lakehouse: Any) -> None:
    assert [o.state for o in days.run(lakehouse, "day", on(2))] == ["published"] * 3
    before, commits = pointers(lakehouse), sum(map(len, lakehouse.lake.tables.values()))
    again = days.run(lakehouse, "day", on(2))
    assert [o.state for o in again] == ["covered"] * 3
    assert all("2020-01-02 was already published" in o.message for o in again)
    assert (pointers(lakehouse), sum(map(len, lakehouse.lake.tables.values()))) == (before, commits)
    assert [s for _, _, s in states(lakehouse)] == ["published"] * 3 + ["covered"] * 3
    assert lakehouse.steps.count("change gold") == 1
    assert lakehouse.steps.count("marts") == 2, "a mart that could not be refreshed comes with the covered run"


def test_bronze_is_not_written_on_what_a_driver_without_its_lock_commits_after_the_restore(lakehouse: Any) -> None:
    days.run(lakehouse, "bronze", on(2))
    before, held = pointers(lakehouse), lakehouse.lake.tables["bronze", "orders"]
    lakehouse.ledger.runs["zombie"] = Row("bronze", on(3).day, "abandoned")

    class JustThen(dict[str, tuple[int, int]]):
        def items(self) -> Any:
            held.append(replace(held[0], version=1, run="zombie"))
            return {}.items()

    lakehouse.source.gone = JustThen()
    with pytest.raises(StoreError, match=r"bronze\.orders was committed by another run"):
        days.run(lakehouse, "bronze", on(3))
    assert pointers(lakehouse) == before
    lakehouse.source.gone = {}
    days.run(lakehouse, "bronze", on(3))
    assert "restore bronze.orders to 0" in lakehouse.steps, "the row of the zombie is in no published version"
    assert pointers(lakehouse)["bronze"]["orders"] == 4


def test_gold_never_takes_the_silver_of_a_day_before_for_that_of_the_day_it_publishes(lakehouse: Any) -> None:
    days.run(lakehouse, "day", on(2))
    days.run(lakehouse, "bronze", on(3))
    answer = lakehouse.ledger.published

    def silver_publishes_just_then(layer: str) -> Any:
        found = answer(layer)
        lakehouse.ledger.published = answer
        days.run(lakehouse, "silver", on(3))
        return found

    lakehouse.ledger.published = silver_publishes_just_then
    with pytest.raises(NotYetError):
        gold.plan(lakehouse, on(3))
    due = gold.plan(lakehouse, on(3))
    assert {t: p.version for t, p in due.silver.items()} == pointers(lakehouse)["silver"]


def test_a_day_is_read_again_without_a_table_whose_contract_was_taken_away_since(lakehouse: Any) -> None:
    days.run(lakehouse, "bronze", on(2))
    lakehouse.ledger.windows.append(replace(lakehouse.ledger.windows[0], table="retired"))
    assert set(bronze.plan(lakehouse, on(2), replaces=True).windows) == set(CONTRACTS["bronze"])


def test_a_day_within_the_window_of_a_later_one_is_covered_by_it(lakehouse: Any) -> None:
    days.run(lakehouse, "bronze", on(3))
    outcome = days.run(lakehouse, "bronze", on(2))[0]
    assert outcome.state == "covered"
    assert outcome.message.startswith("2020-01-02 was already covered by the run of 2020-01-03")


@pytest.mark.parametrize("layer", ["bronze", "silver", "gold"])
def test_every_layer_is_planned_under_its_lock(lakehouse: Any, layer: str) -> None:
    for earlier in ("bronze", "silver", "gold")[: ("bronze", "silver", "gold").index(layer)]:
        days.run(lakehouse, earlier, on(2))
    lakehouse.steps.clear()
    days.run(lakehouse, layer, on(2))
    planned = "last gold" if layer == "gold" else "plan"
    steps = lakehouse.steps
    assert steps.index("lock") < steps.index("open") < steps.index(planned) < steps.index("publish")
    assert steps.index("publish") < steps.index("unlock")


def test_bronze_asks_for_the_shop_before_the_lake_and_closes_its_snapshot_before_the_publish(lakehouse: Any) -> None:
    days.run(lakehouse, "bronze", on(2))
    order = [
        "lock",
        "plan",
        "source",
        "snapshot",
        "clock",
        "readable",
        "identity",
        "write bronze.orders",
        "snapshot closed",
        "publish",
    ]
    assert [s for s in lakehouse.steps if s in order] == order


def test_gold_changes_within_the_publish_and_tells_statistics_and_marts_afterwards(lakehouse: Any) -> None:
    days.run(lakehouse, "bronze", on(2))
    days.run(lakehouse, "silver", on(2))
    lakehouse.steps.clear()
    days.run(lakehouse, "gold", on(2))
    order = ["lock", "prepare gold", "sweep staging", "publish", "published", "change gold", "count changes", "commit",
             "drop staging", "unlock", "statistics", "marts", "page report/index.html",
             "page catalogue/index.html", "front page"]  # fmt: skip
    assert [s for s in lakehouse.steps if s in order] == order


@pytest.mark.parametrize(
    "step", ["drop staging", "statistics", "marts", "page report/index.html", "page catalogue/index.html", "front page"]
)
def test_a_gold_whose_marts_or_pages_cannot_be_made_is_published(lakehouse: Any, step: str) -> None:
    lakehouse.steps.breaks[step] = SourceError("the store is away")
    assert [o.state for o in days.run(lakehouse, "day", on(2))] == ["published"] * 3


@pytest.mark.parametrize("step", ["prepare gold", "change gold", "count changes"])
def test_a_gold_that_breaks_before_or_within_its_publish_leaves_its_pointers(lakehouse: Any, step: str) -> None:
    lakehouse.steps.breaks[step] = SourceError("away")
    with pytest.raises(SourceError):
        days.run(lakehouse, "day", on(2))
    assert "gold" not in pointers(lakehouse)
    assert states(lakehouse)[-1] == ("gold", 2, "failed")
    assert "marts" not in lakehouse.steps
    assert ("drop staging" in lakehouse.steps) is ("sweep staging" in lakehouse.steps)


@pytest.mark.parametrize("layer", ["bronze", "silver", "gold"])
def test_no_layer_takes_a_lake_of_another_ledger_for_its_own_however_often_it_is_tried(
    lakehouse: Any, layer: str
) -> None:
    """A mistyped address of the lake: gold only reads it, which would publish another shop's figures."""
    days.run(lakehouse, "day", on(2))
    for earlier in ("bronze", "silver", "gold")[: ("bronze", "silver", "gold").index(layer)]:
        days.run(lakehouse, earlier, on(3))
    before, lakehouse.lake.owner = pointers(lakehouse), "theirs"
    for _ in range(3):
        with pytest.raises(LedgerError, match="belongs to another ledger"):
            days.run(lakehouse, layer, on(3))
        assert states(lakehouse)[-1] == (layer, 3, "failed")
    assert pointers(lakehouse) == before


def test_a_day_stops_at_the_layer_that_fails(lakehouse: Any) -> None:
    lakehouse.steps.breaks["source"] = SourceError("away")
    with pytest.raises(SourceError):
        days.run(lakehouse, "day", on(2))
    assert states(lakehouse) == [("bronze", 2, "failed")]


@pytest.mark.parametrize(("layer", "said"), [
    ("silver", "bronze has not published 2020-01-02 yet; run: lakehouse run bronze --date 2020-01-02"),
    ("gold", "silver has not published 2020-01-02 yet; run: lakehouse run silver --date 2020-01-02"),
])  # fmt: skip
def test_a_layer_before_its_turn_says_what_to_run_and_leaves_a_row(lakehouse: Any, layer: str, said: str) -> None:
    with pytest.raises(NotYetError, match=said):
        days.run(lakehouse, layer, on(2))
    assert states(lakehouse) == [(layer, 2, "failed")]
    assert next(iter(lakehouse.ledger.runs.values())).code == 12


def test_a_source_that_lost_columns_is_refused_with_all_of_them_before_anything_is_written(lakehouse: Any) -> None:
    for table in ("orders", "customers"):
        lakehouse.source.schemas[table] = {n: kind for n, kind in schema_of(table).items() if n != "updated_at"}
    with pytest.raises(DriftError) as raised:
        days.run(lakehouse, "bronze", on(2))
    assert "orders.updated_at is missing" in str(raised.value)
    assert "customers.updated_at is missing" in str(raised.value)
    assert lakehouse.lake.tables == {}
    assert "findings" in lakehouse.steps, "its page says which columns"


def test_a_table_of_which_a_policy_hides_rows_is_warned_of(lakehouse: Any) -> None:
    lakehouse.source.hidden.add("orders")
    days.run(lakehouse, "bronze", on(2))
    warned = [(f.table, f.rule, f.severity) for f in lakehouse.ledger.findings if not f.success]
    assert warned == [("orders", "rows_hidden_by_policy", "warning")]


def test_silver_catches_up_with_every_window_once(lakehouse: Any) -> None:
    for day in (2, 3, 4):
        days.run(lakehouse, "bronze", on(day))
    assert (
        silver.plan(lakehouse, on(4)).pending["orders"]
        == lakehouse.ledger.windows_between(date(2020, 1, 2), date(2020, 1, 4))[
            list(CONTRACTS["bronze"]).index("orders") :: len(CONTRACTS["bronze"])
        ]
    )
    days.run(lakehouse, "silver", on(4))
    assert not any(silver.plan(lakehouse, on(4)).pending.values())
    assert days.run(lakehouse, "silver", on(3))[0].state == "covered"


def test_a_transform_that_changed_makes_silver_judge_everything_again(
    lakehouse: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    days.run(lakehouse, "bronze", on(2))
    days.run(lakehouse, "silver", on(2))
    monkeypatch.setattr(silver, "digest", lambda *_: 1)
    due = silver.plan(lakehouse, on(2))
    assert due.rebuilds
    assert all(due.pending.values())
    assert due.covered_by is None


def test_a_layer_that_never_published_is_not_rebuilt(lakehouse: Any) -> None:
    with pytest.raises(LedgerError, match="silver was never published, so there is nothing to rebuild"):
        rebuild.rebuild(lakehouse, "silver")


def test_a_rebuild_of_silver_needs_no_restore_of_what_it_replaces(lakehouse: Any) -> None:
    days.run(lakehouse, "day", on(2))
    lakehouse.lake.write("silver", "orders")
    lakehouse.steps.clear()
    assert rebuild.rebuild(lakehouse, "silver", reason="a rule was wrong").state == "published"
    assert not [s for s in lakehouse.steps if s.startswith(("restore", "clear"))]
    assert "identity" in lakehouse.steps, "but lake and ledger are held against each other"


def test_a_day_is_replaced_by_its_own_windows_or_not_at_all(lakehouse: Any) -> None:
    days.run(lakehouse, "bronze", on(3))
    with pytest.raises(
        LedgerError, match=r"no run has published 2020-01-02 by itself.*covered by the run of 2020-01-03"
    ):
        days.replace_day(lakehouse, on(2))
    days.run(lakehouse, "bronze", on(4))
    assert days.replace_day(lakehouse, on(3)).state == "published"
    assert {(e.window_start, e.window_end) for e in lakehouse.ledger.windows_of(date(2020, 1, 3))} == {
        (None, on(3).end)
    }


# Dry runs and plans.


def test_dry_runs_say_what_would_be_done_by_the_runs_own_plans_and_change_nothing(lakehouse: Any) -> None:
    def planned(day: int) -> list[tuple[str, str]]:
        return [(r["layer"], r["would"]) for r in dry_run.planned(lakehouse, ["bronze", "silver", "gold"], on(day))]

    def held() -> object:
        return states(lakehouse), pointers(lakehouse), dict(lakehouse.lake.tables)

    assert planned(2) == planned(2) == [("bronze", "run"), ("silver", "run"), ("gold", "run")]
    assert held() == ([], {}, {})
    assert dry_run.planned(lakehouse, ["gold"], on(2))[0]["would"] == "not yet"

    days.run(lakehouse, "day", on(2))
    before = held()
    assert planned(2) == planned(2) == [("bronze", "nothing"), ("silver", "nothing"), ("gold", "nothing")]
    assert planned(3) == [("bronze", "run"), ("silver", "run"), ("gold", "run")]
    assert held() == before
    assert {s for s in lakehouse.steps if s in ("lock", "open")} == {"lock", "open"}
    lakehouse.steps.clear()
    planned(3)
    assert not {"lock", "open", "prepare", "identity", "source"} & set(lakehouse.steps), "who only looks locks nothing"


def test_a_backfill_is_planned_twice_alike_and_what_it_did_is_not_due_again(lakehouse: Any) -> None:
    range_ = backfill.days(on(2), on(4))

    def plan() -> list[tuple[str, int, str]]:
        return [(s.layer, s.day.day.day, s.would) for s in backfill.plan(lakehouse.ledger, range_)]

    due = [("bronze", 2, "run"), ("bronze", 3, "run"), ("bronze", 4, "run"), ("silver", 4, "run"), ("gold", 4, "run")]
    assert plan() == plan() == due
    assert states(lakehouse) == []
    outcomes = list(backfill.run(lakehouse, backfill.plan(lakehouse.ledger, range_)))
    assert [(o.layer, o.state) for o in outcomes] == [(layer, "published") for layer, _, _ in due]
    assert {would for _, _, would in plan()} == {"nothing"}


# Two runners: the second is started while the first is at work, and gets its turn when the first has ended.


@pytest.mark.parametrize("layer", ["bronze", "silver", "gold"])
def test_a_second_runner_that_was_started_meanwhile_finds_the_day_covered(lakehouse: Any, layer: str) -> None:
    """What the second would have planned before it had the lock is of no use any more."""
    for earlier in ("bronze", "silver", "gold")[: ("bronze", "silver", "gold").index(layer)]:
        days.run(lakehouse, earlier, on(2))
    alone, outcomes, once = lakehouse.ledger.alone, [], threading.Lock()

    @contextmanager
    def after_the_first(layer: str) -> Any:
        if once.acquire(blocking=False):
            outcomes.extend(days.run(lakehouse, layer, on(2)))
        with alone(layer) as lease:
            yield lease

    lakehouse.ledger.alone = after_the_first
    outcomes.extend(days.run(lakehouse, layer, on(2)))
    assert [o.state for o in outcomes] == ["published", "covered"]
    written = [(at, len(commits)) for at, commits in lakehouse.lake.tables.items()]
    assert all(commits == 1 for _, commits in written), "nothing is appended twice"


def test_a_gold_that_waited_does_not_bring_an_older_silver_over_a_newer(lakehouse: Any) -> None:
    days.run(lakehouse, "day", on(2))
    alone, once = lakehouse.ledger.alone, threading.Lock()

    @contextmanager
    def after_a_newer_day(layer: str) -> Any:
        if once.acquire(blocking=False):
            days.run(lakehouse, "day", on(3))
        with alone(layer) as lease:
            yield lease

    lakehouse.ledger.alone = after_a_newer_day
    outcome = days.run(lakehouse, "gold", on(2))[0]
    assert outcome.state == "covered"
    newest = lakehouse.ledger.last("gold")
    assert newest.inputs["orders"] == lakehouse.ledger.published("silver")["orders"].version
    assert newest.as_of == date(2020, 1, 3)


# A table that is deployed between bronze and silver.


def test_a_table_that_bronze_has_not_brought_yet_does_not_stop_the_night(lakehouse: Any) -> None:
    lakehouse.ledger.windows.clear()
    days.run(lakehouse, "bronze", on(2))
    # As if the contract of campaigns had come after bronze's run.
    lakehouse.ledger.windows = [e for e in lakehouse.ledger.windows if e.table != "campaigns"]
    lakehouse.ledger.pointers["bronze"].pop("campaigns")
    lakehouse.lake.tables.pop(("bronze", "campaigns"))
    assert days.run(lakehouse, "silver", on(2))[0].state == "published"
    assert "campaigns" not in lakehouse.ledger.published("silver")

    # Bronze brings it when it is run again, and only it; silver then judges it.
    again = days.run(lakehouse, "bronze", on(2))[0]
    assert (again.state, [t.table for t in again.tables]) == ("published", ["campaigns"])
    assert [t for t, w in silver.plan(lakehouse, on(2)).pending.items() if w] == ["campaigns"]
    assert days.run(lakehouse, "silver", on(2))[0].state == "published"

"""Rewind, rerun, rebuild and pins on fakes: whose fault a failure is, and that only what was done is written down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from lakehouse.business_date import BusinessDate
from lakehouse.errors import BusyError, LakehouseError, LedgerError, RightLostError, StoreError, UsageError
from lakehouse.frame.run import opened
from lakehouse.lake.reading import LostError
from lakehouse.ledger.past import Cut
from lakehouse.records import Published, Stamped
from lakehouse.upkeep import again, readable, rewind
from tests.fakes import FakeLease
from tests.runs.java import AWAY, JavaError, raising

pytestmark = pytest.mark.unit
DAY = BusinessDate(date(2020, 1, 2), ZoneInfo("UTC"))


def rewound(lived: Any) -> None:
    """Silver and gold go back to the first version of the orders."""
    lived.lake.write("silver", "orders")
    plan = rewind.Plan(DAY.day, DAY.day, Cut(1, "silver-1", DAY.day, {}), {"silver": ["silver-2"], "bronze": [], "gold": []},
                       {"silver": {"orders": 0}})  # fmt: skip
    leases = dict.fromkeys(("bronze", "silver", "gold"), lived.ledger.lease)
    rewind.run(lived, plan, leases, "a bad file")


RESTORE = "restore silver.orders to 0"


@pytest.mark.parametrize(
    ("error", "lost", "kind", "code"),
    [
        (LostError("data files of it are gone"), False, LedgerError, 8),
        (StoreError("version 3 was committed by another while this run wrote"), False, StoreError, 7),
        (StoreError("version 3 was committed by another while this run wrote"), True, RightLostError, 11),
        (JavaError(*AWAY), False, StoreError, 7),
    ],
    ids=["files gone", "another writer", "lost right", "store away"],
)
def test_a_restore_that_fails_says_whose_fault_it_is(
    lived: Any, error: Exception, lost: bool, kind: type[LakehouseError], code: int
) -> None:
    lived.steps.breaks[RESTORE] = error
    lease = lived.ledger.lease
    lease.behind = lambda e: RightLostError("this run lost its lock") if lost else e
    with pytest.raises(kind) as raised:
        rewound(lived)
    assert raised.value.exit_code == code
    assert lived.actions == []


def test_bronze_that_this_ledger_has_lost_is_not_rewound_away(lived: Any) -> None:
    head = len(lived.lake.tables["bronze", "orders"])
    stamp = ("WRITE", lived.ledger.id, "bronze-of-another-backup", "bronze", {}, 7, datetime.now(UTC))
    lived.lake.tables["bronze", "orders"].append(Stamped(head, *stamp))
    with opened(lived, "bronze", DAY) as run, pytest.raises(LedgerError, match="holds 7 rows of 1 runs"):
        rewind._restored(run, "bronze", {"orders": 0})
    assert len(lived.lake.tables["bronze", "orders"]) == head + 1


def test_the_locks_of_runs_that_end_with_golds_transaction_are_not_taken_for_lost(lived: Any) -> None:
    ledger, leases = lived.ledger, {layer: FakeLease(lived.ledger) for layer in ("bronze", "silver", "gold")}
    ledger.set_back = ledger.forget_aside = ledger.date_pointers = ledger.add_up = lambda *_: None
    ledger.open_at = lambda _: {}
    watched: dict[str, bool] = {}
    ledger.count_changes = lambda *_: None
    ledger.record_action = lambda *_: watched.update({layer: lease.watched for layer, lease in leases.items()})
    plan = rewind.Plan(
        DAY.day, DAY.day, Cut(1, "silver-1", DAY.day, {}), {"silver": ["silver-2"]}, {"silver": {"orders": 0}}
    )
    rewind.run(lived, plan, leases, "a bad file")
    assert watched == {"bronze": False, "silver": False, "gold": True}


def test_a_table_whose_contract_was_taken_away_goes_back_with_the_shape_it_was_published_in(lived: Any) -> None:
    shape = {"mug_id": "text"}
    lived.ledger.pointers["silver"]["mugs"] = Published("mugs", 4, "silver-2", DAY.day, shape)
    plan = rewind.Plan(DAY.day, DAY.day, Cut(1, "silver-1", DAY.day, {}), {})
    pointers = rewind._pointers(lived, plan, {"mugs": 5, "orders": 6})
    assert (pointers["mugs"].version, pointers["mugs"].shape) == (5, shape)
    assert pointers["orders"].shape == lived.contracts["silver"]["orders"].shape


def test_a_plan_that_finds_damaged_files_names_the_table_and_one_without_a_store_ends_with_7(
    lived: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = lived.ledger
    ledger.cut = lambda layer, _: Cut(1, f"{layer}-1", DAY.day, {})
    ledger.judged_up_to = lambda _: 1
    ledger.runs_after = lambda layer, _: [f"{layer}-2"]
    ledger.versions_at = lambda layer, of, _: {"orders": 0} if layer == "silver" else {}
    ledger.unaccounted = lambda _: []
    monkeypatch.setattr(rewind, "missing_files", raising(LostError("damaged")))
    with pytest.raises(LedgerError, match=r"is not kept any more \(silver\.orders\)"):
        rewind.plan(lived, DAY.day)
    monkeypatch.setattr(rewind, "missing_files", raising(JavaError(*AWAY)))
    with pytest.raises(StoreError, match="does not answer or refused"):
        rewind.plan(lived, DAY.day)


def test_a_lake_of_an_older_backup_goes_back_to_a_day_that_it_has_and_what_it_lacks_is_not_set_aside(
    lived: Any,
) -> None:
    ledger = lived.ledger
    for table in ("orders", "products"):
        ledger.pointers["bronze"][table] = replace(ledger.pointers["bronze"][table], version=4)
    for _ in range(4):
        lived.lake.write("bronze", "products")
    ledger.pointers["bronze"]["mugs"] = Published("mugs", 0, "bronze-2", DAY.day, {})
    ledger.cut = lambda layer, _: Cut(1, f"{layer}-1", DAY.day, {})
    ledger.judged_up_to, ledger.unaccounted = lambda _: 1, lambda _: []
    ledger.runs_after = lambda layer, _: [f"{layer}-2"]
    ledger.versions_at = lambda *_: {}
    plan = rewind.plan(lived, DAY.day)
    assert plan.lost == {"orders": 0, "mugs": -1}
    assert plan.rows()[0]["would"] == (
        "be restored; what is taken out is kept, but of orders, mugs is read from the source again: the lake does not have it"
    )
    forgotten = list[Any]()
    ledger.forget_aside = lambda _, lost: forgotten.append(lost)
    ledger.set_back = ledger.date_pointers = ledger.add_up = ledger.count_changes = lambda *_: None
    ledger.open_at = lambda _: {}
    rewind.run(lived, plan, {layer: FakeLease(ledger) for layer in ("bronze", "silver", "gold")}, "only this backup")
    assert forgotten == [plan.lost]


# Rerun, replay, rebuild.


def test_a_rerun_carries_out_the_steps_of_its_plan_and_is_written_down_once_it_is_done(lived: Any) -> None:
    steps = again.plan(lived, DAY, ("gold", "silver"))
    assert [(s.layer, str(s.day)) for s in steps] == [("silver", "2020-01-02"), ("gold", "2020-01-02")]
    outcomes = again.rerun(lived, steps, "a fixed row")
    assert [o.state for o in outcomes] == ["published"] * 2
    ((action, reason, runs),) = lived.actions
    assert (action, reason) == ("rerun", "a fixed row")
    assert [(r["layer"], r["run_id"]) for r in runs] == [(o.layer, o.run_id) for o in outcomes]


@pytest.mark.parametrize("what", ["rerun", "replay", "rebuild"])
def test_what_is_refused_is_not_written_down_as_done(lived: Any, what: str) -> None:
    lived.ledger.locked.add("silver")
    calls: dict[str, Callable[[], object]] = {
        "rerun": lambda: again.rerun(lived, again.plan(lived, DAY, ("silver", "gold")), "why"),
        "replay": lambda: again.replay(lived, "why"),
        "rebuild": lambda: again.rebuild(lived, "silver", "why"),
    }
    with pytest.raises(BusyError):
        calls[what]()
    assert lived.actions == []


def test_of_a_rerun_that_is_refused_on_its_way_what_was_done_is_written_down(lived: Any) -> None:
    steps = again.plan(lived, DAY, ("bronze", "silver"))
    lived.ledger.locked.add("silver")
    with pytest.raises(BusyError):
        again.rerun(lived, steps, "why")
    assert [[r["layer"] for r in runs] for _, _, runs in lived.actions] == [["bronze"]]


def test_a_rebuild_is_written_down_with_its_run(lived: Any) -> None:
    outcome = again.rebuild(lived, "gold", "a new column")
    assert [(a, w, r[0]["run_id"]) for a, w, r in lived.actions] == [("rebuild", "a new column", outcome.run_id)]


# Pins.


def test_a_version_is_pinned_once_and_unpinned_once_and_both_are_written_down(
    lived: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readable, "missing_files", lambda *_: 0)
    readable.pin(lived, "silver", "orders", 2, "the report of May")
    with pytest.raises(LedgerError, match="already pinned"):
        readable.pin(lived, "silver", "orders", 2, "again")
    with pytest.raises(LedgerError, match=r"version 1 of silver\.orders is not pinned; pinned are: silver\.orders 2"):
        readable.unpin(lived, "silver", "orders", 1, "a typo")
    readable.unpin(lived, "silver", "orders", 2, "the report is out")
    assert lived.ledger.pinned == []
    assert [(action, reason, plan["version"]) for action, reason, plan in lived.actions] == [
        ("pin", "the report of May", 2),
        ("unpin", "the report is out", 2),
    ]


@pytest.mark.parametrize(("version", "missing"), [(3, 0), (2, 1)], ids=["no such version", "files are missing"])
def test_a_version_that_cannot_be_read_is_not_pinned(
    lived: Any, monkeypatch: pytest.MonkeyPatch, version: int, missing: int
) -> None:
    monkeypatch.setattr(readable, "missing_files", lambda *_: missing)
    with pytest.raises(LedgerError, match="nothing was pinned"):
        readable.pin(lived, "silver", "orders", version, "why")
    assert (lived.ledger.pinned, lived.actions) == ([], [])


def test_a_pin_waits_for_maintenance_of_its_layer(lived: Any) -> None:
    lived.ledger.locked.add("silver")
    with pytest.raises(BusyError):
        readable.pin(lived, "quarantine", "orders", 0, "why")


@pytest.mark.parametrize("name", ["orders", "gold.dim_customers", "silver.", ""])
def test_only_tables_of_the_lake_are_pinned(name: str) -> None:
    with pytest.raises(UsageError, match=r"as in silver\.orders"):
        readable.split(name)

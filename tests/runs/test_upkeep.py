"""Repairs on fakes: what a faulty table, a store that breaks off or a lost right does to the rest, and what is written down.

What the real ledger and lake do of it is tested on them (tests/ledger, tests/lake).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from py4j.protocol import Py4JJavaError

from lakehouse.business_date import BusinessDate
from lakehouse.errors import BusyError, LakehouseError, LedgerError, RightLostError, StoreError, UsageError
from lakehouse.lake.delta import LostError
from lakehouse.lake.files import answering
from lakehouse.lake.log import Log
from lakehouse.lake.maintain import Recent
from lakehouse.ledger.past import Cut
from lakehouse.records import Cleaned, Published
from lakehouse.runs import day as days
from lakehouse.upkeep import again, maintain, readable, rewind, verify
from tests.fakes import FakeLedger, fake_lakehouse, replace_bodies

pytestmark = pytest.mark.unit
DAY = BusinessDate(date(2020, 1, 2), ZoneInfo("UTC"))
AWAY = ("org.apache.hadoop.fs.s3a.AWSServiceIOException", "java.net.ConnectException")
DAMAGED = ("org.apache.spark.SparkException", "java.lang.RuntimeException")
GONE = ("org.apache.spark.SparkException", "java.io.FileNotFoundException")


class JavaError(Py4JJavaError):  # type: ignore[misc]
    """An error of Java's, by the classes of it and its causes."""

    def __init__(self, *classes: str) -> None:
        cause = None
        for name in reversed(classes):
            cause = SimpleNamespace(getClass=lambda name=name: SimpleNamespace(getName=lambda: name),
                                    getCause=lambda cause=cause: cause)  # fmt: skip
        Exception.__init__(self)
        self.java_exception = cause

    def __str__(self) -> str:
        return "a row's values"


def raising(error: Exception, *tables: str) -> Callable[..., Any]:
    """A look into the lake that fails at some tables, or at all where none is named."""

    def look(_: object, layer: str, table: str, *rest: object, **options: object) -> Any:
        if not tables or f"{layer}.{table}" in tables:
            raise error
        return 0

    return look


@pytest.fixture
def lakehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Fakes after a day of three layers; `actions`: what persons did, and why. Of each table versions 0 to 2 can be loaded."""
    replace_bodies(monkeypatch)
    made = fake_lakehouse(tmp_path)
    ledger, lake = made.ledger, made.lake
    days.run(made, "day", DAY)
    made.actions, ledger.pinned = [], []

    @contextmanager
    def connection() -> Iterator[Any]:
        yield SimpleNamespace(cursor=lambda: cursor())

    @contextmanager
    def cursor() -> Iterator[FakeLedger]:
        yield ledger

    ledger.database = SimpleNamespace(connection=connection)
    ledger.lease.unwatch = lambda: None
    ledger.record_action = lambda _, action, reason, plan, by_whom: made.actions.append((action, reason, plan))
    ledger.kept_versions = ledger.needed_versions = lambda *_: {}
    ledger.forget_quality = lambda *_: ledger.steps("forget results") or 4
    ledger.old_results = lambda *_: 4
    ledger.pins = lambda: [dict(zip(("layer", "table", "version"), p, strict=True)) for p in ledger.pinned]
    ledger.pin = lambda _, *which: ledger.pinned.append(which[:3])
    ledger.unpin = lambda _, *which: ledger.pinned.remove(which)
    made.pages.forget = lambda _: ledger.steps("forget pages") or 5
    made.pages.older_than = lambda _: 5
    lake.answering = lambda: answering("file:///lake")
    lake.marks = lambda _: None
    lake.log = lambda *_: Log(frozenset(range(3)), frozenset())
    ledger.steps.clear()
    return made


# Maintain.


@pytest.fixture
def cleans(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every table has two files that nothing needs; the tables that were cleaned."""
    cleaned: list[str] = []

    def clean(_: object, layer: str, table: str, *rest: object, **options: object) -> Cleaned:
        cleaned.append(f"{layer}.{table}")
        return Cleaned(layer, table, 2, 30, 10)

    monkeypatch.setattr(maintain, "recent_versions", lambda lake, layer, table, since: Recent(since))
    monkeypatch.setattr(maintain, "vacuum", clean)
    monkeypatch.setattr(maintain, "clean_log", lambda _, layer, table, *__, **___: Cleaned(layer, table, 0, 0, 0))
    monkeypatch.setattr(maintain, "_compacted", lambda run, layer, table: 0)
    return cleaned


@pytest.mark.parametrize("error", [LostError("version 0 lacks 2 data files"), JavaError(*GONE), JavaError(*DAMAGED)])
def test_a_faulty_table_is_told_of_when_all_the_others_results_and_pages_are_done_and_written_down(
    lakehouse: Any, cleans: list[str], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(maintain, "_compacted", raising(error, "bronze.orders"))
    with pytest.raises(StoreError, match=r"version 0 lacks|bronze\.orders at .* cannot be read"):
        maintain.maintain(lakehouse, reason="the night")
    every = [f"{layer}.{t}" for layer in ("bronze", "silver", "quarantine") for t in lakehouse.ledger.pointers[layer]]
    assert sorted(cleans) == sorted(set(every) - {"bronze.orders"})
    assert [s for s in lakehouse.steps if s.startswith("forget")] == ["forget results", "forget pages"]
    ((action, reason, rows),) = lakehouse.actions
    assert (action, reason, len(rows)) == ("maintain", "the night", len(every) - 1 + 2)
    states = [r.state for r in lakehouse.ledger.runs.values()]
    assert states[-2:] == ["maintained"] * 2


def test_a_store_that_breaks_off_ends_it_but_what_was_deleted_before_is_written_down(
    lakehouse: Any, cleans: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintain, "_compacted", raising(JavaError(*AWAY), "silver.orders"))
    with pytest.raises(StoreError, match="does not answer or refused") as raised:
        maintain.maintain(lakehouse)
    assert raised.value.exit_code == 7
    assert [action for action, _, _ in lakehouse.actions] == ["maintain"]
    assert not any(t.startswith("quarantine") for t in cleans), "no other table is tried"


def test_a_dry_run_on_a_store_that_breaks_off_says_so_in_a_sentence(
    lakehouse: Any, cleans: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintain, "vacuum", raising(JavaError(*AWAY)))
    with pytest.raises(StoreError, match="does not answer or refused"):
        maintain.maintain(lakehouse, dry_run=True)
    assert lakehouse.actions == []


def test_what_is_pinned_or_set_aside_must_be_readable_and_what_was_published_once_only_if_it_is(
    lakehouse: Any, cleans: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    keeps = {}

    def vacuum(
        _: object, layer: str, table: str, keep: set[int], recent: Recent, spare: set[int], **__: Any
    ) -> Cleaned:
        keeps[f"{layer}.{table}"] = (keep, spare)
        return Cleaned(layer, table, 0, 0, 0)

    monkeypatch.setattr(maintain, "vacuum", vacuum)
    lakehouse.ledger.needed_versions = lambda layer: {"orders": {7}} if layer == "bronze" else {}
    lakehouse.ledger.kept_versions = lambda *_: {"orders": {1, 7, 8}}
    maintain.maintain(lakehouse, dry_run=True)
    assert keeps["bronze.orders"] == ({0, 7}, {1})
    assert keeps["silver.orders"] == ({0}, {1})


def test_the_ledger_is_asked_once_per_layer(lakehouse: Any, cleans: list[str]) -> None:
    asked: list[str] = []
    lakehouse.ledger.kept_versions = lambda layer, _: asked.append(layer) or {}
    maintain.maintain(lakehouse)
    assert asked == ["bronze", "silver", "quarantine"]


# Verify.


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file is there, rows are as the ledger counts, and gold is not looked at."""
    monkeypatch.setattr(verify, "missing_files", lambda *_: 0)
    monkeypatch.setattr(verify, "_rows", lambda *_: iter(()))
    monkeypatch.setattr(verify, "_gold", lambda _: iter(()))


@pytest.mark.parametrize("classes", [GONE, DAMAGED])
def test_a_table_that_cannot_be_read_is_a_broken_check_and_the_others_are_looked_at(
    lakehouse: Any, looks: None, monkeypatch: pytest.MonkeyPatch, classes: tuple[str, ...]
) -> None:
    lakehouse.lake.files = SimpleNamespace(below=lambda _: [])
    # A table without a file, but for the orders of silver.
    look = raising(JavaError(*classes), "silver.orders")
    lakehouse.lake.read = lambda *which: look(None, *which) or SimpleNamespace(inputFiles=list)
    monkeypatch.setattr(verify, "missing_files", readable.missing_files)
    checks = verify.verify(lakehouse)
    (broken,) = [c for c in checks if not c.holds]
    assert (broken.layer, broken.table, broken.name) == ("silver", "orders", "published_version_is_there")
    assert "a row's values" not in broken.words
    assert {c.table for c in checks if c.layer == "quarantine"} > {"orders"}


def test_a_table_whose_rows_cannot_be_read_is_a_broken_check_too(
    lakehouse: Any, looks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rows(_: Any, layer: str, published: Published, totals: object) -> Iterator[verify.Check]:
        if (layer, published.table) == ("bronze", "orders"):
            raise JavaError(*DAMAGED)
        yield verify.Check(layer, published.table, "rows", True)

    monkeypatch.setattr(verify, "_rows", rows)
    broken = [(c.layer, c.table, c.name) for c in verify.verify(lakehouse) if not c.holds]
    assert broken == [("bronze", "orders", "can_be_read")]


@pytest.mark.parametrize("step", ["identity", "log", "missing_files", "_rows"])
def test_a_store_that_breaks_off_ends_verify_with_7_and_a_sentence(
    lakehouse: Any, looks: None, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def away(*_: object) -> Any:
        raise JavaError(*AWAY)

    if step in ("identity", "log"):
        setattr(lakehouse.lake, step, away)
    else:
        monkeypatch.setattr(verify, step, away)
    with pytest.raises(StoreError, match="does not answer or refused") as raised:
        verify.verify(lakehouse)
    assert raised.value.exit_code == 7


def test_a_gold_table_whose_contract_was_taken_away_is_named_and_not_looked_at(lakehouse: Any) -> None:
    ledger = lakehouse.ledger
    ledger.pointers = {"gold": {"agg_lost": Published("agg_lost", 1, "run", DAY.day, {})}}
    ledger.cut = lambda *_: None
    lakehouse.gold.database = ledger.database
    checks = [c for c in verify.verify(lakehouse) if c.layer == "gold"]
    assert ("agg_lost", True, verify.NO_CONTRACT) in [(c.table, c.holds, c.words) for c in checks]
    assert all(c.holds for c in checks)


# Rewind.


def rewound(lakehouse: Any) -> None:
    """Silver and gold go back to the first version of the orders."""
    lakehouse.lake.write("silver", "orders")
    plan = rewind.Plan(DAY.day, DAY.day, Cut(1, "silver-1", DAY.day, {}), {"silver": ["silver-2"], "bronze": [], "gold": []},
                       {"silver": {"orders": 0}})  # fmt: skip
    leases = dict.fromkeys(("bronze", "silver", "gold"), lakehouse.ledger.lease)
    rewind.run(lakehouse, plan, leases, "a bad file")


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
    lakehouse: Any, error: Exception, lost: bool, kind: type[LakehouseError], code: int
) -> None:
    lakehouse.steps.breaks[RESTORE] = error
    lease = lakehouse.ledger.lease
    lease.behind = lambda e: RightLostError("this run lost its lock") if lost else e
    with pytest.raises(kind) as raised:
        rewound(lakehouse)
    assert raised.value.exit_code == code
    assert lakehouse.actions == []


def test_a_table_whose_contract_was_taken_away_goes_back_with_the_shape_it_was_published_in(lakehouse: Any) -> None:
    shape = {"mug_id": "text"}
    lakehouse.ledger.pointers["silver"]["mugs"] = Published("mugs", 4, "silver-2", DAY.day, shape)
    plan = rewind.Plan(DAY.day, DAY.day, Cut(1, "silver-1", DAY.day, {}), {})
    pointers = rewind._pointers(lakehouse, plan, {"mugs": 5, "orders": 6})
    assert (pointers["mugs"].version, pointers["mugs"].shape) == (5, shape)
    assert pointers["orders"].shape == lakehouse.contracts["silver"]["orders"].shape


def test_a_plan_that_finds_damaged_files_names_the_table_and_one_without_a_store_ends_with_7(
    lakehouse: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = lakehouse.ledger
    ledger.cut = lambda layer, _: Cut(1, f"{layer}-1", DAY.day, {})
    ledger.judged_up_to = lambda _: 1
    ledger.runs_after = lambda layer, _: [f"{layer}-2"]
    ledger.versions_at = lambda layer, of, _: {"orders": 0} if layer == "silver" else {}
    ledger.unaccounted = lambda _: []
    monkeypatch.setattr(rewind, "missing_files", raising(LostError("damaged")))
    with pytest.raises(LedgerError, match=r"is not kept any more \(silver\.orders\)"):
        rewind.plan(lakehouse, DAY.day)
    monkeypatch.setattr(rewind, "missing_files", raising(JavaError(*AWAY)))
    with pytest.raises(StoreError, match="does not answer or refused"):
        rewind.plan(lakehouse, DAY.day)


# Rerun, replay, rebuild.


def test_a_rerun_carries_out_the_steps_of_its_plan_and_is_written_down_once_it_is_done(lakehouse: Any) -> None:
    steps = again.plan(lakehouse, DAY, ("gold", "silver"))
    assert [(s.layer, str(s.day)) for s in steps] == [("silver", "2020-01-02"), ("gold", "2020-01-02")]
    outcomes = again.rerun(lakehouse, steps, "a fixed row")
    assert [o.state for o in outcomes] == ["published"] * 2
    ((action, reason, runs),) = lakehouse.actions
    assert (action, reason) == ("rerun", "a fixed row")
    assert [(r["layer"], r["run_id"]) for r in runs] == [(o.layer, o.run_id) for o in outcomes]


@pytest.mark.parametrize("what", ["rerun", "replay", "rebuild"])
def test_what_is_refused_is_not_written_down_as_done(lakehouse: Any, what: str) -> None:
    lakehouse.ledger.locked.add("silver")
    calls: dict[str, Callable[[], object]] = {
        "rerun": lambda: again.rerun(lakehouse, again.plan(lakehouse, DAY, ("silver", "gold")), "why"),
        "replay": lambda: again.replay(lakehouse, "why"),
        "rebuild": lambda: again.rebuild(lakehouse, "silver", "why"),
    }
    with pytest.raises(BusyError):
        calls[what]()
    assert lakehouse.actions == []


def test_of_a_rerun_that_is_refused_on_its_way_what_was_done_is_written_down(lakehouse: Any) -> None:
    steps = again.plan(lakehouse, DAY, ("bronze", "silver"))
    lakehouse.ledger.locked.add("silver")
    with pytest.raises(BusyError):
        again.rerun(lakehouse, steps, "why")
    assert [[r["layer"] for r in runs] for _, _, runs in lakehouse.actions] == [["bronze"]]


def test_a_rebuild_is_written_down_with_its_run(lakehouse: Any) -> None:
    outcome = again.rebuild(lakehouse, "gold", "a new column")
    assert [(a, w, r[0]["run_id"]) for a, w, r in lakehouse.actions] == [("rebuild", "a new column", outcome.run_id)]


# Pins.


def test_a_version_is_pinned_once_and_unpinned_once_and_both_are_written_down(
    lakehouse: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readable, "missing_files", lambda *_: 0)
    readable.pin(lakehouse, "silver", "orders", 2, "the report of May")
    with pytest.raises(LedgerError, match="already pinned"):
        readable.pin(lakehouse, "silver", "orders", 2, "again")
    with pytest.raises(LedgerError, match=r"version 1 of silver\.orders is not pinned; pinned are: silver\.orders 2"):
        readable.unpin(lakehouse, "silver", "orders", 1, "a typo")
    readable.unpin(lakehouse, "silver", "orders", 2, "the report is out")
    assert lakehouse.ledger.pinned == []
    assert [(action, reason, plan["version"]) for action, reason, plan in lakehouse.actions] == [
        ("pin", "the report of May", 2),
        ("unpin", "the report is out", 2),
    ]


@pytest.mark.parametrize(("version", "missing"), [(3, 0), (2, 1)], ids=["no such version", "files are missing"])
def test_a_version_that_cannot_be_read_is_not_pinned(
    lakehouse: Any, monkeypatch: pytest.MonkeyPatch, version: int, missing: int
) -> None:
    monkeypatch.setattr(readable, "missing_files", lambda *_: missing)
    with pytest.raises(LedgerError, match="nothing was pinned"):
        readable.pin(lakehouse, "silver", "orders", version, "why")
    assert (lakehouse.ledger.pinned, lakehouse.actions) == ([], [])


def test_a_pin_waits_for_maintenance_of_its_layer(lakehouse: Any) -> None:
    lakehouse.ledger.locked.add("silver")
    with pytest.raises(BusyError):
        readable.pin(lakehouse, "quarantine", "orders", 0, "why")


@pytest.mark.parametrize("name", ["orders", "gold.dim_customers", "silver.", ""])
def test_only_tables_of_the_lake_are_pinned(name: str) -> None:
    with pytest.raises(UsageError, match=r"as in silver\.orders"):
        readable.split(name)

"""Maintenance and verify on fakes: a faulty table costs no other its turn, a store that breaks off is a sentence.

What the real ledger and lake do of it is tested on them (tests/ledger, tests/lake).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from lakehouse.business_date import BusinessDate
from lakehouse.errors import StoreError
from lakehouse.lake.maintain import Recent
from lakehouse.lake.reading import LostError
from lakehouse.records import Cleaned, Published
from lakehouse.upkeep import maintain, readable, verify
from tests.runs.java import AWAY, DAMAGED, GONE, JavaError, raising

pytestmark = pytest.mark.unit
DAY = BusinessDate(date(2020, 1, 2), ZoneInfo("UTC"))


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
    lived: Any, cleans: list[str], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(maintain, "_compacted", raising(error, "bronze.orders"))
    with pytest.raises(StoreError, match=r"version 0 lacks|bronze\.orders at .* cannot be read"):
        maintain.maintain(lived, reason="the night")
    every = [f"{layer}.{t}" for layer in ("bronze", "silver", "quarantine") for t in lived.ledger.pointers[layer]]
    assert sorted(cleans) == sorted(set(every) - {"bronze.orders"})
    assert [s for s in lived.steps if s.startswith("forget")] == ["forget results", "forget pages"]
    ((action, reason, rows),) = lived.actions
    assert (action, reason, len(rows)) == ("maintain", "the night", len(every) - 1 + 2)
    states = [r.state for r in lived.ledger.runs.values()]
    assert states[-2:] == ["maintained"] * 2


def test_a_store_that_breaks_off_ends_it_but_what_was_deleted_before_is_written_down(
    lived: Any, cleans: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintain, "_compacted", raising(JavaError(*AWAY), "silver.orders"))
    with pytest.raises(StoreError, match="does not answer or refused") as raised:
        maintain.maintain(lived)
    assert raised.value.exit_code == 7
    assert [action for action, _, _ in lived.actions] == ["maintain"]
    assert not any(t.startswith("quarantine") for t in cleans), "no other table is tried"


def test_a_dry_run_on_a_store_that_breaks_off_says_so_in_a_sentence(
    lived: Any, cleans: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintain, "vacuum", raising(JavaError(*AWAY)))
    with pytest.raises(StoreError, match="does not answer or refused"):
        maintain.maintain(lived, dry_run=True)
    assert lived.actions == []


def test_what_is_pinned_or_set_aside_must_be_readable_and_what_was_published_once_only_if_it_is(
    lived: Any, cleans: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    keeps = {}

    def vacuum(
        _: object, layer: str, table: str, keep: set[int], recent: Recent, spare: set[int], **__: Any
    ) -> Cleaned:
        keeps[f"{layer}.{table}"] = (keep, spare)
        return Cleaned(layer, table, 0, 0, 0)

    monkeypatch.setattr(maintain, "vacuum", vacuum)
    lived.ledger.needed_versions = lambda layer: {"orders": {7}} if layer == "bronze" else {}
    lived.ledger.kept_versions = lambda *_: {"orders": {1, 7, 8}}
    maintain.maintain(lived, dry_run=True)
    assert keeps["bronze.orders"] == ({0, 7}, {1})
    assert keeps["silver.orders"] == ({0}, {1})


def test_the_ledger_is_asked_once_per_layer(lived: Any, cleans: list[str]) -> None:
    asked: list[str] = []
    lived.ledger.kept_versions = lambda layer, _: asked.append(layer) or {}
    maintain.maintain(lived)
    assert asked == ["bronze", "silver", "quarantine"]


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file is there, rows are as the ledger counts, and gold is not looked at."""
    monkeypatch.setattr(verify, "missing_files", lambda *_: 0)
    monkeypatch.setattr(verify, "_rows", lambda *_: iter(()))
    monkeypatch.setattr(verify, "_gold", lambda _: iter(()))


@pytest.mark.parametrize("classes", [GONE, DAMAGED])
def test_a_table_that_cannot_be_read_is_a_broken_check_and_the_others_are_looked_at(
    lived: Any, looks: None, monkeypatch: pytest.MonkeyPatch, classes: tuple[str, ...]
) -> None:
    lived.lake.files = SimpleNamespace(below=lambda _: [])
    # A table without a file, but for the orders of silver.
    look = raising(JavaError(*classes), "silver.orders")
    lived.lake.read_by_delta = lambda *which: look(None, *which) or SimpleNamespace(inputFiles=list)
    monkeypatch.setattr(verify, "missing_files", readable.missing_files)
    checks = verify.verify(lived)
    (broken,) = [c for c in checks if not c.holds]
    assert (broken.layer, broken.table, broken.name) == ("silver", "orders", "published_version_is_there")
    assert "a row's values" not in broken.words
    assert {c.table for c in checks if c.layer == "quarantine"} > {"orders"}


def test_a_table_whose_rows_cannot_be_read_is_a_broken_check_too(
    lived: Any, looks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rows(_: Any, layer: str, published: Published, totals: object) -> Iterator[verify.Check]:
        if (layer, published.table) == ("bronze", "orders"):
            raise JavaError(*DAMAGED)
        yield verify.Check(layer, published.table, "rows", True)

    monkeypatch.setattr(verify, "_rows", rows)
    broken = [(c.layer, c.table, c.name) for c in verify.verify(lived) if not c.holds]
    assert broken == [("bronze", "orders", "can_be_read")]


@pytest.mark.parametrize("step", ["identity", "log", "missing_files", "_rows"])
def test_a_store_that_breaks_off_ends_verify_with_7_and_a_sentence(
    lived: Any, looks: None, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def away(*_: object) -> Any:
        raise JavaError(*AWAY)

    if step in ("identity", "log"):
        setattr(lived.lake, step, away)
    else:
        monkeypatch.setattr(verify, step, away)
    with pytest.raises(StoreError, match="does not answer or refused") as raised:
        verify.verify(lived)
    assert raised.value.exit_code == 7


def test_a_gold_table_whose_contract_was_taken_away_is_named_and_not_looked_at(lived: Any) -> None:
    ledger = lived.ledger
    ledger.pointers = {"gold": {"agg_lost": Published("agg_lost", 1, "run", DAY.day, {})}}
    ledger.cut = lambda *_: None
    lived.gold.database = ledger.database
    checks = [c for c in verify.verify(lived) if c.layer == "gold"]
    assert ("agg_lost", True, verify.NO_CONTRACT) in [(c.table, c.holds, c.words) for c in checks]
    assert all(c.holds for c in checks)

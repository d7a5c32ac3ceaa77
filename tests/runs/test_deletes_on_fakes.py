"""Rows that are gone from the source, in the frame of bronze's run: when they are looked for, and when a person is asked."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from lakehouse.business_date import BusinessDate
from lakehouse.errors import GateError, UsageError
from lakehouse.runs import day as days
from tests.fakes import fake_lakehouse, replace_bodies

pytestmark = pytest.mark.unit
COMPARED = "compare campaigns customers inventory order_items orders products"


def on(day: int) -> BusinessDate:
    return BusinessDate(date(2020, 1, day), ZoneInfo("UTC"))


@pytest.fixture
def lakehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Fakes, and bodies that write a row of each table that is due; a first day is published."""
    replace_bodies(monkeypatch)
    made = fake_lakehouse(tmp_path)
    days.run(made, "bronze", on(2))
    made.steps.clear()
    return made


def findings(lakehouse: Any) -> dict[str, tuple[str, bool, int, int]]:
    return {f.table: (f.severity, f.success, f.unexpected, f.rows)
            for f in lakehouse.ledger.findings if f.rule == "deleted_share"}  # fmt: skip


def test_keys_are_compared_within_the_snapshot_and_before_anything_is_written(lakehouse: Any) -> None:
    days.run(lakehouse, "bronze", on(3))
    order = ["snapshot", "readable", COMPARED, "write bronze.orders", "snapshot closed", "publish"]
    assert [s for s in lakehouse.steps if s in order] == order


def test_a_first_load_compares_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_bodies(monkeypatch)
    first = fake_lakehouse(tmp_path)
    days.run(first, "bronze", on(2))
    assert "compare" in first.steps
    assert COMPARED not in first.steps


def test_a_day_that_is_replaced_compares_nothing(lakehouse: Any) -> None:
    days.replace_day(lakehouse, on(2))
    assert not [s for s in lakehouse.steps if s.startswith("compare")]


def test_rows_that_a_policy_hides_are_not_taken_for_gone(lakehouse: Any) -> None:
    lakehouse.source.hidden.add("orders")
    days.run(lakehouse, "bronze", on(3))
    assert COMPARED.replace(" orders", "") in lakehouse.steps


@pytest.mark.parametrize(("days_to_look", "looks"), [("daily", True), ("friday", True), ("sunday,monday", False)])
def test_deletes_are_looked_for_on_the_days_of_the_setting(lakehouse: Any, days_to_look: str, looks: bool) -> None:
    """2020-01-03 was a Friday."""
    lakehouse.settings = lakehouse.settings.model_copy(update={"deletes_on": days_to_look})
    days.run(lakehouse, "bronze", on(3))
    assert (COMPARED in lakehouse.steps) is looks


@pytest.mark.parametrize(("gone", "held"), [(100, 100), (101, 2020), (0, 0)])
def test_deletes_that_are_few_or_a_small_share_go_through(lakehouse: Any, gone: int, held: int) -> None:
    lakehouse.source.gone["orders"] = (gone, held)
    outcome = days.run(lakehouse, "bronze", on(3))[0]
    assert outcome.state == "published"
    assert {t.table: t.rows_removed for t in outcome.tables if t.rows_removed} == ({"orders": gone} if gone else {})
    assert findings(lakehouse) == {"orders": ("critical", True, gone, held)}


def test_tables_that_were_emptied_stop_the_night_all_at_once_and_say_what_to_do(lakehouse: Any) -> None:
    lakehouse.source.gone |= {"orders": (1500, 1500), "order_items": (101, 2019), "products": (1, 1500)}
    with pytest.raises(GateError) as refused:
        days.run(lakehouse, "bronze", on(3))
    said = str(refused.value)
    assert (
        "every key of orders (1,500), 101 of 2,019 keys of order_items, more than LAKEHOUSE_MAX_DELETED_SHARE" in said
    )
    assert "lakehouse run bronze --date 2020-01-03 --accept-deletes orders --accept-deletes order_items" in said
    assert not [s for s in lakehouse.steps if s.startswith("write")]
    assert findings(lakehouse)["orders"] == ("critical", False, 1500, 1500)
    assert findings(lakehouse)["products"] == ("critical", True, 1, 1500)


def test_a_person_lets_them_through_by_table_and_the_ledger_knows(lakehouse: Any) -> None:
    lakehouse.source.gone |= {"orders": (1500, 1500), "order_items": (101, 2019)}
    with pytest.raises(GateError, match="101 of 2,019 keys of order_items, more than"):
        days.run(lakehouse, "bronze", on(3), accept=["orders"])
    outcome = days.run(lakehouse, "day", on(3), accept=["orders", "order_items"])[0]
    assert outcome.state == "published"
    assert lakehouse.ledger.runs[outcome.run_id].reason == "--accept-deletes order_items --accept-deletes orders"


def test_a_table_whose_deletes_are_not_looked_for_cannot_be_let_through(lakehouse: Any) -> None:
    with pytest.raises(UsageError, match=r"deletes of mugs are not looked for: --accept-deletes takes campaigns, "):
        days.run(lakehouse, "bronze", on(3), accept=["mugs"])

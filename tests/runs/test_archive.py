"""What a rewind set aside comes back once, no matter which run asks, and whatever became of a contract meanwhile.

On fakes alone: what the rows are is tested with a real rewind.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from lakehouse.business_date import BusinessDate
from lakehouse.layers import archive
from lakehouse.ledger.past import Aside
from lakehouse.records import Published
from tests.fakes import CONTRACTS, fake_lakehouse

pytestmark = pytest.mark.unit
DAY = BusinessDate(date(2020, 1, 2), ZoneInfo("UTC"))


def aside(*tables: str) -> list[Aside]:
    return [Aside("bronze-2020-01-02-set-aside", DAY.day, table, 0, 3) for table in tables]


@pytest.fixture
def lakehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    made = fake_lakehouse(tmp_path)
    made.ledger.put_back = lambda _, ids: made.steps(f"put back {len(ids)}")
    made.ledger.add_up = lambda *_: None
    monkeypatch.setattr(archive, "_brought", lambda run, table, *_: run.lakehouse.lake.write("bronze", table))
    return made


def test_what_another_run_brought_back_before_this_one_had_its_turn_is_covered(lakehouse: Any) -> None:
    answers = [aside("orders"), []]
    lakehouse.ledger.aside = lambda *_: answers.pop(0)
    outcome = archive.bring_back(lakehouse, DAY)
    assert outcome is not None
    assert (outcome.state, outcome.tables) == ("covered", [])
    assert not [s for s in lakehouse.steps if s.startswith(("write", "put back", "publish"))]


@pytest.mark.parametrize("shape", [{"word": "text"}, {}])
def test_a_table_whose_contract_was_taken_away_comes_back_too(lakehouse: Any, shape: dict[str, str]) -> None:
    if shape:
        lakehouse.lake.write("bronze", "retired")
        lakehouse.lake.owner = "ours"
        lakehouse.ledger.pointers["bronze"] = {"retired": Published("retired", 0, "first", date(2020, 1, 1), shape)}
    lakehouse.ledger.aside = lambda *_: aside("orders", "retired")
    outcome = archive.bring_back(lakehouse, DAY)
    assert outcome is not None
    assert sorted(t.table for t in outcome.tables) == ["orders", "retired"]
    pointers = lakehouse.ledger.pointers["bronze"]
    assert {t: p.shape for t, p in pointers.items()} == {
        "orders": CONTRACTS["bronze"]["orders"].shape,
        "retired": shape,
    }
    assert "put back 1" in lakehouse.steps

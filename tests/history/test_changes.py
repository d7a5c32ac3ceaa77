"""What changed in a table of silver between two days: rows by key, given the rows of both."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow
import pyarrow.dataset
import pytest
from pyarrow import parquet

from lakehouse.contracts import load_contracts
from lakehouse.errors import StoreError
from lakehouse.history.changes import TableChanges, changes

pytestmark = pytest.mark.unit
BEFORE, AFTER = date(2026, 1, 30), date(2026, 1, 31)
STOCK = load_contracts()["silver"]["inventory"]
KEY = list(STOCK.key)


class TwoDays:
    """Published tables of which there is one, as of two days."""

    def __init__(self, before: Any, after: Any) -> None:
        self._states = {BEFORE: pyarrow.dataset.dataset(before), AFTER: pyarrow.dataset.dataset(after)}

    def arrow(self, _: str, as_of: date) -> Any:
        return self._states[as_of]

    def duckdb_of(self, tables: dict[str, tuple[str, date]]) -> Any:
        engine = duckdb.connect()
        for name, (_, as_of) in tables.items():
            engine.register(name, self._states[as_of])
        return engine


def stock(*rows: tuple[str, str, object], of: Any = None) -> Any:
    """Rows of stock: both parts of the key, and what is on hand."""
    keys = [[row[n] for row in rows] for n in (0, 1)]
    return pyarrow.table([*keys, pyarrow.array([row[2] for row in rows], of)], [*KEY, "quantity_on_hand"])


def compared(before: Any, after: Any, most_keys: int = 9) -> TableChanges:
    days: Any = TwoDays(before, after)
    return changes(days, STOCK, BEFORE, AFTER, most_keys)


def test_rows_come_go_and_change_by_their_whole_key() -> None:
    found = compared(
        stock(("P1", "north", 1), ("P1", "south", 2), ("P2", "north", None), ("P3", "north", 4)),
        stock(("P1", "north", 1), ("P1", "south", 9), ("P2", "north", 3), ("P3", "south", 4)),
    )
    assert (found.came, found.went, found.changed) == (1, 1, 2)
    assert found.columns == {"quantity_on_hand": 2}
    assert [tuple(k.values()) for k in found.keys] == [
        ("came", "P3", "south"),
        ("changed", "P1", "south"),
        ("changed", "P2", "north"),
        ("went", "P3", "north"),
    ]


def test_keys_that_are_named_are_the_first_by_all_parts_of_the_key() -> None:
    after = stock(*(("P1", place, 1) for place in ("west", "south", "north", "east")))
    found = compared(stock(of=pyarrow.int64()), after, most_keys=2)
    assert [tuple(k.values()) for k in found.keys] == [("came", "P1", "east"), ("came", "P1", "north")]


def test_a_table_of_keys_alone_is_compared_by_these() -> None:
    found = compared(stock(("P1", "north", 1)).select(KEY), stock(("P1", "south", 1)).select(KEY))
    assert (found.came, found.went, found.changed, found.columns) == (1, 1, 0, {})


def test_a_column_that_was_retyped_is_an_error_without_its_value() -> None:
    with pytest.raises(
        StoreError, match=r"silver\.inventory as of 2026-01-30 and as of 2026-01-31 cannot be compared"
    ) as raised:
        compared(stock(("P1", "north", "canary")), stock(("P1", "north", 3)))
    assert "canary" not in str(raised.value)


def test_a_version_whose_data_file_is_gone_is_an_error_in_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "old.parquet"
    parquet.write_table(stock(("P1", "north", 1)), file)
    days = TwoDays(str(file), stock(("P1", "north", 1)))
    file.unlink()
    with pytest.raises(StoreError, match="cleaned up"):
        changes(days, STOCK, BEFORE, AFTER, 0)  # type: ignore[arg-type]

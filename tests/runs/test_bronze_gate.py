"""Bronze's gate: rows that the source counted, that passed on their way, and that the commit says it holds."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from lakehouse.gate.rules import ROWS
from lakehouse.layers.bronze_gate import Seen, check
from lakehouse.records import Window
from tests.tables import contract

pytestmark = pytest.mark.unit
WINDOW = Window(None, datetime(2020, 1, 3, tzinfo=UTC))


def broken(passed: int, added: int, expected: int | None, doubled: int = 0) -> dict[str, tuple[str, int | None]]:
    """The rules that a table broke of which so many rows passed, were committed, and were counted by the source."""
    lakehouse: Any = SimpleNamespace(gate=SimpleNamespace(judge=lambda *_: []))
    nothing: Any = None
    seen = Seen(nothing, nothing, {ROWS: passed, "null_keys": 0, "unfit": 0, "too_late": 0})
    findings = check(lakehouse, contract("bronze.orders"), WINDOW, seen, added, expected, 0, doubled)
    return {f.rule: (f.severity, f.unexpected) for f in findings if not f.success}


def test_three_counts_that_agree_are_in_order() -> None:
    assert broken(passed=3, added=3, expected=3) == {}


@pytest.mark.parametrize(("passed", "added", "expected"), [(2, 2, 3), (3, 2, 3), (2, 3, 3), (4, 4, 3)])
def test_a_count_that_differs_from_the_others_refuses_the_run(passed: int, added: int, expected: int) -> None:
    assert broken(passed, added, expected) == {"row_count_matches_source": ("critical", 1)}


def test_a_replacement_is_held_against_its_commit_as_the_sources_count_says_nothing_of_it() -> None:
    assert broken(passed=3, added=3, expected=None) == {}
    assert broken(passed=3, added=2, expected=None) == {"row_count_matches_source": ("critical", 1)}


def test_a_key_that_stands_twice_is_warned_of() -> None:
    assert broken(passed=3, added=3, expected=3, doubled=1) == {"key_unique": ("warning", 1)}

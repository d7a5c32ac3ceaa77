"""A shop that tries every rule, in two time zones, day by day: whatever the judge expects, the pipeline must hold.

Where a test here fails, the judge may be the one that is wrong: test_hostile_shop_by_hand.py holds it against literals.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from tests.e2e.hostile.shop import DAY_4, DAYS, Lived, State, differences, of_a_first_load
from tests.e2e.oracle import GOLD_KEYS, SOURCE_KEYS

pytestmark = pytest.mark.e2e
each_day = pytest.mark.parametrize("day", DAYS, ids=str)
each_gold_table = pytest.mark.parametrize("table", GOLD_KEYS)
each_source_table = pytest.mark.parametrize("table", SOURCE_KEYS)


@each_gold_table
@each_day
@pytest.mark.fault("F21")
def test_gold_is_what_the_rules_say(lived: Lived, expected: dict[date, State], day: date, table: str) -> None:
    assert differences(GOLD_KEYS[table], expected[day].gold[table], lived.days[day].gold[table]) == []


@each_source_table
@each_day
@pytest.mark.fault("F21")
def test_silver_is_what_the_rules_say(lived: Lived, expected: dict[date, State], day: date, table: str) -> None:
    assert differences(SOURCE_KEYS[table], expected[day].silver[table], lived.days[day].silver[table]) == []


@each_source_table
@each_day
@pytest.mark.fault("F23")
def test_quarantine_holds_what_is_open_with_every_reason(
    lived: Lived, expected: dict[date, State], day: date, table: str
) -> None:
    wanted, there = expected[day].quarantine[table], lived.days[day].quarantine[table]
    assert (sorted(map(str, wanted - there)), sorted(map(str, there - wanted))) == ([], [])


@each_source_table
@each_day
@pytest.mark.fault("F23")
def test_every_image_is_kept_deduplicated_removed_or_open(
    lived: Lived, expected: dict[date, State], day: date, table: str
) -> None:
    assert lived.days[day].counts[table] == expected[day].counts[table]
    assert lived.days[day].run_counts[table] == expected[day].run_counts[table]


@each_gold_table
def test_a_rerun_changes_no_row_of_gold(lived: Lived, table: str) -> None:
    assert differences(GOLD_KEYS[table], lived.published[table], lived.published_after_rerun[table]) == []


@pytest.mark.parametrize("part", ["gold", "silver", "quarantine", "counts", "run_counts"])
def test_a_rerun_changes_nothing(lived: Lived, part: str) -> None:
    assert _sorted(getattr(lived.rerun, part)) == _sorted(getattr(lived.days[DAY_4], part))


@each_gold_table
def test_gold_in_one_go_is_gold_day_by_day(lived_in_one_go: State, expected: dict[date, State], table: str) -> None:
    assert differences(GOLD_KEYS[table], expected[DAY_4].gold[table], lived_in_one_go.gold[table]) == []


@each_source_table
def test_silver_in_one_go_is_silver_day_by_day(lived_in_one_go: State, expected: dict[date, State], table: str) -> None:
    by_day = of_a_first_load(expected[DAY_4])
    assert differences(SOURCE_KEYS[table], by_day.silver[table], lived_in_one_go.silver[table]) == []
    assert lived_in_one_go.quarantine[table] == by_day.quarantine[table]
    assert lived_in_one_go.counts[table] == by_day.counts[table]


def _sorted(part: dict[str, Any]) -> dict[str, Any]:
    """Rows in some order of their own: a table has none."""
    return {table: sorted(of, key=str) if isinstance(of, list) else of for table, of in part.items()}

"""What a night has brought leaves the live tables, and nothing else: given rows and the night's snapshot."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pyspark.sql import SparkSession

from lakehouse.live.reset import seen

pytestmark = pytest.mark.unit

MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)
BEFORE, AFTER = "2026-03-01 23:59:59", "2026-03-02 00:00:00"
SEEN, OPEN, LATER = 700, 705, 710
SNAPSHOT = "705:710:705,707|server|16384"


def brought(spark: SparkSession, snapshot: str, *rows: tuple[str, int, str | None, bool]) -> set[str]:
    frame = spark.createDataFrame(list(rows), "name string, _tx bigint, at string, _deleted boolean")
    stamped = frame.selectExpr("name", "_tx", "cast(at as timestamp) as updated_at", "_deleted")
    return {row["name"] for row in stamped.where(seen(snapshot, MIDNIGHT)).collect()}


def test_rows_that_the_night_saw_before_the_end_of_its_day_are_brought(spark: SparkSession) -> None:
    assert brought(
        spark,
        SNAPSHOT,
        ("seen", SEEN, BEFORE, False),
        ("seen, of the next day", SEEN, AFTER, False),
        ("seen to be gone", SEEN, None, True),
        ("seen, and never of a day", SEEN, None, False),
        ("still open", OPEN, BEFORE, False),
        ("open, and gone by now", 707, None, True),
        ("done between two that were open", 706, BEFORE, False),
        ("begun later", LATER, BEFORE, False),
        ("gone later", LATER + 5, None, True),
    ) == {"seen", "seen to be gone", "seen, and never of a day", "done between two that were open"}


def test_numbers_of_transactions_that_began_at_zero_again_are_told_apart(spark: SparkSession) -> None:
    around = 7 * 2**32
    snapshot = f"{around - 2}:{around + 3}:{around - 2}||"
    assert brought(
        spark,
        snapshot,
        ("just before the turn", 2**32 - 1, BEFORE, False),
        ("open before the turn", 2**32 - 2, BEFORE, False),
        ("just after it", 2, BEFORE, False),
        ("later", 3, BEFORE, False),
    ) == {"just before the turn", "just after it"}

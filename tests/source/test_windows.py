"""Which rows of the source a run brings: its window, and what was committed late below it.

The conditions are SQL for Postgres; what they say of given rows is asked of Spark, which reads them almost as they stand.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import NamedTuple

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from lakehouse.records import Window
from lakehouse.source.position import Position
from lakehouse.source.postgres import _pieces
from lakehouse.source.windows import TWO_32, conditions
from tests.tables import contract, instant

pytestmark = pytest.mark.unit

ORDERS = contract("bronze.orders")
MARK, END = instant("2011-12-02"), instant("2011-12-03")
DAY = timedelta(days=1)


class Row(NamedTuple):
    """A row as far as a window looks at it: when it was stamped, which transaction wrote it, where it lies, when it was made."""

    name: str
    updated_at: str
    transaction: int = 5
    relation: int = 100
    created_at: str = "2011-11-01"


def position(now: int, server: str | None = None, *relations: str) -> Position:
    return Position(f"{now}:{now}:", server, frozenset(relations) or None)


def fates(
    spark: SparkSession, window: Window, now: int | Position, *rows: Row, has_xmin: bool = True
) -> dict[str, str]:
    """What becomes of each row: brought, late (brought unless bronze holds an equal one), or left."""
    found = conditions(ORDERS, window, position(now) if isinstance(now, int) else now, has_xmin=has_xmin)
    within, below = (
        re.sub('"(\\w+)"', r"\1", sql).replace("::timestamptz", "::timestamp").replace("::text", "::string")
        .replace("updated_at > '-infinity'", "updated_at is not null").replace("updated_at < 'infinity'", "true")
        for sql in (found.within, found.late)
    )  # fmt: skip
    frame = spark.createDataFrame(
        pa.table(
            {
                "name": [r.name for r in rows],
                "updated_at": pa.array([instant(r.updated_at) for r in rows], pa.timestamp("us", tz="UTC")),
                # A row keeps the last 32 bits of the number.
                "xmin": [str(r.transaction % TWO_32) for r in rows],
                "tableoid": [r.relation for r in rows],
                "created_at": pa.array([instant(r.created_at) for r in rows], pa.timestamp("us", tz="UTC")),
            }
        )
    )
    verdict = f"case when {within} and {below} then 'both' when {within} then 'brought' when {below} then 'late' else 'left' end"
    return {r[0]: r[1] for r in frame.selectExpr("name", verdict).collect()}


def late(**transactions: int) -> list[Row]:
    """Rows that were stamped an hour before the mark, each by the transaction of that number."""
    return [Row(name, "2011-12-01 23:00", number) for name, number in transactions.items()]


def test_a_window_is_from_the_mark_to_the_end(spark: SparkSession) -> None:
    rows = [
        Row("before", "2011-12-01 23:59:59.999999", 5),
        Row("at the mark", "2011-12-02 00:00", 5),
        Row("within", "2011-12-02 23:59:59.999999", 5),
        Row("at the end", "2011-12-03 00:00", 5),
    ]
    assert fates(spark, Window(MARK, END), 1000, *rows) == {
        "before": "left",
        "at the mark": "brought",
        "within": "brought",
        "at the end": "left",
    }


def test_what_the_last_snapshot_did_not_see_or_may_not_have_seen_is_late(spark: SparkSession) -> None:
    window = Window(MARK, END, snapshot="1000:1010:1003,1005", lookback=DAY)
    rows = late(
        over_before_the_oldest_open=999,
        over_between=1002,
        open_then=1003,
        over_between_too=1004,
        open_then_too=1005,
        last_over=1009,
        begun_after=1010,
        begun_long_after=1999,
    )
    assert fates(spark, window, 2000, *rows) == {
        "over_before_the_oldest_open": "left",
        "over_between": "late",
        "open_then": "late",
        "over_between_too": "late",
        "open_then_too": "late",
        "last_over": "late",
        "begun_after": "late",
        "begun_long_after": "late",
    }


def test_where_nothing_was_open_only_what_began_after_is_late(spark: SparkSession) -> None:
    window = Window(MARK, END, snapshot="1000:1000:", lookback=DAY)
    rows = late(over=999, begun_after=1000)
    assert fates(spark, window, 1001, *rows) == {"over": "left", "begun_after": "late"}


def test_a_row_is_late_only_within_the_look_back_and_never_twice(spark: SparkSession) -> None:
    window = Window(MARK, END, snapshot="1000:1010:", lookback=timedelta(hours=2))
    rows = [
        Row("before the look-back", "2011-12-01 21:59:59.999999", 1500),
        Row("where it begins", "2011-12-01 22:00", 1500),
        Row("late before it", "2011-12-01 21:59:59.999999", 1005),
        Row("late within it", "2011-12-01 23:59:59.999999", 1005),
        Row("a late one's number, but in the window", "2011-12-02 00:00", 1005),
        Row("new, but for a later window", "2011-12-03 00:00", 1500),
    ]
    assert fates(spark, window, 2000, *rows) == {
        "before the look-back": "left",
        "where it begins": "late",
        "late before it": "left",
        "late within it": "late",
        "a late one's number, but in the window": "brought",
        "new, but for a later window": "left",
    }


def test_where_nobody_knows_what_the_last_snapshot_saw_all_of_the_look_back_is_late(spark: SparkSession) -> None:
    """As of a run that was taken in from the lake, where its commit was cleaned up."""
    rows = [
        Row("before the look-back", "2011-11-30 23:59:59.999999"),
        Row("where it begins", "2011-12-01 00:00"),
        Row("just below the mark", "2011-12-01 23:59:59.999999"),
        Row("in the window", "2011-12-02 00:00"),
        Row("later", "2011-12-03 00:00"),
    ]
    unknown = Window(MARK, END, snapshot=None, lookback=DAY)
    for has_xmin in (True, False):
        assert fates(spark, unknown, position(2000, "A", "100"), *rows, has_xmin=has_xmin) == {
            "before the look-back": "left",
            "where it begins": "late",
            "just below the mark": "late",
            "in the window": "brought",
            "later": "left",
        }
    assert conditions(ORDERS, unknown, position(2000), has_xmin=True).since == MARK - DAY
    # A first run has nothing below its window, and a replacement looks for nothing there.
    for window in (
        replace(unknown, mark=None),
        replace(unknown, lookback=timedelta(0)),
        replace(unknown, again="9:9:"),
    ):
        assert "late" not in fates(spark, window, 2000, *rows).values()


def test_a_look_back_of_nothing_brings_nothing_late(spark: SparkSession) -> None:
    window = Window(MARK, END, snapshot="1000:1010:1003", lookback=timedelta(0))
    assert fates(spark, window, 2000, *late(open_then=1003, after=1500)) == {"open_then": "left", "after": "left"}


@pytest.mark.parametrize("epoch", [1, 7])
def test_numbers_that_ran_over_their_32_bits_are_told_apart(spark: SparkSession, epoch: int) -> None:
    zero = epoch * TWO_32
    window = Window(MARK, END, snapshot=f"{zero - 5}:{zero + 3}:{zero - 2},{zero + 1}", lookback=DAY)
    rows = late(
        over_before=zero - 6,
        over_between=zero - 5,
        open_then=zero - 2,
        the_last_of_its_bits=zero - 1,
        over_after_the_turn=zero,
        open_after_the_turn=zero + 1,
        begun_after=zero + 3,
        begun_long_after=zero + 99,
    )
    assert fates(spark, window, zero + 100, *rows) == {
        "over_before": "left",
        "over_between": "late",
        "open_then": "late",
        "the_last_of_its_bits": "late",
        "over_after_the_turn": "late",
        "open_after_the_turn": "late",
        "begun_after": "late",
        "begun_long_after": "late",
    }


def test_a_snapshot_before_the_turn_and_a_run_after_it(spark: SparkSession) -> None:
    window = Window(MARK, END, snapshot=f"{TWO_32 - 20}:{TWO_32 - 10}:", lookback=DAY)
    rows = late(
        over=TWO_32 - 21,
        begun_after=TWO_32 - 10,
        begun_after_the_turn=TWO_32 + 5,
        two_thousand_million_ago=TWO_32 - 2**31,
    )
    assert fates(spark, window, TWO_32 + 10, *rows) == {
        "over": "left",
        "begun_after": "late",
        "begun_after_the_turn": "late",
        "two_thousand_million_ago": "left",
    }


def test_a_source_restored_elsewhere_has_other_numbers_and_all_of_the_look_back_is_looked_for(
    spark: SparkSession,
) -> None:
    window = Window(MARK, END, snapshot="1000:1010:1003", lookback=DAY)
    rows = [
        *late(old=3, new=499),
        Row("before the look-back", "2011-11-30 23:59:59.999999", 499),
        Row("in the window", "2011-12-02 12:00", 3),
        Row("later", "2011-12-03 00:00", 499),
    ]
    assert fates(spark, window, 500, *rows) == {
        "old": "late",
        "new": "late",
        "before the look-back": "left",
        "in the window": "brought",
        "later": "left",
    }


def test_views_do_not_tell_who_wrote_a_row(spark: SparkSession) -> None:
    window = Window(MARK, END, snapshot="1000:1010:", lookback=DAY)
    rows = [*late(late=1500), Row("in the window", "2011-12-02 12:00", 1500)]
    assert fates(spark, window, 2000, *rows, has_xmin=False) == {"late": "left", "in the window": "brought"}


def test_numbers_of_another_server_say_nothing_and_all_of_the_look_back_is_looked_for(spark: SparkSession) -> None:
    window = Window(MARK, END, snapshot="1000:1010:1003|A|100", lookback=DAY)
    # A standby that became primary went on a little lower: its own 999 is not the one that was over.
    rows = [*late(a_little_lower=999), Row("before the look-back", "2011-11-30 23:59:59.999999", 999)]
    left = {"a_little_lower": "left", "before the look-back": "left"}
    assert fates(spark, window, position(2000, "A", "100"), *rows) == left
    assert fates(spark, window, position(2000, "B", "100"), *rows) == {**left, "a_little_lower": "late"}
    # Of a window of the first release nobody knows the server.
    old = Window(MARK, END, snapshot="1000:1010:1003", lookback=DAY)
    assert fates(spark, old, position(2000, "B", "100"), *rows) == left


def test_of_a_relation_that_was_not_there_everything_below_the_mark_is_late(spark: SparkSession) -> None:
    window = Window(MARK, END, snapshot="1000:1010:|A|100,200", lookback=DAY)
    rows = [
        Row("long held", "2011-06-01", 7, 100),
        Row("long attached", "2011-06-01", 7, 200),
        Row("attached since", "2011-06-01", 7, 300),
        Row("attached since, in the window", "2011-12-02 12:00", 7, 300),
        Row("attached since, later", "2011-12-03", 7, 300),
        *late(late=1500),
    ]
    now = position(2000, "A", "100", "200.77", "300")
    assert fates(spark, window, now, *rows) == {
        "long held": "left",
        "long attached": "late",  # its file is another one: it was truncated or rewritten
        "attached since": "late",
        "attached since, in the window": "brought",
        "attached since, later": "left",
        "late": "late",
    }
    assert conditions(ORDERS, window, now, has_xmin=True).since is None
    assert conditions(ORDERS, window, position(2000, "A", "100", "200"), has_xmin=True).since == MARK - DAY


def test_a_view_on_a_new_relation_is_looked_through_whole(spark: SparkSession) -> None:
    window = Window(MARK, END, snapshot="1000:1010:|A|100,200", lookback=DAY)
    rows = [Row("old", "2011-06-01"), Row("in the window", "2011-12-02 12:00")]
    same, gained = position(2000, "A", "100", "200"), position(2000, "A", "100", "200", "300")
    assert fates(spark, window, same, *rows, has_xmin=False) == {"old": "left", "in the window": "brought"}
    assert fates(spark, window, gained, *rows, has_xmin=False) == {"old": "late", "in the window": "brought"}


def test_what_was_made_before_the_end_and_touched_since_comes_with_the_newest_day(spark: SparkSession) -> None:
    rows = [
        Row("in the window", "2011-12-02 12:00"),
        Row("touched at the end", "2011-12-03", created_at="2011-12-02 23:59:59.999999"),
        Row("touched later", "2011-12-03 00:15", created_at="2011-11-30"),
        Row("made at the end", "2011-12-03 00:15", created_at="2011-12-03"),
        Row("below the mark", "2011-12-01 12:00"),
    ]
    newest = Window(MARK, END, snapshot="1000:1010:", lookback=DAY, touched_since=True)
    assert fates(spark, newest, 2000, *rows) == {
        "in the window": "brought",
        "touched at the end": "brought",
        "touched later": "brought",
        "made at the end": "left",
        "below the mark": "left",
    }
    older = fates(spark, replace(newest, touched_since=False), 2000, *rows)
    assert [name for name, fate in older.items() if fate == "brought"] == ["in the window"]
    first = fates(spark, replace(newest, mark=None), 2000, *rows)
    assert [name for name, fate in first.items() if fate != "brought"] == ["made at the end"]


def test_a_window_that_is_read_again_looks_for_nothing_below_it(spark: SparkSession) -> None:
    window = Window(MARK, END, again="1000:1010:|A|100")
    rows = [*late(late=1500), Row("in the window", "2011-12-02 12:00")]
    assert fates(spark, window, position(2000, "B", "300"), *rows) == {"late": "left", "in the window": "brought"}


@st.composite
def snapshots(draw: st.DrawFn) -> tuple[int, int, set[int], int]:
    """low, high, open transactions between them, and the number that is next when the following run looks."""
    low = draw(st.integers(3, 3 * TWO_32) | st.integers(TWO_32 - 40, TWO_32 + 40))
    high = low + draw(st.integers(0, 30))
    listed = draw(st.sets(st.integers(low, high - 1), max_size=6)) if high > low else set()
    return low, high, listed, high + draw(st.integers(0, 60) | st.integers(0, 2**31))


@settings(max_examples=4, deadline=None)
@given(snapshots(), st.lists(st.integers(-60, 100), min_size=40))
def test_no_row_is_left_that_the_last_snapshot_could_not_see(
    spark: SparkSession, snapshot: tuple[int, int, set[int], int], offsets: list[int]
) -> None:
    low, high, listed, now = snapshot
    numbers = {n for n in (low + o for o in offsets) if 3 <= n < now}
    numbers |= {n for n in (now - 1, high, high - 1, low, low - 1, *listed) if 3 <= n < now}
    window = Window(MARK, END, f"{low}:{high}:{','.join(map(str, sorted(listed)))}", DAY)
    found = fates(spark, window, now, *(Row(str(n), "2011-12-01 23:00", n) for n in sorted(numbers)))
    unseen = {str(n) for n in numbers if n >= high or n in listed}
    assert unseen <= {name for name, fate in found.items() if fate == "late"}
    assert {name for name, fate in found.items() if fate == "left"} == {str(n) for n in numbers if n < low}


@pytest.mark.parametrize(
    ("slices", "pages", "expected"),
    [
        (1, 0, ["true"]),
        (3, 10, ["ctid >= '(0,0)'::tid and ctid < '(3,0)'::tid", "ctid >= '(3,0)'::tid and ctid < '(6,0)'::tid",
                 "ctid >= '(6,0)'::tid"]),
    ],
)  # fmt: skip
def test_a_big_table_is_read_in_slices_of_which_the_last_is_open(slices: int, pages: int, expected: list[str]) -> None:
    assert _pieces(slices, pages) == expected

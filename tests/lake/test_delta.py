"""Writes to the lake: whose they are, and that nobody else's is taken for one's own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.errors import LedgerError, StoreError
from lakehouse.lake.delta import Lake
from lakehouse.lake.log import Log
from lakehouse.lake.reading import LostError
from lakehouse.records import Commit, Stamped

DAY = date(2026, 1, 31)


class NoRightError(Exception):
    """The run has lost its right."""


def rows(spark: SparkSession, *ids: int) -> DataFrame:
    return spark.createDataFrame([(i, f"mug {i}") for i in ids], "id int, name string")


def other_driver(spark: SparkSession, lake: Lake) -> Lake:
    """The lake as another driver sees it: a session, and thus a stamp, of its own."""
    other = Lake(spark.newSession(), lake.root)
    other.stamp("ledger", "silver-2", "silver", DAY)
    return other


def files(lake: Lake, layer: str, table: str) -> Path:
    return Path(lake.path(layer, table).removeprefix("file://"))


def test_every_kind_of_commit_bears_the_stamp_of_its_run(spark: SparkSession, lake: Lake) -> None:
    lake.stamp("ledger", "silver-1", "silver", DAY)
    window = {"end": "2026-02-01T00:00:00+00:00"}
    lake.create(rows(spark).schema, "silver", "mugs")
    lake.append(rows(spark, 1, 2), "silver", "mugs", (), 0, window)
    lake.merge(rows(spark, 2, 3), "silver", "mugs", ("id",), (), 1)
    lake.overwrite(rows(spark, 1, 2, 3, 4), "silver", "mugs", (), 2, window)
    lake.append(rows(spark, 5), "silver", "mugs", (), 3)
    assert lake.compact("silver", "mugs", 4).version == 5
    assert lake.restore("silver", "mugs", 1) == 6
    lake.clear("silver", "mugs", "ledger")
    commits = lake.commits("silver", "mugs", -1)
    assert [c.operation for c in commits] == [
        *("CREATE TABLE", "WRITE", "MERGE", "WRITE", "WRITE", "OPTIMIZE", "RESTORE", "DELETE")
    ]
    assert {(c.ledger, c.run, c.layer, c.business_date) for c in commits} == {("ledger", "silver-1", "silver", DAY)}
    assert [c.version for c in commits if c.facts == window] == [1, 3]
    assert [c.rows for c in commits[1:4]] == [2, 2, 4]
    assert [c.version for c in lake.commits("silver", "mugs", 5)] == [6, 7]
    assert lake.read("silver", "mugs", 7).count() == 0


def test_a_merge_says_how_many_rows_it_added_and_changed_beside_those_it_wrote_again(
    spark: SparkSession, lake: Lake
) -> None:
    lake.append(rows(spark, 1, 2, 3), "silver", "mugs", (), None)
    commit = lake.merge(rows(spark, 3, 4, 5), "silver", "mugs", ("id",), (), 0)
    assert (commit.inserted, commit.updated) == (2, 1)


def test_a_partition_is_added_and_replaced_under_the_stamp_and_with_its_facts(spark: SparkSession, lake: Lake) -> None:
    lake.stamp("ledger", "bronze-1", "bronze", DAY)
    last = rows(spark, 1, 2).withColumn("day", F.lit("31"))
    lake.append(last.where("id = 1"), "bronze", "mugs", ("day",), None, {"window": 1})
    assert lake.replace_partition(last, "bronze", "mugs", {"day": "31"}, 0, {"window": 2}).rows == 2
    assert [(c.run, dict(c.facts)) for c in lake.commits("bronze", "mugs", -1)] == [
        ("bronze-1", {"window": 1}),
        ("bronze-1", {"window": 2}),
    ]


def test_who_is_not_stamped_leaves_no_stamp(spark: SparkSession, lake: Lake) -> None:
    lake.stamp("ledger", "silver-1", "silver", DAY)
    lake.unstamp()
    assert lake.append(rows(spark, 1), "silver", "mugs", (), None) == Commit(0, 1, files_size(lake), inserted=1)
    assert [(c.ledger, c.run) for c in lake.commits("silver", "mugs", -1)] == [(None, None)]


def files_size(lake: Lake) -> int:
    return sum(f.stat().st_size for f in files(lake, "silver", "mugs").glob("*.parquet"))


WRITES: dict[str, Callable[[SparkSession, Lake], object]] = {
    "append": lambda spark, lake: lake.append(rows(spark, 2), "silver", "mugs", (), 0),
    "overwrite": lambda spark, lake: lake.overwrite(rows(spark, 2), "silver", "mugs", (), 0),
    "merge": lambda spark, lake: lake.merge(rows(spark, 2), "silver", "mugs", ("id",), (), 0),
    "restore": lambda _, lake: lake.restore("silver", "mugs", 0),
    "clear": lambda _, lake: lake.clear("silver", "mugs", "ledger"),
    "compact": lambda _, lake: lake.compact("silver", "mugs", 0),
    "create": lambda spark, lake: lake.create(rows(spark).schema, "silver", "cups"),
}


@pytest.mark.parametrize("name", WRITES)
def test_a_run_that_lost_its_right_writes_nothing(spark: SparkSession, lake: Lake, name: str) -> None:
    lake.stamp("ledger", "silver-1", "silver", DAY)
    lake.append(rows(spark, 1), "silver", "mugs", (), None)

    def lost() -> None:
        raise NoRightError

    lake.guard = lost
    with pytest.raises(NoRightError):
        WRITES[name](spark, lake)
    assert lake.head("silver", "mugs") == 0
    assert lake.head("silver", "cups") is None


@pytest.mark.parametrize("name", WRITES)
def test_a_run_that_loses_its_right_while_it_commits_is_told_so(spark: SparkSession, lake: Lake, name: str) -> None:
    lake.stamp("ledger", "silver-1", "silver", DAY)
    lake.append(rows(spark, 1), "silver", "mugs", (), None)
    looks = iter((False, True))

    def lost_at_the_second_look() -> None:
        if next(looks):
            raise NoRightError

    lake.guard = lost_at_the_second_look
    with pytest.raises(NoRightError):
        WRITES[name](spark, lake)


def test_a_commit_of_another_driver_beneath_ones_own_is_refused(spark: SparkSession, lake: Lake) -> None:
    lake.stamp("ledger", "silver-1", "silver", DAY)
    lake.append(rows(spark, 1), "silver", "mugs", (), None)
    other_driver(spark, lake).append(rows(spark, 2), "silver", "mugs", (), 0)
    with pytest.raises(StoreError, match=r"version 1 of silver\.mugs was committed by silver-2 while this run wrote"):
        lake.append(rows(spark, 2), "silver", "mugs", (), 0)


def test_a_commit_of_another_driver_on_top_of_ones_own_is_refused(spark: SparkSession, lake: Lake) -> None:
    lake.stamp("ledger", "silver-1", "silver", DAY)
    lake.append(rows(spark, 1), "silver", "mugs", (), None)
    other, looks = other_driver(spark, lake), iter((False, True))
    lake.guard = lambda: next(looks) and other.append(rows(spark, 2), "silver", "mugs", (), 1) and None
    with pytest.raises(StoreError, match=r"version 2 of silver\.mugs was committed by silver-2"):
        lake.append(rows(spark, 2), "silver", "mugs", (), 0)


def test_what_is_compacted_or_set_on_a_commit_of_another_driver_is_refused(spark: SparkSession, lake: Lake) -> None:
    lake.stamp("ledger", "silver-1", "silver", DAY)
    lake.append(rows(spark, 1), "silver", "mugs", (), None)
    other_driver(spark, lake).append(rows(spark, 2), "silver", "mugs", (), 0)
    with pytest.raises(StoreError, match=r"version 1 of silver\.mugs was committed by silver-2"):
        lake.compact("silver", "mugs", 0)
    lake._sql("alter table {} set tblproperties ('delta.enableExpiredLogCleanup' = 'true')", "silver", "mugs")
    with pytest.raises(StoreError, match=r"version 1 of silver\.mugs was committed by silver-2"):
        lake.keep_log("silver", "mugs", 0)


def test_a_commit_by_hand_is_nobodys_own(spark: SparkSession, lake: Lake) -> None:
    lake.stamp("ledger", "silver-1", "silver", DAY)
    lake.append(rows(spark, 1), "silver", "mugs", (), None)
    rows(spark.newSession(), 9).write.format("delta").mode("append").save(lake.path("silver", "mugs"))
    with pytest.raises(StoreError, match=r"version 1 of silver\.mugs was committed by no run of ours"):
        lake.merge(rows(spark, 2), "silver", "mugs", ("id",), (), 0)


def test_a_table_of_another_ledger_is_not_emptied_however_often_one_tries(spark: SparkSession, lake: Lake) -> None:
    lake.stamp("theirs", "silver-1", "silver", DAY)
    lake.append(rows(spark, 1), "silver", "mugs", (), None)
    lake.stamp("ours", "silver-2", "silver", DAY)
    for _ in range(2):
        with pytest.raises(LedgerError, match=r"the lake holds silver\.mugs, which this ledger never published"):
            lake.clear("silver", "mugs", "ours")
    lake.append(rows(spark, 2), "silver", "mugs", (), 0)
    with pytest.raises(LedgerError):
        lake.clear("silver", "mugs", "ours")
    assert lake.read("silver", "mugs", 1).count() == 2


class OnPaper(Lake):
    """A lake whose owner and commits (version to ledger) are given, and that writes nothing."""

    def __init__(self, owner: str | None, ledgers: dict[int, str | None]) -> None:
        self.root, self.owner, self.ledgers, self.emptied = "file:///lake", owner, ledgers, False

    def identity(self) -> str | None:
        return self.owner

    def log(self, layer: str, table: str) -> Log:
        return Log(frozenset(self.ledgers), frozenset({min(self.ledgers)}))

    def commits(self, layer: str, table: str, after: int) -> list[Stamped]:
        at = datetime(2026, 1, 31, tzinfo=UTC)
        return [Stamped(v, "WRITE", ledger, ledger and "run", layer, {}, 1, at) for v, ledger in self.ledgers.items()]

    def _table(self, layer: str, table: str) -> Any:
        return SimpleNamespace(delete=None)

    def _write(self, layer: str, table: str, before: int | None, action: object) -> Commit:
        self.emptied = True
        return Commit(0, 0, 0)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("layer", "owner", "ledgers", "emptied"),
    [
        ("bronze", None, {0: "ours", 1: "ours"}, True),
        ("silver", None, {0: "ours", 1: "ours"}, True),
        # As maintenance leaves a log after a month, and as the first release wrote: a ledger that was adopted knows neither.
        ("silver", "ours", {3: "ours", 4: "ours"}, True),
        ("quarantine", "ours", {0: None, 1: "ours"}, True),
        ("silver", "ours", {3: "theirs", 4: "ours"}, False),
        ("silver", None, {3: "ours", 4: "ours"}, False),
        ("bronze", "ours", {3: "ours", 4: "ours"}, False),
    ],
)
def test_what_is_made_of_bronze_is_emptied_in_a_lake_of_this_ledger_however_old_its_log(
    layer: str, owner: str | None, ledgers: dict[int, str | None], emptied: bool
) -> None:
    lake = OnPaper(owner, ledgers)
    with nullcontext() if emptied else pytest.raises(LedgerError, match="which this ledger never published"):
        lake.clear(layer, "mugs", "ours")
    assert lake.emptied is emptied


def test_a_restore_whose_data_files_are_gone_says_what_to_do(spark: SparkSession, lake: Lake) -> None:
    for layer in ("silver", "bronze"):
        lake.append(rows(spark, 1), layer, "mugs", (), None)
        lake.overwrite(rows(spark, 2), layer, "mugs", (), 0)
        for file in files(lake, layer, "mugs").glob("*.parquet"):
            file.unlink()
    with pytest.raises(
        LostError, match=r"version 0 of silver\.mugs.* data files of it are gone .* lakehouse rebuild silver"
    ):
        lake.restore("silver", "mugs", 0)
    with pytest.raises(LostError, match=r"version 0 of bronze\.mugs.* restore the lake from its backup$"):
        lake.restore("bronze", "mugs", 0)


def test_the_tables_of_a_layer_are_those_that_have_a_log(spark: SparkSession, lake: Lake) -> None:
    assert lake.tables("silver") == []
    for table in ("mugs", "cups"):
        lake.append(rows(spark, 1), "silver", table, (), None)
    (files(lake, "silver", "mugs").parent / "notes").mkdir()
    assert lake.tables("silver") == ["cups", "mugs"]
    shutil.rmtree(files(lake, "silver", "cups"))
    assert lake.tables("silver") == ["mugs"]

"""What changed of a table of silver between two versions: rows that were written, and the images that are told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.lake import reading
from lakehouse.lake.delta import Lake
from lakehouse.units.changes import changed, images
from tests.tables import contract, lines

pytestmark = pytest.mark.unit
LINES = contract("silver.order_items")
LEVELS = ("year", "month")
MAY, JUNE = ({"year": "2026", "month": month} for month in ("05", "06"))
FIRST = [("1", "A", 1, "05"), ("2", "A", 2, "05"), ("3", "B", 3, "06")]


@pytest.fixture
def lake(spark: SparkSession, tmp_path: Path) -> Iterator[Lake]:
    """A lake of three lines of two months, by a first run."""
    made = Lake(spark, (tmp_path / "lake").as_uri())
    made.append(written(spark, "r1", *FIRST), "silver", "order_items", LEVELS, None)
    yield made
    made.unstamp()


def written(spark: SparkSession, run: str, *rows: tuple[object, ...]) -> DataFrame:
    """Lines (id, order, quantity, month) as a run of silver writes them."""
    made = lines(spark, "order_item_id order_id quantity _month", *rows)
    return made.withColumnRenamed("_month", "month").withColumns(
        {"year": F.lit("2026"), "_run_id": F.lit(run), "_transformed_at": F.lit(run)}
    )


def told(lake: Lake, before: int, now: int) -> list[tuple[object, ...]] | None:
    """Id, order and quantity of every image, or None where nobody knows."""
    found = changed(lake, LINES, before, now)
    if found is None:
        return None
    images = sorted(tuple(r) for r in found.images.select("order_item_id", "order_id", "quantity").collect())
    assert found.rows == len(images)
    return images


def test_of_an_append_the_new_rows_changed(spark: SparkSession, lake: Lake) -> None:
    lake.append(written(spark, "r2", ("4", "B", 4, "06")), "silver", "order_items", LEVELS, 0)
    assert told(lake, 0, 1) == [("4", "B", 4)]


@pytest.mark.parametrize("way", ["rewrite", "merge"])
def test_a_line_that_moved_to_another_order_is_told_as_it_was_and_as_it_is(
    spark: SparkSession, lake: Lake, way: str
) -> None:
    rows, key = written(spark, "r2", ("2", "B", 2, "05")), LINES.key
    if way == "rewrite":
        lake.rewrite(rows, "silver", "order_items", key, [MAY], 0, updated=1, deleted=0)
    else:
        lake.merge(rows, "silver", "order_items", key, [MAY], 0)
    assert told(lake, 0, 1) == [("2", "A", 2), ("2", "B", 2)]


def test_a_row_that_is_gone_is_told_as_it_was_and_its_neighbours_are_not(spark: SparkSession, lake: Lake) -> None:
    rows = written(spark, "r2", ("1", "A", 1, "05")).withColumn("_leaves", F.lit(True))
    lake.rewrite(rows, "silver", "order_items", LINES.key, [MAY], 0, updated=0, deleted=1, leaves="_leaves")
    assert told(lake, 0, 1) == [("1", "A", 1)]


def test_a_row_that_moved_to_another_partition_and_says_the_same_did_not_change(
    spark: SparkSession, lake: Lake
) -> None:
    rows = written(spark, "r2", ("2", "A", 2, "06"))
    lake.rewrite(rows, "silver", "order_items", LINES.key, [MAY, JUNE], 0, updated=1, deleted=0)
    assert told(lake, 0, 1) == []


def test_a_row_that_was_judged_again_and_says_the_same_did_not_change(spark: SparkSession, lake: Lake) -> None:
    lake.rewrite(written(spark, "r2", FIRST[0]), "silver", "order_items", LINES.key, [MAY], 0, updated=1, deleted=0)
    assert told(lake, 0, 1) == []


def test_files_that_are_joined_or_written_again_change_nothing(spark: SparkSession, lake: Lake) -> None:
    for version in range(3):
        row = (f"new {version}", "C", 1, "05")
        lake.append(written(spark, "r2", row), "silver", "order_items", LEVELS, version)
    assert lake.compact("silver", "order_items", 3).version == 4
    assert told(lake, 3, 4) == []
    lake.restore("silver", "order_items", 0)
    assert told(lake, 0, 5) == []


def test_a_change_and_its_repair_are_no_change(spark: SparkSession, lake: Lake) -> None:
    for version, quantity in enumerate((9, 2)):
        rows = written(spark, f"r{version}", ("2", "A", quantity, "05"))
        lake.rewrite(rows, "silver", "order_items", LINES.key, [MAY], version, updated=1, deleted=0)
    assert told(lake, 0, 1) == [("2", "A", 2), ("2", "A", 9)]
    assert told(lake, 0, 2) == []


def test_each_version_may_have_as_many_files_of_its_own_as_are_read_by_name(
    spark: SparkSession, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.rewrite(written(spark, "r2", ("2", "B", 2, "05")), "silver", "order_items", LINES.key, [MAY], 0, updated=1, deleted=0)  # fmt: skip
    found = lake.changed_files("silver", "order_items", 0, 1)
    assert found is not None
    most = max(len(files.names) for files in found)
    assert sum(len(files.names) for files in found) > most, "both have some"
    monkeypatch.setattr(reading, "MOST_FILES", most)
    assert told(lake, 0, 1) == [("2", "A", 2), ("2", "B", 2)]
    monkeypatch.setattr(reading, "MOST_FILES", most - 1)
    assert told(lake, 0, 1) is None


def test_nobody_knows_where_a_version_is_gone_its_columns_are_others_or_its_files_are_many(
    spark: SparkSession, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert told(lake, 7, 0) is None
    lake.append(written(spark, "r2", ("4", "B", 4, "06")), "silver", "order_items", LEVELS, 0)
    wider = written(spark, "r3", ("5", "B", 5, "06")).withColumn("colour", F.lit("red"))
    lake.append(wider, "silver", "order_items", LEVELS, 1)
    assert told(lake, 1, 2) is None
    monkeypatch.setattr(reading, "MOST_FILES", 0)
    assert told(lake, 0, 1) is None


def test_nobody_knows_where_a_data_file_was_cleaned_up(spark: SparkSession, lake: Lake, tmp_path: Path) -> None:
    old = set(tmp_path.rglob("month=05/*.parquet"))
    lake.rewrite(written(spark, "r2", ("2", "B", 2, "05")), "silver", "order_items", LINES.key, [MAY], 0, updated=1, deleted=0)  # fmt: skip
    for file in old:
        file.unlink()
    assert told(lake, 0, 1) is None


def test_a_value_that_moves_to_a_column_that_was_null_is_told(spark: SparkSession) -> None:
    # A hash of the values alone is that of both.
    key, none, one = F.lit("1"), F.lit(None).cast("string"), F.lit("x")
    before, now = (
        spark.range(1).select(key.alias("order_item_id"), a.alias("order_id"), b.alias("product_id"))
        for a, b in ((none, one), (one, none))
    )
    assert before.select(F.xxhash64("*")).first() == now.select(F.xxhash64("*")).first()
    assert sorted(images(before, now, LINES).collect(), key=str) == [("1", "x", None), ("1", None, "x")]
    assert images(before, before, LINES).collect() == []

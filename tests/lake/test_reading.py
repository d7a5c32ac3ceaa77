"""Reading a version of a table: by its data files where they are few, by Delta where files alone do not say the rows."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession

from benchmarks.ours.executions import executions
from lakehouse.lake import reading
from lakehouse.lake.delta import Lake
from lakehouse.lake.reading import LostError

LEVELS = ("year", "month")
JANUARY, FEBRUARY = ({"year": "2026", "month": month} for month in ("01", "02"))


def sales(spark: SparkSession, *rows: tuple[int, str | None, str]) -> DataFrame:
    return spark.createDataFrame([(*row, "2026") for row in rows], "id int, name string, month string, year string")


def seen(frame: DataFrame) -> set[tuple[object, ...]]:
    return {(r["id"], r["name"], r["month"], r["year"]) for r in frame.collect()}


def test_a_version_is_read_with_its_partitions_as_they_are_written(spark: SparkSession, lake: Lake) -> None:
    lake.append(sales(spark, (1, "mug", "01"), (2, None, "02")), "silver", "sales", LEVELS, None)
    lake.append(sales(spark, (3, "cup", "02")), "silver", "sales", LEVELS, 0)
    now, before = lake.read("silver", "sales", 1), lake.read("silver", "sales", 0)
    assert seen(now) == {(1, "mug", "01", "2026"), (2, None, "02", "2026"), (3, "cup", "02", "2026")}
    assert seen(before) == {(1, "mug", "01", "2026"), (2, None, "02", "2026")}
    assert now.schema == lake.read_by_delta("silver", "sales", 1).schema
    assert seen(lake.read("silver", "sales", 1, [FEBRUARY])) == {(2, None, "02", "2026"), (3, "cup", "02", "2026")}
    assert seen(lake.read("silver", "sales", 1, [{"year": "2025", "month": "01"}])) == set()


def test_a_column_that_came_later_is_null_in_older_files(spark: SparkSession, lake: Lake) -> None:
    lake.append(spark.createDataFrame([(1,)], "id int"), "silver", "mugs", (), None)
    lake.append(spark.createDataFrame([(2, "red")], "id int, colour string"), "silver", "mugs", (), 0)
    assert {tuple(r) for r in lake.read("silver", "mugs", 1).collect()} == {(1, None), (2, "red")}
    assert lake.read("silver", "mugs", 0).columns == ["id"]


def test_a_read_asks_spark_for_one_query(spark: SparkSession, lake: Lake) -> None:
    lake.append(sales(spark, (1, "mug", "01"), (2, None, "02")), "silver", "sales", LEVELS, None)
    assert executions(spark, lambda: lake.read("silver", "sales", 0).where("month = '01'").collect()) == 1


def test_rows_that_a_deletion_vector_takes_out_are_not_read(spark: SparkSession, lake: Lake) -> None:
    sales(spark, (1, "mug", "01"), (2, "cup", "01")).coalesce(1).write.format("delta").option(
        "delta.enableDeletionVectors", "true"
    ).save(lake.path("silver", "sales"))
    spark.sql(f"delete from delta.`{lake.path('silver', 'sales')}` where id = 2")
    assert lake.known_files("silver", "sales", 1) is None
    assert seen(lake.read("silver", "sales", 1)) == {(1, "mug", "01", "2026")}


def test_spark_looks_at_as_many_files_without_a_job_as_are_named(spark: SparkSession) -> None:
    assert spark.conf.get("spark.sql.sources.parallelPartitionDiscovery.threshold") == str(reading.MOST_FILES)


def test_many_files_are_found_by_delta_itself(spark: SparkSession, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.append(sales(spark, (1, "mug", "01"), (2, None, "02")), "silver", "sales", LEVELS, None)
    monkeypatch.setattr(reading, "MOST_FILES", 1)
    assert lake.known_files("silver", "sales", 0) is None
    assert lake.known_files("silver", "sales", 0, [JANUARY]) is not None
    assert seen(lake.read("silver", "sales", 0)) == {(1, "mug", "01", "2026"), (2, None, "02", "2026")}


def test_a_data_file_that_is_gone_is_told_in_a_sentence(spark: SparkSession, lake: Lake) -> None:
    lake.append(sales(spark, (1, "mug", "01")), "silver", "sales", LEVELS, None)
    (file,) = Path(lake.path("silver", "sales").removeprefix("file://")).rglob("*.parquet")
    file.unlink()
    with pytest.raises(LostError, match=r"version 0 of silver.sales cannot be read: data files of it are gone"):
        lake.read("silver", "sales", 0)


def test_a_rewrite_replaces_by_key_within_the_partitions_it_is_told(spark: SparkSession, lake: Lake) -> None:
    old = sales(spark, (1, "mug", "01"), (2, "cup", "01"), (3, "jar", "02"), (4, "pan", "03"))
    lake.append(old, "silver", "sales", LEVELS, None)
    new = sales(spark, (2, "cup", "02"), (5, "lid", "02"), (3, "jar", "02")).selectExpr("*", "id = 3 as leaves")
    commit = lake.rewrite(
        new, "silver", "sales", ("id",), [JANUARY, FEBRUARY], 0, updated=1, deleted=1, leaves="leaves"
    )
    assert commit is not None
    assert (commit.inserted, commit.updated, commit.deleted) == (1, 1, 1)
    assert seen(lake.read("silver", "sales", commit.version)) == {
        (1, "mug", "01", "2026"), (2, "cup", "02", "2026"), (5, "lid", "02", "2026"), (4, "pan", "03", "2026"),
    }  # fmt: skip
    march = {"year": "2026", "month": "03"}
    before, after = (lake.known_files("silver", "sales", v, [march]) for v in (0, commit.version))
    assert before == after, "a partition that is not named keeps its files"


@pytest.mark.parametrize("rows_of_a_share", [1, 1000])
def test_a_partition_is_one_file_however_often_it_is_written_again(
    spark: SparkSession, lake: Lake, monkeypatch: pytest.MonkeyPatch, rows_of_a_share: int
) -> None:
    monkeypatch.setattr(reading, "ROWS_OF_A_SHARE", rows_of_a_share)
    old = sales(spark, (1, "mug", "01"), (2, "cup", "01"), (3, "jar", "02"), (4, "pan", "03"))
    lake.append(old.repartition(4), "silver", "sales", LEVELS, None)
    months: list[dict[str, str | None]] = [{"year": "2026", "month": m} for m in ("01", "02", "03")]
    for day in range(3):
        new = sales(spark, (2, f"cup {day}", "01"), (3, f"jar {day}", "02"), (10 + day, "new", "03"))
        assert lake.rewrite(new, "silver", "sales", ("id",), months, day, updated=2, deleted=0) is not None
        files = lake.known_files("silver", "sales", day + 1)
        assert files is not None
        assert sorted(name.rpartition("/")[0] for name in files.names) == [
            f"year=2026/month={m}" for m in ("01", "02", "03")
        ]
    assert seen(lake.read("silver", "sales", 3)) == {
        (1, "mug", "01", "2026"), (2, "cup 2", "01", "2026"), (3, "jar 2", "02", "2026"), (4, "pan", "03", "2026"),
        (10, "new", "03", "2026"), (11, "new", "03", "2026"), (12, "new", "03", "2026"),
    }  # fmt: skip


def test_tasks_that_write_partitions_again_are_as_many_as_there_is_work_for(
    spark: SparkSession, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "ROWS_OF_A_SHARE", 1)
    old = sales(spark, *((n, "mug", f"0{1 + n % 3}") for n in range(9)))
    lake.append(old, "silver", "sales", LEVELS, None)
    places = [{"year": "2026", "month": f"0{m}"} for m in (1, 2, 3)]
    found = lake.known_files("silver", "sales", 0, places)
    assert found is not None
    new = sales(spark, (0, "cup", "01"), (1, "cup", "04"))
    rows = lake.replaced("silver", "sales", 0, found, new.select("id"), new, [*places, {"year": "2026", "month": "04"}])
    assert rows.rdd.getNumPartitions() == min(4, spark.sparkContext.defaultParallelism)
    assert seen(rows) == seen(old.where("id > 1").unionByName(new))


def test_rows_of_a_partition_without_a_value_are_written_again_too(
    spark: SparkSession, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "ROWS_OF_A_SHARE", 1)
    undated = sales(spark, (1, "mug", "01"), (2, "cup", "01")).selectExpr(
        "id", "name", "if(id = 2, null, month) month", "year"
    )
    lake.append(undated, "silver", "sales", LEVELS, None)
    places: list[dict[str, str | None]] = [JANUARY, {"year": "2026", "month": None}]
    new = undated.where("id = 2").selectExpr("id", "'jar' name", "month", "year")
    assert lake.rewrite(new, "silver", "sales", ("id",), places, 0, updated=1, deleted=0) is not None
    assert seen(lake.read("silver", "sales", 1)) == {(1, "mug", "01", "2026"), (2, "jar", None, "2026")}


def test_what_a_rewrite_is_told_wrongly_shows_in_what_it_counts_as_inserted(spark: SparkSession, lake: Lake) -> None:
    lake.append(sales(spark, (1, "mug", "01"), (1, "mug", "01")).coalesce(1), "silver", "mugs", (), None)
    commit = lake.rewrite(sales(spark, (1, "cup", "01")), "silver", "mugs", ("id",), (), 0, updated=1, deleted=0)
    assert commit is not None
    assert commit.inserted == -1, "a key stood twice, and no row was added"

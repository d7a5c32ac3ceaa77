"""Delta's log as files: which versions there are and which can be loaded, by the names alone and by Delta itself."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import pytest
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from lakehouse.errors import StoreError
from lakehouse.lake.delta import Lake
from lakehouse.lake.log import Log, commit_info, newest_version_in, read_names, stamped

UUID = "80a083e8-7026-4e79-81be-64bd76c43a11"


def commits(*versions: int) -> list[str]:
    return [f"{v:020d}.json" for v in versions]


def checkpoints(*versions: int) -> list[str]:
    return [f"{v:020d}.checkpoint.parquet" for v in versions]


def loadable(log: Log) -> list[int]:
    return [v for v in range(20) if log.loadable(v)]


@pytest.mark.unit
@pytest.mark.parametrize(
    ("names", "head", "can"),
    [
        ([], None, []),
        (commits(0, 1, 2), 2, [0, 1, 2]),
        ([*commits(3, 4, 5), *checkpoints(4)], 5, [4, 5]),
        ([*commits(5), *checkpoints(4)], 5, [5]),
        (checkpoints(4), 4, []),
        # The commit of a version being there is not enough: what it builds on is gone.
        ([*commits(1, 2, 3), *checkpoints(3)], 3, [3]),
        ([*commits(0, 1, 3), *checkpoints(3)], 3, [0, 1, 3]),
        ([*commits(4, 5), f"{4:020d}.checkpoint.{UUID}.parquet"], 5, [4, 5]),
        ([*commits(4, 5), f"{4:020d}.checkpoint.{UUID}.json", "_sidecars"], 5, [4, 5]),
        ([*commits(4, 5), *(f"{4:020d}.checkpoint.{n:010d}.{2:010d}.parquet" for n in (1, 2))], 5, [4, 5]),
        # One of two parts is no checkpoint.
        ([*commits(5), f"{4:020d}.checkpoint.{1:010d}.{2:010d}.parquet"], 5, []),
        ([*commits(0, 1, 2), f"{0:020d}.{2:020d}.compacted.json"], 2, [0, 1, 2]),
        (
            [*commits(0), f"{1:020d}.crc", f".{1:020d}.json.{UUID}.tmp", f"{1:020d}.json.tmp", "_last_checkpoint"],
            0,
            [0],
        ),
        ([*commits(0), f".{7:020d}.json.crc", "_staged_commits", "vacuum_info", "_commits"], 0, [0]),
    ],
)
def test_versions_by_the_names_of_the_log(names: list[str], head: int | None, can: list[int]) -> None:
    log = read_names(names)
    assert log.head == head
    assert loadable(log) == can


@pytest.mark.unit
def test_what_version_a_file_of_the_log_is_about() -> None:
    about = {
        f"{7:020d}.json": 7,
        f"{7:020d}.crc": 7,
        f"{7:020d}.checkpoint.parquet": 7,
        f"{7:020d}.checkpoint.{UUID}.json": 7,
        f"{7:020d}.checkpoint.{1:010d}.{2:010d}.parquet": 7,
        f"{3:020d}.{7:020d}.compacted.json": 7,
        "_last_checkpoint": None,
        f"{7:020d}.json.tmp": None,
    }
    assert {name: newest_version_in(name) for name in about} == about


@pytest.mark.unit
@pytest.mark.parametrize("said", [None, "", "by hand", "[]", '"a"', '{"ledger": "a"}', "{"])
def test_what_is_no_stamp_of_ours_is_nobodys(said: str | None) -> None:
    by = stamped(3, {"operation": "WRITE", "userMetadata": said, "timestamp": 0})
    assert (by.version, by.operation, by.ledger, by.run, by.facts) == (3, "WRITE", None, None, {})


@pytest.mark.unit
def test_a_row_that_speaks_of_commit_info_is_none() -> None:
    text = '{"add":{"path":"a","stats":"{\\"maxValues\\":{\\"name\\":\\"commitInfo\\"}}"}}\n{"commitInfo":{"operation":"WRITE"}}'
    assert commit_info(text) == {"operation": "WRITE"}
    assert commit_info("") == {}


def folder(lake: Lake) -> Path:
    return Path(lake.path("silver", "mugs").removeprefix("file://")) / "_delta_log"


def append(lake: Lake, spark: SparkSession, times: int) -> None:
    for _ in range(times):
        lake.append(spark.range(1), "silver", "mugs", (), lake.head("silver", "mugs"))


def age(files: Iterable[Path], days: float) -> None:
    then = time.time() - days * 86400
    for file in files:
        os.utime(file, (then, then))


def with_a_checkpoint_every_second_version(spark: SparkSession, lake: Lake, properties: str) -> None:
    spark.sql(f"create table delta.`{lake.path('silver', 'mugs')}` (id bigint) using delta "
              f"tblproperties ('delta.checkpointInterval' = '2'{properties})")  # fmt: skip


def readable(spark: SparkSession, lake: Lake, version: int) -> bool:
    try:
        return lake.read_by_delta("silver", "mugs", version).columns == ["id"]
    except (PySparkException, Py4JJavaError):
        return False


# What Delta's own clean-up leaves, and what a hand leaves that deletes whatever it likes.
GONE = ((), (0,), (0, 1, 2), (0, 1, 2, 3, 4), (3,), (0, 1, 2, 3, 4, 5))


@pytest.mark.parametrize("policy", ["classic", "v2"])
def test_what_is_said_to_be_loadable_is_what_delta_loads(spark: SparkSession, lake: Lake, policy: str) -> None:
    with_a_checkpoint_every_second_version(spark, lake, f", 'delta.checkpointPolicy' = '{policy}'")
    append(lake, spark, 5)
    root = Path(lake.root.removeprefix("file://"))
    for number, gone in enumerate(GONE):
        # Each a lake that Delta has never met: it remembers what it has loaded.
        shutil.copytree(root, f"{root}-{number}")
        copy = Lake(spark, f"{lake.root}-{number}")
        for version in gone:
            (folder(copy) / f"{version:020d}.json").unlink()
        log = copy.log("silver", "mugs")
        assert log.head == (4 if 5 in gone else 5)
        assert {v: log.loadable(v) for v in range(6)} == {v: readable(spark, copy, v) for v in range(6)}, gone


def test_a_known_version_that_can_no_longer_be_loaded_is_named(spark: SparkSession, lake: Lake) -> None:
    with_a_checkpoint_every_second_version(spark, lake, "")
    append(lake, spark, 5)
    (folder(lake) / f"{0:020d}.json").unlink()
    assert lake.head("silver", "mugs", 4) == 5
    # Its commit is there; what it builds on is not.
    with pytest.raises(StoreError, match=r"has no version 1 that can be loaded, which the ledger says is published"):
        lake.head("silver", "mugs", 1)


def old_table(spark: SparkSession, lake: Lake) -> None:
    """A table of the first release, which left the log to Delta."""
    with_a_checkpoint_every_second_version(spark, lake, "")
    spark.sql(
        f"alter table delta.`{lake.path('silver', 'mugs')}` unset tblproperties ('delta.enableExpiredLogCleanup')"
    )


def append_as_time_goes_by(spark: SparkSession, lake: Lake, times: int, published: int, every: int) -> None:
    """Appends to a table whose log is older than Delta keeps it, and reads the published version now and then."""
    for number in range(times):
        age(folder(lake).iterdir(), days=45)
        append(lake, spark, 1)
        if number % every == 0:
            assert lake.read("silver", "mugs", published).count() == 1


@pytest.mark.parametrize("times", [4, pytest.param(60, marks=pytest.mark.slow)])
def test_a_published_version_stays_readable_however_old_its_log(spark: SparkSession, lake: Lake, times: int) -> None:
    old_table(spark, lake)
    append(lake, spark, 1)
    lake.stamp("ledger", "silver-1", "silver", date(2026, 1, 31))
    published = lake.keep_log("silver", "mugs", 2)
    assert published == 3
    assert [(c.operation, c.run) for c in lake.commits("silver", "mugs", 2)] == [("SET TBLPROPERTIES", "silver-1")]
    assert lake.keep_log("silver", "mugs", published) is None
    append_as_time_goes_by(spark, lake, times, published, every=10)
    assert lake.head("silver", "mugs", published) == published + times
    assert lake.log("silver", "mugs").checkpoints >= set(range(4, published + times, 2))
    assert lake.restore("silver", "mugs", published) == published + times + 1


def test_left_to_delta_the_published_version_is_lost(spark: SparkSession, lake: Lake) -> None:
    old_table(spark, lake)
    append(lake, spark, 1)
    append_as_time_goes_by(spark, lake, 4, 2, every=10)
    with pytest.raises(StoreError, match="has no version 2 that can be loaded"):
        lake.head("silver", "mugs", 2)


def test_a_new_table_keeps_its_log_from_the_first_commit(spark: SparkSession, lake: Lake) -> None:
    append(lake, spark, 1)
    lake.create(spark.range(1).schema, "silver", "cups")
    assert [lake.keep_log("silver", table, 0) for table in ("mugs", "cups")] == [None, None]
    assert [lake.head("silver", table) for table in ("mugs", "cups")] == [0, 0]

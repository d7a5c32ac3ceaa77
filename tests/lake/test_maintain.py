"""Maintenance of a table: it gets smaller, and what is published or pinned stays as it was."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from lakehouse.errors import StoreError
from lakehouse.lake import maintain
from lakehouse.lake.delta import Lake

WEEK = 168


@pytest.fixture
def mugs(spark: SparkSession, lake: Lake) -> Lake:
    """Versions 0 to 6 of a table, each with a row more than the last, in files of their own; a checkpoint every second."""
    spark.sql(f"create table delta.`{lake.path('silver', 'mugs')}` (id bigint, shelf string) using delta "
              "partitioned by (shelf) tblproperties ('delta.checkpointInterval' = '2')")  # fmt: skip
    lake.stamp("ledger", "silver-1", "silver", date(2026, 1, 31))
    for version in range(6):
        rows = spark.range(version + 1).selectExpr("id", "'a b' as shelf").coalesce(1)
        lake.overwrite(rows, "silver", "mugs", ("shelf",), version)
    return lake


def folder(lake: Lake) -> Path:
    return Path(lake.path("silver", "mugs").removeprefix("file://"))


def rows(lake: Lake, version: int) -> int:
    return lake.read("silver", "mugs", version).count()


def data(lake: Lake) -> set[Path]:
    return set(folder(lake).glob("shelf*/*.parquet"))


def log(lake: Lake) -> set[str]:
    return {f.name for f in (folder(lake) / "_delta_log").iterdir()}


def committed(lake: Lake, days_ago: dict[int, int]) -> None:
    """Makes commits say that they were made days ago."""
    for version, days in days_ago.items():
        file = folder(lake) / "_delta_log" / f"{version:020d}.json"
        actions = [json.loads(line) for line in file.read_text().splitlines()]
        for action in actions:
            if "commitInfo" in action:
                action["commitInfo"]["timestamp"] = int((time.time() - days * 86400) * 1000)
        file.write_text("".join(json.dumps(a) + "\n" for a in actions))
        (file.parent / f".{file.name}.crc").unlink(missing_ok=True)


def age(files: set[Path], days: int) -> None:
    for file in files:
        os.utime(file, (time.time() - days * 86400,) * 2)


def test_a_vacuum_leaves_the_kept_versions_and_the_head(mugs: Lake) -> None:
    size = sum(f.stat().st_size for f in data(mugs))
    planned = maintain.vacuum(mugs, "silver", "mugs", 0, {2, 4}, dry_run=True)
    assert len(data(mugs)) == 6
    done = maintain.vacuum(mugs, "silver", "mugs", 0, {2, 4})
    assert done == planned
    assert (done.files, done.bytes_before, done.bytes_after) == (3, size, sum(f.stat().st_size for f in data(mugs)))
    assert [rows(mugs, v) for v in (2, 4, 6)] == [2, 4, 6]
    # No version of its own: the head is still the one that is published.
    assert mugs.head("silver", "mugs") == 6
    assert mugs.restore("silver", "mugs", 2) == 7
    assert rows(mugs, 7) == 2


def test_a_vacuum_leaves_what_is_younger_than_its_hours_and_what_is_no_data(mugs: Lake) -> None:
    dead, young, *others = (
        folder(mugs) / name
        for name in (
            "shelf=a b/of-a-dead-run.parquet",
            "shelf=a b/of-a-run-at-work.parquet",
            "_links/a.parquet",
            "a.bin",
        )
    )
    (folder(mugs) / "_links").mkdir()
    for file in (dead, young, *others):
        file.write_bytes(b"PAR1")
    age(data(mugs) - {young} | set(others), days=30)
    # Every version is of today.
    assert maintain.vacuum(mugs, "silver", "mugs", WEEK, (), dry_run=True).files == 1
    committed(mugs, {0: 30, 1: 29, 2: 28, 3: 27, 4: 26, 5: 3, 6: 2})
    # Versions 1 and 3, as 4 was the head when the week began; version 0 has no file.
    assert maintain.vacuum(mugs, "silver", "mugs", WEEK, {2}).files == 3
    assert [rows(mugs, v) for v in (2, 4, 5, 6)] == [2, 4, 5, 6]
    assert not dead.exists()
    assert all(f.exists() for f in (young, *others))


def test_a_vacuum_that_cannot_know_what_a_kept_version_needs_deletes_nothing(mugs: Lake) -> None:
    maintain.clean_log(mugs, "silver", "mugs", 4)
    with pytest.raises(StoreError, match="has no version 2 that can be loaded"):
        maintain.vacuum(mugs, "silver", "mugs", 0, {2})
    next(iter(data(mugs))).unlink()
    with pytest.raises(StoreError, match=r"1 data files that silver\.mugs needs are not below .*nothing was deleted"):
        maintain.vacuum(mugs, "silver", "mugs", WEEK, {4})
    assert len(data(mugs)) == 5


def test_a_clean_up_of_the_log_leaves_what_the_kept_version_builds_on(mugs: Lake) -> None:
    before = log(mugs)
    # Without a checkpoint at or below the kept version all of the log is needed.
    assert maintain.clean_log(mugs, "silver", "mugs", 1).files == 0
    planned = maintain.clean_log(mugs, "silver", "mugs", 5, dry_run=True)
    assert log(mugs) == before
    done = maintain.clean_log(mugs, "silver", "mugs", 5)
    assert done == planned
    assert 0 < done.bytes_after < done.bytes_before
    assert {n for n in log(mugs) if n.endswith(".json")} == {f"{v:020d}.json" for v in (4, 5, 6)}
    assert mugs.log("silver", "mugs").checkpoints == {4, 6}
    assert [rows(mugs, v) for v in (4, 5, 6)] == [4, 5, 6]
    assert maintain.clean_log(mugs, "silver", "mugs", 5).files == 0
    assert mugs.restore("silver", "mugs", 5) == 7


def test_a_clean_up_that_is_cut_off_leaves_every_kept_version(mugs: Lake) -> None:
    deleted: Iterator[bool] = iter((False, False, True))

    class KilledError(Exception):
        """The process ended here."""

    def killed() -> None:
        if next(deleted):
            raise KilledError

    mugs.guard = killed
    with pytest.raises(KilledError):
        maintain.clean_log(mugs, "silver", "mugs", 5)
    assert f"{0:020d}.json" not in log(mugs)
    assert f"{3:020d}.json" in log(mugs)
    assert [rows(mugs, v) for v in (5, 6)] == [5, 6]


def test_compaction_bears_the_stamp_and_changes_no_row(spark: SparkSession, lake: Lake) -> None:
    lake.stamp("ledger", "maintain-1", "silver", date(2026, 1, 31))
    for number in range(3):
        lake.append(spark.range(number, number + 1).coalesce(1), "silver", "mugs", (), lake.head("silver", "mugs"))
    assert maintain.compact(lake, "silver", "mugs").version == 3
    assert len(list(folder(lake).glob("*.parquet"))) == 4
    assert lake.commits("silver", "mugs", 2)[0].run == "maintain-1"
    # Nothing to join: no version.
    assert maintain.compact(lake, "silver", "mugs").version == 3
    assert maintain.vacuum(lake, "silver", "mugs", 0, ()).files == 3
    assert sorted(r.id for r in lake.read("silver", "mugs", 3).collect()) == [0, 1, 2]

"""Maintenance of a table: it gets smaller, and what is published or pinned stays as it was."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from lakehouse import log as events
from lakehouse.errors import StoreError
from lakehouse.lake import maintain
from lakehouse.lake.delta import Lake
from lakehouse.lake.reading import LostError
from lakehouse.records import Cleaned
from tests.conftest import MinioForTests
from tests.lake.buckets import bucket_lake

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


def vacuumed(lake: Lake, hours: float, keep: Collection[int], spare: Collection[int] = (), **options: bool) -> Cleaned:
    recent = maintain.recent_versions(lake, "silver", "mugs", datetime.now(UTC) - timedelta(hours=hours))
    return maintain.vacuum(lake, "silver", "mugs", keep, recent, spare, **options)


def files_of(lake: Lake, version: int) -> set[Path]:
    names = maintain.files_of(lake, "silver", "mugs", version)
    return {f for f in data(lake) if f.name in names}


@contextmanager
def warned() -> Iterator[list[tuple[str, dict[str, object]]]]:
    """The warnings of a while."""
    found: list[tuple[str, dict[str, object]]] = []
    events.listen(lambda name, facts: found.append((name, facts)))
    yield found
    events.unlisten()


def test_a_vacuum_leaves_the_kept_versions_and_the_head(mugs: Lake) -> None:
    size = sum(f.stat().st_size for f in data(mugs))
    planned = vacuumed(mugs, 0, {2}, {4}, dry_run=True)
    assert len(data(mugs)) == 6
    done = vacuumed(mugs, 0, {2}, {4})
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
    assert vacuumed(mugs, WEEK, (), dry_run=True).files == 1
    committed(mugs, {0: 30, 1: 29, 2: 28, 3: 27, 4: 26, 5: 3, 6: 2})
    # Versions 1 and 3, as 4 was the head when the week began; version 0 has no file.
    assert vacuumed(mugs, WEEK, {2}).files == 3
    assert [rows(mugs, v) for v in (2, 4, 5, 6)] == [2, 4, 5, 6]
    assert not dead.exists()
    assert all(f.exists() for f in (young, *others))


def test_a_vacuum_that_cannot_know_what_a_kept_version_needs_deletes_nothing(mugs: Lake) -> None:
    maintain.clean_log(mugs, "silver", "mugs", 4)
    with pytest.raises(
        LostError, match=r"version 2 of silver\.mugs, .*pinned.* can no longer be loaded .*nothing was deleted"
    ):
        vacuumed(mugs, 0, {2})
    for version in (4, 6):
        (file,) = files_of(mugs, version)
        file.rename(file.with_suffix(".away"))
        with pytest.raises(
            LostError, match=rf"version {version} of silver\.mugs, .* lacks 1 data files .*nothing was deleted"
        ):
            vacuumed(mugs, WEEK, {4})
        file.with_suffix(".away").rename(file)
    assert len(data(mugs)) == 6


def test_files_that_only_superseded_versions_have_lost_are_counted_and_stop_nothing(mugs: Lake) -> None:
    """As in the nights after a rebuild: what it replaced lacks files, and is younger than the retention."""
    dead = folder(mugs) / "shelf=a b/of-a-dead-run.parquet"
    dead.write_bytes(b"PAR1")
    age({dead}, days=30)
    for version in (3, 5):
        for file in files_of(mugs, version):
            file.unlink()
    with warned() as found:
        assert vacuumed(mugs, WEEK, {6}, {3}).files == 1
    assert [(name, facts["files"]) for name, facts in found] == [("maintain.lost_files", 2)]
    assert not dead.exists()
    assert [rows(mugs, v) for v in (1, 2, 4, 6)] == [1, 2, 4, 6], "what the others need is still there"


def test_a_damaged_checkpoint_of_a_superseded_version_is_told_of_and_of_a_kept_one_refused(mugs: Lake) -> None:
    # What the head was when the time began builds on the checkpoint of version 2.
    committed(mugs, {0: 30, 1: 29, 2: 28, 3: 9, 4: 2, 5: 2, 6: 2})
    (checkpoint,) = (folder(mugs) / "_delta_log").glob(f"{2:020d}.checkpoint*.parquet")
    checkpoint.write_bytes(b"no checkpoint")
    (checkpoint.parent / f".{checkpoint.name}.crc").unlink(missing_ok=True)
    with warned() as found:
        vacuumed(mugs, WEEK, {6})
    assert [(name, facts["version"]) for name, facts in found] == [("maintain.lost_version", 3)]
    assert [rows(mugs, v) for v in (4, 5, 6)] == [4, 5, 6]
    with pytest.raises(LostError, match=r"silver\.mugs at .* cannot be read"):
        vacuumed(mugs, WEEK, {3})


def test_versions_of_a_time_are_known_by_one_look_at_each_commit_and_one_version(
    mugs: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, loaded = list[str](), list[int]()
    text, frame = mugs.files.read, mugs.read_by_delta
    monkeypatch.setattr(mugs.files, "read", lambda path: (read.append(path), text(path))[1])
    monkeypatch.setattr(mugs, "read_by_delta", lambda *which: (loaded.append(which[2]), frame(*which))[1])
    age(data(mugs), days=30)
    assert vacuumed(mugs, WEEK, {6}).files == 0, "every version is of today"
    assert len(read) == len(set(read)) == 7
    assert loaded == [6, 0], "the head, and the first one; what the others added their commits tell"


def test_an_end_of_a_line_within_a_value_ends_no_line_of_a_commit(spark: SparkSession, mugs: Lake) -> None:
    rows = spark.range(1).selectExpr("id", "'a\u2028b\u0085' as shelf")
    mugs.overwrite(rows, "silver", "mugs", ("shelf",), 6)
    assert vacuumed(mugs, WEEK, {7}).files == 0


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
    assert lake.compact("silver", "mugs", 2).version == 3
    assert len(list(folder(lake).glob("*.parquet"))) == 4
    assert lake.commits("silver", "mugs", 2)[0].run == "maintain-1"
    # Nothing to join: no version.
    assert lake.compact("silver", "mugs", 3).version == 3
    assert vacuumed(lake, 0, ()).files == 3
    assert sorted(r.id for r in lake.read("silver", "mugs", 3).collect()) == [0, 1, 2]


def test_in_a_bucket_it_is_the_same(spark: SparkSession, minio: MinioForTests) -> None:
    bucket = uuid.uuid4().hex
    minio.make_bucket(bucket)
    keys = {"access_key": minio.access_key, "secret_key": minio.secret_key}
    lake = bucket_lake(spark, minio.endpoint, lake=f"s3a://{bucket}/shop", **keys)
    of_spark = spark._jsc.hadoopConfiguration()
    for name in ("endpoint", "endpoint.region", "path.style.access", "access.key", "secret.key"):
        of_spark.set(f"fs.s3a.bucket.{bucket}.{name}", lake.files.conf.get(f"fs.s3a.{name}"))
    lake.stamp("ledger", "silver-1", "silver", date(2026, 1, 31))
    for version in range(3):
        head = lake.head("silver", "mugs")
        lake.overwrite(spark.range(version + 1).coalesce(1), "silver", "mugs", (), head)
    assert [c.run for c in lake.commits("silver", "mugs", -1)] == ["silver-1"] * 3
    assert vacuumed(lake, 0, {1}).files == 1
    assert maintain.clean_log(lake, "silver", "mugs", 1).files == 0
    assert lake.restore("silver", "mugs", 1) == 3
    assert rows(lake, 3) == 2
    with pytest.raises(StoreError, match=r"version 0 of silver\.mugs.* data files of it are gone"):
        lake.restore("silver", "mugs", 0)
    lake.unstamp()

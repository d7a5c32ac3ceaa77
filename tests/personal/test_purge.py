"""The past of a table, deleted: what the log and the folder held of rows that are gone is in no file any more."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from lakehouse.lake.delta import Lake
from lakehouse.lake.maintain import purge, superseded
from tests.personal.everywhere import found_in_folder

pytestmark = pytest.mark.unit
TEXTS = ("aaacanary", "zzzcanary")


def test_only_the_head_is_left_and_it_can_be_read_by_delta_and_without_it(spark: SparkSession, tmp_path: Path) -> None:
    lake = Lake(spark, (tmp_path / "lake").as_uri())
    rows = spark.createDataFrame([("aaaCanary",), ("mug",), ("zzzCanary",)], "name string").coalesce(1)
    head = lake.append(rows, "bronze", "mugs", (), None).version
    canaries = spark.createDataFrame([("aaaCanary",), ("zzzCanary",)], "name string")
    head = lake.change("bronze", "mugs", head, lambda t: t.alias("t").merge(canaries.alias("s"), "t.name = s.name")  # type: ignore[attr-defined]
                       .whenMatchedDelete().execute()).version  # fmt: skip
    folder = tmp_path / "lake" / "bronze" / "mugs"
    # Of drivers that were killed: a data file that nobody committed, and half an entry of the log.
    data = next(f for f in folder.glob("*.parquet"))
    (folder / "part-of-a-dead-run.parquet").write_bytes(data.read_bytes())
    (folder / "_delta_log" / ".00000000000000000002.json.dead.tmp").write_text("aaaCanary")
    assert {t.rsplit(" ", 1)[-1] for t in found_in_folder(folder, TEXTS)} == set(TEXTS), (
        "the search finds what is there"
    )

    before = len(list(folder.glob("*.parquet")))
    version = superseded(lake, "bronze", "mugs", head)
    told = purge(lake, "bronze", "mugs", version, dry_run=True)
    assert found_in_folder(folder, TEXTS)
    done = purge(lake, "bronze", "mugs", version)

    assert done == told
    used = {name.rsplit("/", 1)[-1] for name in lake.read_by_delta("bronze", "mugs", version).inputFiles()}
    assert {f.name for f in folder.glob("*.parquet")} == used
    assert (done.files, done.versions) == (before - len(used), 2)
    assert found_in_folder(folder, TEXTS) == set()
    assert [r.name for r in lake.read("bronze", "mugs", version).collect()] == ["mug"]
    assert [r.name for r in lake.read_by_delta("bronze", "mugs", version).collect()] == ["mug"]
    assert not lake.log("bronze", "mugs").loadable(head)
    again = superseded(lake, "bronze", "mugs", version)
    assert purge(lake, "bronze", "mugs", again).files == 0
    assert lake.append(rows.where("name = 'mug'"), "bronze", "mugs", (), again).version == again + 1

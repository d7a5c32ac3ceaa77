"""Tombstones: what bronze keeps of keys that were gone from the source, and which images they void.

A tombstone is a row of bronze with `_deleted` true: its key as an identifier, the columns of lineage, and no other value. It
voids every image of its key from its own run and from earlier ones, in the ledger's order of runs; later images count as new.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.records import Extracted

DELETED = "_deleted"
# Of a row of bronze: the place of its run in the order of runs. What silver holds is older than all that is pending.
ORDER = "_order"
OLDER = -1
# The first tombstone at or behind an image, with the end of its window: null for an image that counts.
VOID = "_void"
END = "_window_end"
VOID_TYPE = f"struct<{ORDER}:int,{END}:timestamp>"


def is_tombstone(bronze: DataFrame) -> Column:
    """Whether a row of bronze is one; a table of an earlier release has none, and no column for it."""
    return F.coalesce(F.col(DELETED), F.lit(False)) if DELETED in bronze.columns else F.lit(False)


def images(bronze: DataFrame) -> DataFrame:
    """The rows of bronze that the source has said."""
    return bronze.where(~is_tombstone(bronze))


def in_order(spark: SparkSession, runs: Sequence[Extracted]) -> DataFrame:
    """Runs of bronze, oldest first, as a frame: `_run_id`, its place in their order, the end of its window."""
    rows = [(e.run_id, place, int(e.window_end.timestamp() * 1_000_000)) for place, e in enumerate(runs)]
    numbered = spark.createDataFrame(rows, f"_run_id string, {ORDER} int, micros long")
    return numbered.select("_run_id", ORDER, F.timestamp_micros("micros").alias(END))


def by_key(bronze: DataFrame, runs: DataFrame, key: Sequence[str]) -> DataFrame:
    """The keys with a tombstone of one of the runs: the key, and `_tombstones` in the order of runs."""
    dead = bronze.where(is_tombstone(bronze)).join(F.broadcast(runs), "_run_id", how="inner")
    return dead.groupBy(*key).agg(F.sort_array(F.collect_list(F.struct(ORDER, END))).alias("_tombstones"))


def voided(frame: DataFrame, tombstones: DataFrame, key: Sequence[str]) -> DataFrame:
    """Adds `_void` to rows that have their key as an identifier, and the order of their run."""
    behind = F.filter("_tombstones", lambda tombstone: tombstone[ORDER] >= F.col(ORDER))
    found = frame.join(tombstones, list(key), how="left")
    return found.withColumn(VOID, F.get(behind, F.lit(0)).cast(VOID_TYPE)).drop("_tombstones")

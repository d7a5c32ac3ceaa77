"""Rows of a table of silver that changed between two of its versions, as they were and as they are.

They lie in the data files that only one of the versions has. A file that was written again holds most of its rows
unchanged: a row that is in files of both sides, with the same values, did not change. So a merge, a rewrite of partitions,
a restore and a compaction all tell the same, and what a commit says of itself is not asked.
"""

from __future__ import annotations

from functools import reduce
from typing import NamedTuple

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lakehouse.contracts import Contract
from lakehouse.frame.checkpoint import checkpoint
from lakehouse.frame.held import FEW_KEYS
from lakehouse.gate.measures import Measures, observed
from lakehouse.lake.reading import LostError, Reading
from lakehouse.records import PARTITION

# When and by which run a row was written is no part of what it says.
RUN, HASH = "_run_id", "_hash"
OF_A_RUN = ("_transformed_at", RUN, *PARTITION)


class Changed(NamedTuple):
    """Images of rows that changed, old ones and new ones, each computed already; and how many they are."""

    images: DataFrame
    rows: int


def changed(lake: Reading, contract: Contract, before: int, now: int) -> Changed | None:
    """What changed of a table of silver from a version to another; None where its files do not tell.

    They do not where one of the versions is not kept any more, and where the two have not the same columns.
    """
    found = lake.changed_files("silver", contract.table, before, now)
    if found is None:
        return None
    versions = zip((before, now), found, strict=True)
    try:
        sides = [lake.read_files("silver", contract.table, v, files) for v, files in versions if files.names]
        sides = sides or [lake.read("silver", contract.table, now).limit(0)]
    except LostError:
        return None
    if set(contract.names) - set(sides[0].columns):
        return None
    if len(sides) == 1:
        return kept(_said(sides[0]), contract)
    return kept(images(sides[0], sides[1], contract), contract)


def images(before: DataFrame, now: DataFrame, contract: Contract) -> DataFrame:
    """Rows that only one of two frames has; each frame holds a key once, so what is there twice is in both.

    Rows meet by key and by what tells one image of it from another, so that only these are shuffled, and rows are taken from
    the frames by what is left. In silver that is the run: it alone writes, and a key once. A row that it wrote as it was is no change.
    """
    key = list(contract.key)
    if RUN in before.columns:
        gone, came = _alone(before, now, [*key, RUN], contract)
        return _once(gone, came, key)
    old, new = (side.withColumn(HASH, _hash(before.columns)) for side in (before, now.select(*before.columns)))
    return reduce(DataFrame.unionByName, (side.drop(HASH) for side in _alone(old, new, [*key, HASH], contract)))


def _alone(before: DataFrame, now: DataFrame, by: list[str], contract: Contract) -> tuple[DataFrame, DataFrame]:
    """The rows of two frames that have no equal, by some columns, in the other one."""
    both = reduce(DataFrame.unionByName, (side.select(*by) for side in (before, now)))
    once = both.groupBy(*by).agg(F.count(F.lit(1)).alias("_in")).where("_in = 1").drop("_in")
    keys, rows = kept(once, contract)
    once = F.broadcast(keys) if rows <= FEW_KEYS else keys
    return before.join(once, by, how="left_semi"), now.join(once, by, how="left_semi")


def _once(before: DataFrame, now: DataFrame, key: list[str]) -> DataFrame:
    """What two frames of a run's rows say, without what both say."""
    said = _said(before).unionByName(_said(now).select(*_said(before).columns))
    same = Window.partitionBy(*key, HASH)
    said = said.withColumn(HASH, _hash(said.columns)).withColumn("_in", F.count(F.lit(1)).over(same))
    return said.where("_in = 1").drop(HASH, "_in")


def _said(side: DataFrame) -> DataFrame:
    return side.select(*(c for c in side.columns if c not in OF_A_RUN))


def _hash(columns: list[str]) -> Column:
    # A hash passes over nulls: without their places `a, null` would be `null, a`.
    return F.xxhash64(*columns, *(F.col(c).isNull() for c in columns))


def kept(rows: DataFrame, contract: Contract) -> Changed:
    """Rows, computed once, and how many they are."""
    nothing = Measures(contract, (), (), (), {}, {})
    held, counted = observed(rows, nothing, {"rows": F.count(F.lit(1))}, lambda r: checkpoint(r, eager=True))
    return Changed(held, counted["rows"])

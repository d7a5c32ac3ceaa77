"""Silver's candidates: the images that a run judges, held against the rows that silver has of their keys and references."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.business_date import BusinessDate
from lakehouse.conform import conformed
from lakehouse.contracts import Contract
from lakehouse.frame.checkpoint import checkpoint
from lakehouse.frame.published import frame
from lakehouse.frame.transforms import transform_of
from lakehouse.judging.rules import Rule
from lakehouse.judging.verdicts import TIE_BREAKERS, identified, judged
from lakehouse.layers.silver_gate import Silver
from lakehouse.records import PARTITION, Extracted, Totals

# So many keys fit into a broadcast with room to spare; a first load or a rebuild has more, and needs the shuffle.
FEW_CANDIDATES = 200_000
# Up to here Spark broadcasts a table's keys by itself (10 MB, some hundred bytes a row).
MANY_HELD = 100_000


def judged_candidates(
    silver: Silver, contract: Contract, rules: list[Rule], pending: list[Extracted], open_before: int, *, is_new: bool
) -> DataFrame:
    """The run's candidates, transformed and conformed, each with its reasons and its verdict."""
    lakehouse, bronze = silver.lakehouse, silver.lakehouse.contracts["bronze"][contract.table]
    images = _images(silver, bronze, pending, open_before)
    source = F.struct(*bronze.names).alias("_source")
    transform = transform_of("silver", contract.table)
    standard = conformed(transform(identified(images, bronze).select("*", source)), contract)
    few = sum(e.rows for e in pending) + open_before <= FEW_CANDIDATES
    many = {t for t in (contract.table, *contract.parents) if few and silver.totals.get(t, Totals()).held > MANY_HELD}
    if many:
        # Read once for themselves, and once for each table in which their keys are looked up.
        standard = checkpoint(standard, eager=False)
    for column in contract.columns:
        if column.references:
            parent = lakehouse.contracts["silver"][column.references.table]
            if parent.table not in silver.heads:
                standard = standard.withColumn(f"_held_{column.name}", F.lit(None).cast("boolean"))
                continue
            held = lakehouse.lake.read("silver", parent.table, silver.heads[parent.table]).select(
                F.col(parent.key[0]).alias(column.name), F.lit(True).alias(f"_held_{column.name}")
            )
            if parent.table in many:
                held = _met(held, standard, column.name)
            standard = standard.join(held, column.name, how="left")
    if is_new:
        return judged(standard, rules, contract, None)
    current = _current(silver, contract)
    return judged(
        standard, rules, contract, _met(current, standard, *contract.key) if contract.table in many else current
    )


def _met(held: DataFrame, candidates: DataFrame, *key: str) -> DataFrame:
    """Of what is held, the rows whose key a candidate has: history is scanned, and never shuffled."""
    return F.broadcast(held.join(F.broadcast(candidates.select(*key)), list(key), how="left_semi"))


def _images(silver: Silver, bronze: Contract, pending: list[Extracted], open_before: int) -> DataFrame:
    """Bronze rows of the pending runs, and the rows open in quarantine."""
    lakehouse, table = silver.lakehouse, bronze.table
    columns = [*bronze.names, "_not_representable"]
    rows = frame(lakehouse, "bronze", table, silver.bronze[table])
    runs = [e.run_id for e in pending]
    days = sorted({e.business_date for e in pending})
    # Rows of runs that never published lie in a version unseen; they are nobody's.
    if silver.rebuilds:
        known = lakehouse.spark.createDataFrame([(r,) for r in runs], "_run_id string")
        rows = rows.join(F.broadcast(known), "_run_id", how="left_semi")
    else:
        rows = rows.where(F.col("_run_id").isin(runs))
        rows = rows.where(F.concat_ws("-", *PARTITION).isin([d.isoformat() for d in days]))
        places = [BusinessDate(d, silver.day.zone).partition for d in days]
        for part in PARTITION:
            rows = rows.where(F.col(part).isin(sorted({place[part] for place in places})))
    batch = rows.select(*columns, F.lit(True).alias("_batch"), F.lit(None).cast("timestamp").alias("_first_seen_at"))
    if not open_before:
        return batch
    waiting = lakehouse.lake.read("quarantine", table, silver.quarantine[table].version)
    return batch.unionByName(
        waiting.select(*(c for c in columns if c in waiting.columns), F.lit(False).alias("_batch"), "_first_seen_at"),
        allowMissingColumns=True,
    )


def _current(silver: Silver, contract: Contract) -> DataFrame:
    """Silver's row of each key, as far as a verdict needs it, and where it lies."""
    held = silver.lakehouse.lake.read("silver", contract.table, silver.heads[contract.table])
    levels = contract.partitioning.levels if contract.partitioning else ()
    return held.select(
        *contract.key,
        F.col("updated_at").alias("_current_updated_at"),
        *(F.col(c).alias(f"_current{c}") for c in TIE_BREAKERS),
        *(F.col(p).alias(f"_current_{p}") for p in levels),
    )

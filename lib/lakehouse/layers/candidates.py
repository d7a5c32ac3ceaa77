"""Silver's candidates: the images that a run judges, held against the rows that silver has of their keys and references."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.business_date import BusinessDate
from lakehouse.columns import clean_identifier
from lakehouse.conform import conformed
from lakehouse.contracts import Contract
from lakehouse.frame.checkpoint import checkpoint
from lakehouse.frame.held import MISSED_AT
from lakehouse.frame.published import frame
from lakehouse.frame.transforms import transform_of
from lakehouse.judging.rules import Rule
from lakehouse.judging.tombstones import END, OLDER, ORDER, VOID, VOID_TYPE, by_key, images, in_order, voided
from lakehouse.judging.verdicts import CURRENT_MISSED, RECALLED, SOURCE, TIE_BREAKERS, identified, judged
from lakehouse.layers.silver_gate import Silver
from lakehouse.records import PARTITION, Extracted, Totals

# So many keys fit into a broadcast with room to spare; a first load or a rebuild has more, and needs the shuffle.
FEW_CANDIDATES = 200_000
# Up to here Spark broadcasts a table's keys by itself (10 MB, some hundred bytes a row).
MANY_HELD = 100_000


def judged_candidates(
    silver: Silver, contract: Contract, rules: list[Rule], pending: list[Extracted], open_before: int, *, is_new: bool
) -> DataFrame:
    """The run's candidates, transformed and conformed, each with its reasons and its verdict.

    Where keys of the table are gone, or rows that its own refer to, silver's rows of them are candidates too.
    """
    lakehouse, bronze = silver.lakehouse, silver.lakehouse.contracts["bronze"][contract.table]
    keeps = bronze.deletes == "keep"
    buries = bronze.deletes != "none" and any(e.tombstones for e in pending)
    left = {} if is_new else {
        c.name: silver.left[c.references.table] for c in contract.columns
        if c.references and c.references.reason and c.references.table in silver.left
    }  # fmt: skip
    standard = _standard(silver, contract, _images(silver, bronze, pending, open_before, ordered=buries))
    number = sum(e.rows + e.tombstones for e in pending) + open_before
    if buries or left:
        dead = _dead(silver, contract, pending) if buries else None
        orphans, again = _orphans(silver, contract, left, dead)
        standard = _with_recalled(silver, contract, standard, pending, orphans, dead, is_new=is_new)
        number += again
    few = number <= FEW_CANDIDATES
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
        return judged(standard, rules, contract, None, keeps_missed=keeps)
    current = _current(silver, contract)
    current = _met(current, standard, *contract.key) if contract.table in many else current
    return judged(standard, rules, contract, current, keeps_missed=keeps)


def _standard(silver: Silver, contract: Contract, images: DataFrame) -> DataFrame:
    """Images of bronze in silver's columns, with each as the source wrote it."""
    bronze = silver.lakehouse.contracts["bronze"][contract.table]
    transform = transform_of("silver", contract.table)
    source = F.struct(*bronze.names).alias(SOURCE)
    return conformed(transform(identified(images, bronze).select("*", source)), contract)


def _met(held: DataFrame, candidates: DataFrame, *key: str) -> DataFrame:
    """Of what is held, the rows whose key a candidate has: history is scanned, and never shuffled."""
    return F.broadcast(held.join(F.broadcast(candidates.select(*key)), list(key), how="left_semi"))


def _dead(silver: Silver, contract: Contract, pending: list[Extracted]) -> DataFrame:
    """Keys with a tombstone of a pending run, as `by_key` gives them."""
    published, spark = silver.bronze[contract.table], silver.lakehouse.spark
    places = () if silver.rebuilds else _places(silver, pending)
    bronze = frame(silver.lakehouse, "bronze", contract.table, published, places)
    dead = checkpoint(by_key(bronze, in_order(spark, pending), contract.key), eager=False)
    return F.broadcast(dead) if sum(e.tombstones for e in pending) <= FEW_CANDIDATES else dead


def _orphans(
    silver: Silver, contract: Contract, left: Mapping[str, DataFrame], dead: DataFrame | None
) -> tuple[DataFrame | None, int]:
    """Keys with a row in silver, or an image that lost to it by a tie, that names a row that has left silver; and how many.

    None for none. Without those with a tombstone of this run: it voids what was judged of them before.
    """
    if not left:
        return None, 0
    held = silver.lakehouse.lake.read("silver", contract.table, silver.heads[contract.table])
    touched = [
        held.join(gone.toDF(column), column, how="left_semi").select(*contract.key) for column, gone in left.items()
    ]
    if silver.totals.get(contract.table, Totals()).has_ties:
        touched.append(_lost_by_a_tie(silver, contract, left, held))
    keys = reduce(DataFrame.unionByName, touched).distinct()
    if dead is not None:
        keys = keys.join(dead, list(contract.key), how="left_anti")
    keys = checkpoint(keys, eager=False)
    number = keys.count()
    if not number:
        return None, 0
    return F.broadcast(keys) if number <= FEW_CANDIDATES else keys, number


def _lost_by_a_tie(silver: Silver, contract: Contract, left: Mapping[str, DataFrame], held: DataFrame) -> DataFrame:
    """Keys with an image in bronze that is as new as silver's row, and names a row that has left silver.

    It was valid and lost by the order of ties. Now it is open, as an invalid image is until a newer one overtakes it.
    """
    bronze = frame(silver.lakehouse, "bronze", contract.table, silver.bronze[contract.table])
    names = (*contract.key, *left)
    found = images(bronze).select(
        *(clean_identifier(name).alias(name) for name in names), F.col("updated_at").alias("_at")
    )
    naming = (found.join(gone.toDF(column), column, how="left_semi") for column, gone in left.items())
    as_new = F.coalesce(F.col("updated_at") == F.col("_at"), F.lit(True))
    touched = reduce(DataFrame.unionByName, (f.select(*contract.key, "_at") for f in naming))
    return (
        held.select(*contract.key, "updated_at")
        .join(touched, list(contract.key), how="inner")
        .where(as_new)
        .select(*contract.key)
    )


def _with_recalled(
    silver: Silver, contract: Contract, standard: DataFrame, pending: list[Extracted], orphans: DataFrame | None,
    dead: DataFrame | None, *, is_new: bool,
) -> DataFrame:  # fmt: skip
    """Adds what was judged before and is judged again, marked `_recalled`, and to each image by which tombstone it is void."""
    nothing = {RECALLED: F.lit(False), MISSED_AT: F.lit(None).cast("timestamp")}
    standard = standard.withColumns(nothing if dead is not None else {**nothing, ORDER: F.lit(OLDER)})
    if orphans is not None:
        again = _judged_once_more(silver, contract, standard, pending, orphans).withColumns(
            {**nothing, RECALLED: F.lit(True)}
        )
        standard = standard.unionByName(again, allowMissingColumns=True)
    if dead is None:
        return standard.withColumn(VOID, F.lit(None).cast(VOID_TYPE)).drop(MISSED_AT)
    if not is_new:
        standard = standard.unionByName(_rows_of_silver(silver, contract, dead), allowMissingColumns=True)
    # A row that was missed before stays as it was missed then.
    before = F.struct(F.lit(OLDER).alias(ORDER), F.col(MISSED_AT).alias(END)).cast(VOID_TYPE)
    found = voided(standard, dead, contract.key)
    return found.withColumn(VOID, F.when(F.col(MISSED_AT).isNotNull(), before).otherwise(F.col(VOID))).drop(MISSED_AT)


def _rows_of_silver(silver: Silver, contract: Contract, dead: DataFrame) -> DataFrame:
    """Silver's rows of keys that are gone, as candidates: valid, older than all that is pending, and not to be written back."""
    held = silver.lakehouse.lake.read("silver", contract.table, silver.heads[contract.table])
    missed = F.col(MISSED_AT) if MISSED_AT in held.columns else F.lit(None).cast("timestamp")
    return held.join(dead.select(*contract.key), list(contract.key), how="left_semi").select(
        *contract.names,
        *TIE_BREAKERS,
        missed.alias(MISSED_AT),
        F.array().cast("array<string>").alias("_not_representable"),
        F.lit(False).alias("_batch"),
        F.lit(OLDER).alias(ORDER),
        F.lit(True).alias(RECALLED),
    )


def _judged_once_more(
    silver: Silver, contract: Contract, standard: DataFrame, pending: list[Extracted], orphans: DataFrame
) -> DataFrame:
    """Every image of some keys that was judged before and still counts.

    All of a key, as an image that had been overtaken by one that is now held back is open again. What is open already is a
    candidate by itself.
    """
    lakehouse, table, key = silver.lakehouse, contract.table, contract.key
    every = lakehouse.ledger.pending([table], whole=True)[table]
    new = {e.run_id for e in pending}
    # What bronze has published since this run was planned is for the next one to judge.
    later = {e.run_id for e in lakehouse.ledger.pending([table])[table]} - new
    every = [e for e in every if e.run_id not in later]
    bronze = frame(lakehouse, "bronze", table, silver.bronze[table])
    runs = in_order(lakehouse.spark, every)
    identifiers = {k: f"_identifier_{k}" for k in key}
    old = images(bronze).where(~F.col("_run_id").isin(sorted(new)))
    old = old.withColumns({name: clean_identifier(k) for k, name in identifiers.items()})
    old = old.join(orphans.withColumnsRenamed(identifiers), list(identifiers.values()), how="left_semi")
    old = old.join(F.broadcast(runs), "_run_id", how="inner")
    names = lakehouse.contracts["bronze"][table].names
    mine = old.select(*names, "_not_representable", F.lit(False).alias("_batch"),
                      F.lit(None).cast("timestamp").alias("_first_seen_at"), ORDER)  # fmt: skip
    found = _standard(silver, contract, mine)
    if lakehouse.contracts["bronze"][table].deletes != "none":
        found = voided(found, by_key(bronze, runs, key), key).where(F.col(VOID).isNull()).drop(VOID)
    # A value that Spark cannot hold and a null make the same text of a row, of which only one is open.
    same = [*(F.col(c) for c in TIE_BREAKERS), F.concat_ws(",", "_not_representable").alias("_unfit")]
    is_open = standard.where(~F.col("_batch")).select(*same).distinct()
    found = found.select("*", same[-1]).join(is_open, [*TIE_BREAKERS, "_unfit"], how="left_anti")
    return found.drop("_unfit").withColumn(ORDER, F.lit(OLDER))


def _places(silver: Silver, pending: list[Extracted]) -> list[dict[str, str]]:
    """The partitions of bronze that hold what pending runs brought."""
    return [BusinessDate(d, silver.day.zone).partition for d in sorted({e.business_date for e in pending})]


def _images(
    silver: Silver, bronze: Contract, pending: list[Extracted], open_before: int, *, ordered: bool
) -> DataFrame:
    """Images of the pending runs, and those open in quarantine; `ordered`: with the place of their run."""
    lakehouse, table = silver.lakehouse, bronze.table
    columns = [*bronze.names, "_not_representable"]
    runs, places = [e.run_id for e in pending], _places(silver, pending)
    rows = images(frame(lakehouse, "bronze", table, silver.bronze[table], () if silver.rebuilds else places))
    # Rows of runs that never published lie in a version unseen; they are nobody's.
    if silver.rebuilds or ordered:
        rows = rows.join(F.broadcast(in_order(lakehouse.spark, pending)), "_run_id", how="inner")
    if not silver.rebuilds:
        rows = rows.where(F.col("_run_id").isin(runs))
        rows = rows.where(F.concat_ws("-", *PARTITION).isin(["-".join(p[part] for part in PARTITION) for p in places]))
        for part in PARTITION:
            rows = rows.where(F.col(part).isin(sorted({place[part] for place in places})))
    place = [ORDER] if ordered else []
    batch = rows.select(
        *columns, *place, F.lit(True).alias("_batch"), F.lit(None).cast("timestamp").alias("_first_seen_at")
    )
    if not open_before:
        return batch
    waiting = lakehouse.lake.read("quarantine", table, silver.quarantine[table].version)
    return batch.unionByName(
        waiting.select(*(c for c in columns if c in waiting.columns), *(F.lit(OLDER).alias(ORDER) for _ in place),
                       F.lit(False).alias("_batch"), "_first_seen_at"), allowMissingColumns=True,
    )  # fmt: skip


def _current(silver: Silver, contract: Contract) -> DataFrame:
    """Silver's row of each key, as far as a verdict needs it, and where it lies."""
    held = silver.lakehouse.lake.read("silver", contract.table, silver.heads[contract.table])
    levels = contract.partitioning.levels if contract.partitioning else ()
    missed = [F.col(MISSED_AT).isNotNull().alias(CURRENT_MISSED)] if MISSED_AT in held.columns else []
    return held.select(
        *contract.key,
        *missed,
        F.col("updated_at").alias("_current_updated_at"),
        *(F.col(c).alias(f"_current{c}") for c in TIE_BREAKERS),
        *(F.col(p).alias(f"_current_{p}") for p in levels),
    )

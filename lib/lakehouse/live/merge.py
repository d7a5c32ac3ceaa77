"""One batch of changes of one table into its live table.

The order of changes is that of Kafka's offsets in the one partition of a topic: an event's LSN is that of its row's
change, while transactions come in the order of their commits. Only a row of a snapshot is held against the LSN, as it
says nothing of what was streamed from the same place of the log, or a later one.

A row that is gone stays, marked `_deleted` and without its values, until the night has seen it go. A TRUNCATE leaves a
row without a key, as it takes rows along that are not here.
"""

from __future__ import annotations

from delta.tables import DeltaTable
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from lakehouse.contracts import Contract
from lakehouse.live import TRUNCATED
from lakehouse.live.events import CREATED, DELETED, OF_AN_EVENT, SNAPSHOT_ROW, UPDATED, names_where

# Tables are read by deltalake too, which knows no deletion vectors; a small table is cheaper rewritten anyway.
# What was deleted is kept for a day, which no reader of these tables outlasts.
PROPERTIES = {
    "delta.enableDeletionVectors": "false",
    "delta.enableExpiredLogCleanup": "true",
    "delta.logRetentionDuration": "interval 1 day",
    "delta.deletedFileRetentionDuration": "interval 1 day",
}
TECHNICAL = "_deleted boolean, _unknown array<string>, _op string, _lsn bigint, _tx bigint, _committed_at timestamp, _offset bigint"


def schema(contract: Contract) -> StructType:
    """The columns of a live table."""
    columns = ", ".join(f"{c.name} {c.spark_type}" for c in contract.columns)
    found = StructType.fromDDL(f"{columns}, {TECHNICAL}")
    assert isinstance(found, StructType), "columns of a table"  # noqa: S101
    return found


def compact(events: DataFrame, contract: Contract, truncated: int | None = None) -> DataFrame:
    """One row per key: its last event, and of each column the last value that the batch says.

    `truncated`: the offset of the batch's last TRUNCATE; what came before it is gone with it.
    Columns: those of the live table but `_deleted`, and `_kept`, the columns of which the batch says nothing.
    """
    if truncated is not None:
        events = events.where(F.col("_offset") >= truncated)
    changed = F.when(F.col("_op").isin(CREATED, UPDATED, DELETED), F.col("_lsn"))
    newest = F.max(changed).over(Window.partitionBy(*contract.key))
    counted = events.withColumn("newest", newest).where(
        (F.col("_op") != SNAPSHOT_ROW) | F.col("newest").isNull() | (F.col("newest") < F.col("_lsn"))
    )
    values = [c for c in contract.names if c not in contract.key]

    def said(name: str) -> Column:
        says = F.array_contains("_known", name)
        value = F.struct(F.col(name).alias("value"), F.array_contains("_unknown", name).alias("unknown"))
        return F.max_by(value, F.when(says, F.col("_offset"))).alias(f"of_{name}")

    latest = F.max_by(F.struct(*OF_AN_EVENT), F.col("_offset")).alias("latest")
    grouped = counted.groupBy(*contract.key).agg(latest, *(said(name) for name in values))
    is_gone = F.col("latest._op").isin(DELETED, TRUNCATED)
    return grouped.select(
        *(F.col(n) if n in contract.key else F.when(~is_gone, F.col(f"of_{n}.value")).alias(n) for n in contract.names),
        names_where((n, ~is_gone & F.col(f"of_{n}").isNull()) for n in values).alias("_kept"),
        names_where((n, ~is_gone & F.coalesce(F.col(f"of_{n}.unknown"), F.lit(False))) for n in values).alias(
            "_unknown"
        ),
        *(F.col(f"latest.{name}").alias(name) for name in OF_AN_EVENT),
    )


def merge(table: DeltaTable, changes: DataFrame, contract: Contract, truncated: int | None = None) -> None:
    """Brings `compact`ed changes into a live table, as one commit; changes that it has seen already leave it as it is."""
    # A TRUNCATE's row has no key, and is found again by that.
    same = " and ".join(f"t.{k} <=> s.{k}" for k in contract.key)
    newer = f"s._offset > t._offset and (s._op <> '{SNAPSHOT_ROW}' or t._op = '{SNAPSHOT_ROW}' or s._lsn > t._lsn)"
    values = [c for c in contract.names if c not in contract.key]
    gone = f"s._op in ('{DELETED}', '{TRUNCATED}')"
    event = {**{name: f"s.{name}" for name in OF_AN_EVENT}, "_deleted": gone}
    kept = {n: f"case when array_contains(s._kept, '{n}') then t.{n} else s.{n} end" for n in values}
    # A column that was not known, and of which nothing new is said, still is not.
    still = "array_union(s._unknown, array_intersect(t._unknown, s._kept))"
    keys = {k: f"s.{k}" for k in contract.key}
    brought = {**{n: f"s.{n}" for n in values}, "_unknown": "array_union(s._unknown, s._kept)"}
    work = (
        table.alias("t")
        .merge(changes.alias("s"), same)
        .whenMatchedUpdate(newer, {**event, **kept, "_unknown": still})
        .whenNotMatchedInsert(values={**keys, **event, **brought})
    )
    if truncated is not None:
        nothing = {n: f"cast(null as {contract.column(n).spark_type})" for n in values}
        emptied: dict[str, str | Column] = {
            **nothing,
            "_deleted": "true",
            "_op": f"'{TRUNCATED}'",
            "_offset": f"{truncated}L",
        }
        work = work.whenNotMatchedBySourceUpdate(f"t._offset < {truncated}L", emptied)
    work.execute()

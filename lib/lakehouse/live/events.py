"""What Debezium says of a change of the source, as a row of the table's contract. Pure: frames in, frames out.

An event is JSON without a schema, by `decimal.handling.mode=string` and `time.precision.mode=adaptive`: numerics and
instants are texts, dates are days since 1970. What an event does not say, or says in a value that the contract's type
cannot hold, is not null in the source: such columns are named in `_known` and `_unknown`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.contracts import Contract
from lakehouse.contracts.types import spark_type
from lakehouse.errors import DriftError
from lakehouse.live import TRUNCATED

# What stands for a large value that the change did not touch: the source's log does not hold it.
UNAVAILABLE = "__debezium_unavailable_value"
ENVELOPE = (
    "op string, before map<string,string>, after map<string,string>, "
    "source struct<lsn:bigint,txId:bigint,ts_ms:bigint,snapshot:string>"
)
SNAPSHOT_ROW, CREATED, UPDATED, DELETED = "r", "c", "u", "d"
OPERATIONS = (SNAPSHOT_ROW, CREATED, UPDATED, DELETED, TRUNCATED)
# Days from the year 1 to the year 9999; Debezium's infinity lies far outside.
FIRST_DAY, LAST_DAY = -719_162, 2_932_896
OF_AN_EVENT = ("_op", "_lsn", "_tx", "_committed_at", "_offset")


@dataclass(frozen=True)
class Seen:
    """What a batch of one table holds, in counts and names. `truncated`: the offset of its last TRUNCATE."""

    events: int
    malformed: int
    truncated: int | None
    shapes: tuple[frozenset[str], ...]


def parse(messages: DataFrame, contract: Contract) -> DataFrame:
    """One row per event, from `value` (JSON, null for a tombstone, which says nothing) and `offset`.

    Columns: those of the contract; `_known`, the columns that the event says; `_unknown`, those of them whose value the
    contract's type cannot hold; `_fields`, the source's columns as the event has them; and OF_AN_EVENT.
    """
    event = messages.where(F.col("value").isNotNull()).select(
        F.from_json("value", ENVELOPE).alias("e"), F.col("offset").cast("bigint").alias("_offset")
    )
    image = F.when(F.col("e.op") == DELETED, F.col("e.before")).otherwise(F.col("e.after"))
    found = event.select(
        F.col("e.op").alias("_op"),
        F.col("e.source.lsn").alias("_lsn"),
        F.col("e.source.txId").alias("_tx"),
        F.timestamp_millis(F.col("e.source.ts_ms")).alias("_committed_at"),
        "_offset",
        image.alias("image"),
        F.when(F.col("e.op").isin(SNAPSHOT_ROW, CREATED, UPDATED), F.map_keys("e.after")).alias("_fields"),
    )
    # A delete says the key; its other columns are null, or made up where null is not allowed.
    says = [c for c in contract.columns if c.primary_key]
    typed = {c.name: _typed(_text(c.name), c.type) for c in contract.columns}
    is_delete = F.col("_op") == DELETED
    return found.select(
        *(value.alias(name) for name, value in typed.items()),
        F.when(is_delete, F.array(*(F.lit(c.name) for c in says)))
        .otherwise(names_where((c.name, _is_said(c.name)) for c in contract.columns))
        .alias("_known"),
        F.when(is_delete, F.array().cast("array<string>"))
        .otherwise(names_where((n, _is_said(n) & _text(n).isNotNull() & v.isNull()) for n, v in typed.items()))
        .alias("_unknown"),
        "_fields",
        *OF_AN_EVENT,
    )


def look(events: DataFrame) -> Seen:
    """What a batch holds: one query, whose answer grows only with the number of shapes that the table had meanwhile."""
    row = events.agg(
        F.count("*").alias("events"),
        F.count_if(F.col("_op").isNull() | ~F.col("_op").isin(*OPERATIONS)).alias("malformed"),
        F.max(F.when(F.col("_op") == TRUNCATED, F.col("_offset"))).alias("truncated"),
        F.collect_set(F.array_sort("_fields")).alias("shapes"),
    ).first()
    assert row is not None, "an aggregate has one row"  # noqa: S101
    return Seen(row["events"], row["malformed"], row["truncated"], tuple(frozenset(s) for s in row["shapes"]))


def check(seen: Seen, contract: Contract) -> set[str]:
    """Columns of the source that the contract does not know.

    Raises DriftError where a column of the contract is missing from events, or where a message is no event: nulls in
    its place would be taken for data.
    """
    if seen.malformed:
        raise DriftError(f"{seen.malformed} messages of {contract.table} are no events of Debezium: see that nobody else "
                         f"writes to its topic, then begin again with `lakehouse live reset --all`")  # fmt: skip
    needed = set(contract.names)
    missing = sorted(set().union(*(needed - shape for shape in seen.shapes)))
    if missing:
        raise DriftError(f"the source's {contract.table} has no {', '.join(missing)} any more: the live stream has stopped "
                         f"before this change; change conf/contracts/bronze/{contract.table}.yml or the source, then begin "
                         f"again with `lakehouse live reset --all`")  # fmt: skip
    return set().union(*(shape - needed for shape in seen.shapes))


def names_where(conditions: Iterable[tuple[str, Column]]) -> Column:
    """The names whose condition holds, as an array."""
    return F.array_compact(F.array(*(F.when(holds, F.lit(name)) for name, holds in conditions)))


def _text(name: str) -> Column:
    return F.col("image").getItem(name)


def _is_said(name: str) -> Column:
    return ~_text(name).eqNullSafe(UNAVAILABLE)


def _typed(text: Column, kind: str) -> Column:
    """A value of an event by the contract's type; null for one that the type cannot hold."""
    if kind == "text":
        return text
    if kind == "date":
        days = text.try_cast("int")
        return F.when(days.between(FIRST_DAY, LAST_DAY), F.date_add(F.lit("1970-01-01").cast("date"), days))
    return text.try_cast(spark_type(kind))

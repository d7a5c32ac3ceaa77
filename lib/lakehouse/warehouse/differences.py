"""Which rows of a computed gold table differ from those that stand: of a big table only these are staged.

Spark and the server make the same text of a row and two checksums of it, the server of what stands in its table now. So
nothing is kept from night to night, and a row that somebody else changed differs as well. A row that the two write in
different ways is staged though nothing changed, and no more than that.
"""

from __future__ import annotations

from collections.abc import Iterable

from py4j.protocol import Py4JJavaError
from pyspark.errors.exceptions.captured import CapturedException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.contracts import Contract
from lakehouse.database import Database
from lakehouse.warehouse import ddl

# Below, every row is staged, as a comparison costs a shuffle of the table. An estimate: the break-even was not measured.
MANY_ROWS = 200_000
SEPARATOR, NULL = "\x1f", "\x01"
# Rows that the driver's JDBC holds at once.
FETCHED_ROWS = 10_000


def carried(frame: DataFrame, contract: Contract) -> DataFrame:
    """A gold table's columns in the staged form, which crosses JDBC."""
    return frame.select(*carried_columns(contract))


def carried_columns(contract: Contract, names: Iterable[str] | None = None) -> list[Column]:
    """Columns of a gold table in the staged form: all of them, or those of these names."""
    kinds = {c.name: c.type for c in contract.stored}
    return [_carried(name, kinds[name]) for name in (kinds if names is None else names)]


def uncarried_columns(contract: Contract) -> list[Column]:
    """The columns of a gold table, in its contract's types, of a frame that has them in the staged form."""
    return [_uncarried(c.name, c.type).cast(c.spark_type).alias(c.name) for c in contract.stored]


def differing(frame: DataFrame, contract: Contract, database: Database) -> DataFrame:
    """Rows of a table that gold has not or has otherwise, in the staged form, and the key alone of those it has no more.

    The contract's columns, and `_is_gone`. The server must know CRC-32. Raises StoreError where it refuses.
    """
    names = [c.name for c in contract.stored]
    text = F.concat_ws(SEPARATOR, *(F.coalesce(F.col(n).cast("string"), F.lit(NULL)) for n in names))
    ours = carried(frame, contract).withColumn("_ours", _digest(text))
    options = {**database.jdbc(), "fetchsize": str(FETCHED_ROWS), "query": _standing_rows(contract)}
    try:
        theirs = frame.sparkSession.read.format("jdbc").options(**options).load()
    except (Py4JJavaError, CapturedException) as e:
        if refused := database.refused_by_jdbc(e, f"while {contract.id} was read, and nothing was published"):
            raise refused from None
        raise
    both = ours.join(theirs, list(contract.key), how="full_outer")
    return both.where(~F.col("_ours").eqNullSafe(F.col("_theirs"))).select(
        *names, F.col("_ours").isNull().alias(ddl.IS_GONE)
    )


def _digest(text: Column) -> Column:
    checksum, backwards = F.crc32(text.cast("binary")), F.crc32(F.reverse(text).cast("binary"))
    return F.shiftleft(checksum, 32).bitwiseOR(backwards)


def _standing_rows(contract: Contract) -> str:
    """SQL of the rows that stand: the key in the staged form, and the digest of the row."""
    parts = ", ".join(f"coalesce(({ddl.staged(c)})::text, E'\\x01')" for c in contract.stored)
    columns = {c.name: c for c in contract.columns}
    key = ", ".join(f"{ddl.staged(columns[k])} as {k}" for k in contract.key)
    names = ", ".join(contract.key)
    return (
        f"select {names}, crc32(convert_to(t, 'UTF8')) << 32 | crc32(convert_to(reverse(t), 'UTF8')) as _theirs from ("
        f"select {key}, concat_ws(E'\\x1f', {parts}) as t from {ddl.GOLD}.{contract.table} offset 0) s"
    )


def _uncarried(name: str, kind: str) -> Column:
    if kind == "timestamptz":
        return F.timestamp_micros(name)
    return F.date_from_unix_date(name) if kind == "date" else F.col(name)


def _carried(name: str, kind: str) -> Column:
    if kind == "timestamptz":
        return F.unix_micros(name).alias(name)
    return F.unix_date(name).alias(name) if kind == "date" else F.col(name)

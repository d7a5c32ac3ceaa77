"""How a value crosses from Postgres to Spark: in a form no clock, calendar, driver or encoding can bend.

A value that Spark cannot hold travels as null, and its column is named in `_not_representable`.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column as SparkColumn
from pyspark.sql import functions as F

from lakehouse.contracts import Column

FIRST, LAST = "0001-01-01", "10000-01-01"
# Text of a server that does not know its encoding: whether the bytes, written in hex, are UTF-8. Each alternative is one
# character, so it stays in step with the bytes.
UTF_8 = (
    "^([0-7].|c[2-9a-f][89ab].|d.[89ab].|e0[ab].[89ab].|e[1-9abcef]([89ab].){2}|ed[89].[89ab].|f0[9ab].([89ab].){2}"
    "|f[1-3]([89ab].){3}|f48.([89ab].){2})*$"
)


def selected(columns: Sequence[Column], *, raw_text: bool) -> str:
    """The select list that brings the columns and `_unfit`; `raw_text`: the server's texts may be no Unicode."""
    carried = (f'{_carried(c, raw_text)} as "{c.name}"' for c in columns)
    return ", ".join([*carried, f"{_unfit(columns, raw_text)} as _unfit"])


def restored(columns: Sequence[Column]) -> list[SparkColumn]:
    """What `selected` brought, back in the contract's Spark types, with `_not_representable`."""
    return [*(_restored(c).alias(c.name) for c in columns), F.split(F.col("_unfit"), ",").alias("_not_representable")]


def _carried(column: Column, raw_text: bool) -> str:
    """SQL of one value: instants as microseconds, dates as days."""
    name = f'"{column.name}"'
    if not (fits := _fits(column, raw_text)):
        return name
    value = {
        "timestamptz": f"(extract(epoch from {name}) * 1000000)::bigint",
        "date": f"({name} - date '1970-01-01')",
    }.get(column.type, f"{name}::{column.type}")
    return f"case when {fits} then {value} end"


def _fits(column: Column, raw_text: bool) -> str | None:
    """SQL that is true where Spark can hold the value: finite, years 0001-9999, digits within the type, Unicode."""
    name = f'"{column.name}"'
    if column.type == "timestamptz":
        return f"({name} >= '{FIRST} 00:00:00+00' and {name} < '{LAST} 00:00:00+00')"
    if column.type == "date":
        return f"({name} >= '{FIRST}' and {name} < '{LAST}')"
    if column.numeric:
        # NaN sorts above every number, so one comparison finds it and infinity too.
        return f"(abs({name}) < 1e{column.numeric[0] - column.numeric[1]})"
    if column.type == "text" and raw_text:
        return f"(encode(convert_to({name}::text, 'SQL_ASCII'), 'hex') ~ '{UTF_8}')"
    return None


def _unfit(columns: Sequence[Column], raw_text: bool) -> str:
    """SQL for the comma-separated names of columns whose value cannot be carried; null where all can."""
    names = ", ".join(f"case when not {fits} then '{c.name}' end" for c in columns if (fits := _fits(c, raw_text)))
    return f"nullif(concat_ws(',', {names}), '')" if names else "null::text"


def _restored(column: Column) -> SparkColumn:
    if column.type == "timestamptz":
        return F.timestamp_micros(column.name)
    if column.type == "date":
        return F.date_from_unix_date(column.name)
    return F.col(column.name).cast(column.spark_type)

"""The one table of types: the contract's word, which is Postgres's, and what Spark and the staged form call it.

A contract's type is `text`, `integer`, `bigint`, `boolean`, `date`, `timestamptz` or `numeric(p,s)`. The staged form is
what crosses JDBC: instants travel as microseconds and dates as days, so that no driver's calendar or zone can bend them.
"""

from __future__ import annotations

import re

NUMERIC = re.compile(r"numeric\((\d+),(\d+)\)")
MOST_DIGITS = 38  # Spark's decimal
SPARK_TYPES = {
    "text": "string",
    "integer": "int",
    "bigint": "bigint",
    "boolean": "boolean",
    "date": "date",
    "timestamptz": "timestamp",
}
STAGED_TYPES = {"timestamptz": "bigint", "date": "integer"}
# Types of a source column that a contract's type holds without loss.
HOLDS = {
    "text": ("text", "character varying", "character"),
    "bigint": ("bigint", "integer", "smallint"),
    "integer": ("integer", "smallint"),
    "boolean": ("boolean",),
    "date": ("date",),
    "timestamptz": ("timestamp with time zone",),
}
# The contract's type in which a new column of the source is carried.
EVOLVABLE = {
    "text": "text",
    "character varying": "text",
    "character": "text",
    "uuid": "text",
    "smallint": "integer",
    "integer": "integer",
    "bigint": "bigint",
    "boolean": "boolean",
    "date": "date",
    "timestamp with time zone": "timestamptz",
}


def known_type(value: str) -> str:
    """The type itself. Raises ValueError for one that is not in the table, or that Spark's decimal cannot hold."""
    if value not in SPARK_TYPES and not NUMERIC.fullmatch(value):
        raise ValueError(f"unknown type {value}; there are {', '.join(SPARK_TYPES)} and numeric(p,s)")
    if (numeric := NUMERIC.fullmatch(value)) and not int(numeric[2]) <= int(numeric[1]) <= MOST_DIGITS:
        raise ValueError(f"{value} has more than {MOST_DIGITS} digits, or more decimals than digits")
    return value


def spark_type(kind: str) -> str:
    """What Spark calls a contract's type."""
    return SPARK_TYPES.get(kind) or kind.replace("numeric", "decimal")


def bare_type(source_type: str) -> str:
    """A type of Postgres without its length or precision, which may stand in its middle: timestamp(3) with time zone."""
    return re.sub(r"\(\d+(,\d+)?\)", "", source_type)


def holds(contract_type: str, source_type: str) -> bool:
    """Whether every value of a source column's type fits the contract's type."""
    ours, theirs = NUMERIC.fullmatch(contract_type), NUMERIC.fullmatch(source_type)
    if ours and theirs:
        digits, scale = int(ours[1]), int(ours[2])
        return int(theirs[2]) <= scale and int(theirs[1]) - int(theirs[2]) <= digits - scale
    return bare_type(source_type) in HOLDS.get(contract_type, ())

"""The audit of gold's units: each night some tables are computed whole all the same, each table once in so many nights.

What then differs from the rows that stand, and lies in no unit that the day's changes touch, was missed by the units of this
night or an earlier one, or was changed by somebody else. It is a finding, and is put right in the same publish.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.contracts import Contract
from lakehouse.records import Finding
from lakehouse.units.changes import kept
from lakehouse.units.rows import matching

NIGHTS = 30


def audited(as_of: date, tables: Iterable[str]) -> set[str]:
    """The tables whose turn it is, spread evenly over the nights."""
    names = sorted(tables)
    return {name for n, name in enumerate(names) if n * NIGHTS // len(names) == as_of.toordinal() % NIGHTS}


def finding(contract: Contract, differing: DataFrame, units: Sequence[DataFrame], rows: int) -> Finding:
    """How many of the rows that differ lie in none of the units, neither as they stand nor as they were computed."""
    key = list(contract.key)
    touched = matching(sides(contract, differing), *units).select(*key)
    missed = kept(differing.select(*key).join(touched, key, how="left_anti"), contract).rows
    return Finding("gold", contract.table, "units_missed", "warning", missed == 0, missed, rows)


def sides(contract: Contract, differing: DataFrame) -> DataFrame:
    """The images of rows that differ: those that stand, and those that were computed."""
    names = [c.name for c in contract.stored]
    old, new = (
        differing.where(F.col(side).isNotNull()).select(*(f"{side}.{n}" for n in names)) for side in ("_old", "_new")
    )
    return old.unionAll(new)

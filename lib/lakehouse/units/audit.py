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


def audited(before: date, as_of: date, tables: Iterable[str]) -> set[str]:
    """The tables whose turn has come since gold was made as of `before`; turns are spread evenly over the dates.

    A turn on a date for which gold is not run is the next run's, so that it comes at whatever rhythm gold is run.
    """
    names = sorted(tables)
    turns = {name: n * NIGHTS // len(names) for n, name in enumerate(names)}
    return {n for n, turn in turns.items() if _turns(as_of, turn) > _turns(before, turn)}


def _turns(through: date, turn: int) -> int:
    """How many there were of a turn, through a date."""
    return (through.toordinal() - turn) // NIGHTS


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

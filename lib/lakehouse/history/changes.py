"""What changed in silver between two published days: rows that came, went or changed, by table, and in which columns.

Two versions of a table are compared by key, in DuckDB, column by column; a null is a value like any other. Columns that a
contract marks as personal are not read, so a row whose personal columns alone changed counts as unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from lakehouse.contracts import Contract
from lakehouse.errors import StoreError, UsageError
from lakehouse.explore import PublishedTables

CAME, WENT, CHANGED = "came", "went", "changed"


@dataclass(frozen=True)
class TableChanges:
    """One table: rows by what became of them, in how many each column changed, and some of their keys."""

    table: str
    before: date
    after: date
    came: int
    went: int
    changed: int
    columns: dict[str, int]
    keys: tuple[dict[str, Any], ...] = ()


def changes(tables: PublishedTables, contract: Contract, before: date, after: date, most_keys: int) -> TableChanges:
    """What changed in a table of silver from its state as of one business date to that as of another.

    Raises LedgerError where nothing was published by one of them, StoreError where maintenance has cleaned a version up or
    a column was retyped in between, UsageError for a table whose key may not be shown.
    """
    from duckdb import Error

    name = f"silver.{contract.table}"
    had, has = (tables.arrow(name, day).schema.names for day in (before, after))
    if not set(contract.key) <= {*had} & {*has}:
        raise UsageError(
            f"the key of {name} is personal, or was another one on one of the days: its rows cannot be compared"
        )
    # A column that the contract gained or lost in between is in one version alone.
    rest = [c for c in contract.names if c in had and c in has and c not in contract.key]
    with tables.duckdb_of({"before_": (name, before), "after_": (name, after)}) as engine:
        key = ", ".join(map(_name, contract.key))
        differing = [f"b.{_name(c)} is distinct from a.{_name(c)}" for c in rest]
        what = f"case when b._here is null then '{CAME}' when a._here is null then '{WENT}' else '{CHANGED}' end"
        marks = [f"{d} as {_name(c)}" for c, d in zip(rest, differing, strict=True)]
        try:
            engine.execute(
                f"create temp table changes as select {', '.join([key, f'{what} as what', *marks])} "
                f"from (select *, true as _here from before_) b full join (select *, true as _here from after_) a using ({key}) "
                f"where {' or '.join(['a._here is null', 'b._here is null', *differing])}"
            )
        except Error as e:  # its words may quote a value
            raise StoreError(
                f"{name} as of {before} and as of {after} cannot be compared ({type(e).__name__}): a column was of another type, "
                "or data files of a version that is long past have been cleaned up"
            ) from None
        counted = dict(engine.execute("select what, count(*) from changes group by what").fetchall())
        sums = [f"count(*) filter (what = '{CHANGED}' and {_name(c)})" for c in rest]
        per_column = engine.execute(f"select {', '.join(sums)} from changes").fetchone() if sums else ()
        rows = engine.execute(f"select what, {key} from changes order by all limit {int(most_keys)}").fetchall()
    return TableChanges(
        name, before, after, counted.get(CAME, 0), counted.get(WENT, 0), counted.get(CHANGED, 0),
        {c: n for c, n in zip(rest, per_column or (), strict=True) if n},
        tuple(dict(zip(("what", *contract.key), row, strict=True)) for row in rows),
    )  # fmt: skip


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'

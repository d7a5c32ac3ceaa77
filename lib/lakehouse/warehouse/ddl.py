"""Postgres tables from gold's contracts: nothing about a column is written here."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from psycopg2.extensions import cursor as Cursor

from lakehouse.contracts import Column, Contract
from lakehouse.contracts.types import STAGED_TYPES

GOLD, STAGING = "gold", "gold_staging"
# A text can be longer than an index row; its first characters find it all the same.
INDEXED_CHARACTERS = 200
TECHNICAL = "_published_at timestamptz not null, _run_id text not null"


def quoted(text: str) -> str:
    """A text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def table_ddl(contract: Contract, there: Collection[str] = ()) -> Iterator[str]:
    """Statements that make a gold table, its keys, indexes and comments where they are missing, and add new columns.

    `there`: the columns it has already. Even an `add column if not exists` that finds the column waits for every reader,
    and lets none begin meanwhile.
    """
    name = f"{GOLD}.{contract.table}"
    columns = ", ".join(
        f"{c.name} {c.type}{' not null' if c.required or c.primary_key else ''}" for c in contract.columns
    )
    key = ", ".join(contract.key)
    yield (
        f"create table if not exists {name} ({columns}, {TECHNICAL}, constraint {contract.table}_key primary key ({key}))"
    )
    for column in contract.columns:
        if there and column.name not in there:
            yield f"alter table {name} add column if not exists {column.name} {column.type}"
    for index in contract.indexes:
        what = ", ".join(_indexed(contract.column(c)) for c in index)
        yield f"create index if not exists {contract.table}_{'_'.join(index)}_idx on {name} ({what})"
    yield f"comment on table {name} is {quoted(f'{contract.description.purpose}. {contract.grain}.')}"
    for column in contract.columns:
        yield f"comment on column {name}.{column.name} is {quoted(column.description)}"


def foreign_keys(contract: Contract) -> Iterator[tuple[str, str]]:
    """Name and statement of each foreign key of a gold table."""
    for column in contract.columns:
        if column.references:
            name = f"{contract.table}_{column.name}_fkey"
            yield (
                name,
                (
                    f"alter table {GOLD}.{contract.table} add constraint {name} foreign key ({column.name}) "
                    f"references {GOLD}.{column.references.table}"
                ),
            )


def ensure_tables(cursor: Cursor, contracts: list[Contract]) -> None:
    """Makes what is missing in the caller's transaction; an existing table only gains columns and indexes."""
    cursor.execute(f"create schema if not exists {GOLD}; create schema if not exists {STAGING}")
    for contract in contracts:
        cursor.execute(
            "select attname from pg_attribute where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped",
            (f"{GOLD}.{contract.table}",),
        )
        for statement in table_ddl(contract, [name for (name,) in cursor.fetchall()]):
            cursor.execute(statement)
    for contract in contracts:
        for name, statement in foreign_keys(contract):
            cursor.execute(
                "select 1 from pg_constraint where conname = %s and connamespace = %s::regnamespace", (name, GOLD)
            )
            if not cursor.fetchone():
                cursor.execute(statement)


def staging_ddl(contract: Contract) -> str:
    """Statements that make the table anew into which Spark loads, its instants and dates as numbers."""
    columns = ", ".join(f"{c.name} {STAGED_TYPES.get(c.type, c.type)}" for c in contract.columns)
    name = f"{STAGING}.{contract.table}"
    return f"drop table if exists {name}; create unlogged table {name} ({columns}) with (autovacuum_enabled = false)"


def restored(column: Column) -> str:
    """SQL that turns a staged value back into the column's type, exactly."""
    if column.type == "date":
        return f"date '1970-01-01' + {column.name}"
    if column.type == "timestamptz":
        # Whole days and the rest apart: an interval of microseconds alone would pass through a double.
        return (
            f"(timestamp '1970-01-01' + ({column.name} / 86400000000) * interval '1 day' "
            f"+ mod({column.name}, 86400000000) * interval '1 microsecond') at time zone 'UTC'"
        )
    return column.name


def _indexed(column: Column) -> str:
    """Keys, what refers to one, and words of a list are short, whole in the index, and found by equality."""
    is_short = column.primary_key or column.references or column.allowed_values or column.name.endswith("_id")
    return column.name if column.type != "text" or is_short else f"left({column.name}, {INDEXED_CHARACTERS})"

"""Postgres tables from gold's contracts: nothing about a column is written here."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from psycopg2.extensions import cursor as Cursor

from lakehouse.contracts import Column, Contract
from lakehouse.contracts.types import STAGED_TYPES
from lakehouse.errors import LedgerError
from lakehouse.warehouse.patience import patiently

GOLD, STAGING = "gold", "gold_staging"
# A text can be longer than an index row; its first characters find it all the same.
INDEXED_CHARACTERS = 200
# What format_type calls a contract's type in other words.
POSTGRES_NAMES = {"timestamp with time zone": "timestamptz"}
# Of a staged row: its key stands in gold, and belongs to no row any more.
IS_GONE = "_is_gone"
TECHNICAL = "_published_at timestamptz not null, _run_id text not null"


def quoted(text: str) -> str:
    """A text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


class Standing(NamedTuple):
    """What a table has already: its comment, its columns with their comments, its indexes, its columns' types."""

    comment: str | None
    columns: Mapping[str, str | None]
    indexes: Collection[str]
    types: Mapping[str, str]


def table_ddl(contract: Contract, standing: Standing | None = None) -> Iterator[str]:
    """Statements that bring a gold table from what stands to its contract: none where they agree. Nothing is taken away.

    Even an `add column if not exists` that finds the column, and a comment that says the same, wait for anybody who holds
    the table, and let no reader begin meanwhile.
    """
    name = f"{GOLD}.{contract.table}"
    columns = ", ".join(
        f"{c.name} {c.type}{' not null' if c.required or c.primary_key else ''}" for c in contract.stored
    )
    key = ", ".join(contract.key)
    if standing is None:
        yield f"create table {name} ({columns}, {TECHNICAL}, constraint {contract.table}_key primary key ({key}))"
        standing = Standing(None, dict.fromkeys(c.name for c in contract.stored), (), {})
    for column in contract.stored:
        if column.name not in standing.columns:
            yield f"alter table {name} add column {column.name} {column.type}"
    for index in contract.indexes:
        index_name = f"{contract.table}_{'_'.join(index)}_idx"
        if index_name not in standing.indexes:
            yield f"create index {index_name} on {name} ({', '.join(_indexed(contract.column(c)) for c in index)})"
    purpose = f"{contract.description.purpose}. {contract.grain}."
    if standing.comment != purpose:
        yield f"comment on table {name} is {quoted(purpose)}"
    for column in contract.stored:
        if (standing.columns.get(column.name) or "") != column.description:
            yield f"comment on column {name}.{column.name} is {quoted(column.description)}"


def standing(cursor: Cursor, table: str) -> Standing | None:
    """What a gold table has already; None where there is no such table."""
    cursor.execute("select obj_description(c.oid, 'pg_class'), c.oid from pg_class c where c.oid = to_regclass(%s)",
                   (f"{GOLD}.{table}",))  # fmt: skip
    row = cursor.fetchone()
    if row is None:
        return None
    comment, oid = row
    cursor.execute(
        "select attname, col_description(attrelid, attnum), format_type(atttypid, atttypmod) from pg_attribute "
        "where attrelid = %s and attnum > 0 and not attisdropped", (oid,)
    )  # fmt: skip
    columns = cursor.fetchall()
    cursor.execute("select relname from pg_index join pg_class c on c.oid = indexrelid where indrelid = %s", (oid,))
    indexes = {name for (name,) in cursor.fetchall()}
    return Standing(
        comment, {n: c for n, c, _ in columns}, indexes, {n: POSTGRES_NAMES.get(t, t) for n, _, t in columns}
    )


def retyped(contract: Contract, standing: Standing | None) -> bool:
    """Whether a column that stands is of another type than its contract says: only making the table again brings that."""
    return standing is not None and any(standing.types.get(c.name, c.type) != c.type for c in contract.stored)


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


def ensure_schemas(cursor: Cursor, *schemas: str) -> None:
    """Makes the schemas that are missing. `if not exists` would ask for the right to make one even where it is there."""
    for schema in schemas:
        cursor.execute("select to_regnamespace(%s) is null", (schema,))
        if (cursor.fetchone() or (False,))[0]:
            cursor.execute(f"create schema {schema}")


def ensure_tables(cursor: Cursor, contracts: Sequence[Contract]) -> None:
    """Makes what is missing in the caller's transaction, parents first; an existing table only gains columns and indexes.

    A table with a column of another type is left, with the keys that refer to it, to `drop_tables` and the next call.
    Raises StoreError where somebody holds a table that has to change.
    """
    for contract in contracts:
        table, stands = f"{GOLD}.{contract.table}", standing(cursor, contract.table)
        if retyped(contract, stands):
            continue
        if statements := list(table_ddl(contract, stands)):
            patiently(cursor, statements, table)
        for statement in _missing_keys(cursor, contract):
            # Not asked of the rows that stand: a parent that was just made again is empty until the publish fills it.
            patiently(cursor, [f"{statement} not valid"], table)


def _missing_keys(cursor: Cursor, contract: Contract) -> Iterator[str]:
    """Foreign keys that are not there and can be: the parent's key is of the type that the contract says."""
    referring = [c for c in contract.columns if c.references]
    for column, (name, statement) in zip(referring, foreign_keys(contract), strict=True):
        parent = column.references.table if column.references else ""
        cursor.execute(
            "select exists (select from pg_constraint where conname = %(name)s and connamespace = %(gold)s::regnamespace), "
            "(select format_type(atttypid, atttypmod) from pg_index join pg_attribute on attrelid = indrelid "
            "and attnum = any(indkey) where indrelid = to_regclass(%(parent)s) and indisprimary limit 1)",
            {"name": name, "gold": GOLD, "parent": f"{GOLD}.{parent}"},
        )
        is_there, kind = cursor.fetchone() or (False, None)
        if not is_there and POSTGRES_NAMES.get(kind, kind) == column.type:
            yield statement


def validate_foreign_keys(cursor: Cursor, contracts: Sequence[Contract]) -> None:
    """Holds all rows against the foreign keys that were made since the last publish. Raises psycopg2.IntegrityError.

    Of tables that another role owns, `lakehouse setup` does.
    """
    cursor.execute(
        "select conrelid::regclass::text, quote_ident(conname) from pg_constraint join pg_class c on c.oid = conrelid "
        "where contype = 'f' and not convalidated and pg_has_role(c.relowner, 'usage') and connamespace = %s::regnamespace and conname = any(%s)",
        (GOLD, [name for contract in contracts for name, _ in foreign_keys(contract)]),
    )
    for table, name in cursor.fetchall():
        cursor.execute(f"alter table {table} validate constraint {name}")


def drop_tables(cursor: Cursor, tables: Sequence[str], ours: Sequence[str]) -> None:
    """Drops gold tables with the foreign keys of `ours` that stand on them; whatever else does is an error."""
    cursor.execute(
        "select conrelid::regclass::text, quote_ident(conname) from pg_constraint where contype = 'f' "
        "and conrelid in (select to_regclass(%(gold)s || '.' || t) from unnest(%(ours)s) t) "
        "and confrelid in (select to_regclass(%(gold)s || '.' || t) from unnest(%(tables)s) t)",
        {"gold": GOLD, "tables": list(tables), "ours": list(ours)},
    )
    for table, name in cursor.fetchall():
        patiently(cursor, [f"alter table {table} drop constraint {name}"], table)
    for table in tables:
        patiently(cursor, [f"drop table if exists {GOLD}.{table}"], f"{GOLD}.{table}")


def schema_of_ours(cursor: Cursor, schema: str, purpose: str) -> Iterator[str]:
    """Statements that make a schema where it is missing, marked by its comment; each is executed before the next is asked for.

    Raises LedgerError for a schema of that name without the mark: it is somebody else's.
    """
    cursor.execute("select to_regnamespace(%s) is null", (schema,))
    if cursor.fetchone() == (True,):
        yield f"create schema {schema}"
        yield f"comment on schema {schema} is {quoted(purpose)}"
    cursor.execute("select obj_description(to_regnamespace(%s), 'pg_namespace')", (schema,))
    if cursor.fetchone() != (purpose,):
        raise LedgerError(
            f"there is a schema {schema} in the gold database that is not ours: rename it, and run this again"
        )


def staging_ddl(contract: Contract, name: str) -> str:
    """Statements that make the empty table into which Spark loads, its instants and dates as numbers."""
    columns = ", ".join(f"{c.name} {STAGED_TYPES.get(c.type, c.type)}" for c in contract.stored)
    return (
        f"drop table if exists {name}; create unlogged table {name} ({columns}, {IS_GONE} boolean not null default false) "
        f"with (autovacuum_enabled = false)"
    )


def keys_ddl(contract: Contract, name: str, columns: Sequence[str]) -> str:
    """Statements that make an empty table into which Spark loads keys by which rows of a gold table are looked up."""
    kinds = ((c, contract.column(c).type) for c in columns)
    listed = ", ".join(f"{c} {STAGED_TYPES.get(kind, kind)}" for c, kind in kinds)
    return f"drop table if exists {name}; create unlogged table {name} ({listed}) with (autovacuum_enabled = false)"


def staged(column: Column) -> str:
    """SQL that turns a column's value into the staged form, exactly."""
    if column.type == "date":
        return f"{column.name} - date '1970-01-01'"
    return f"(extract(epoch from {column.name}) * 1000000)::bigint" if column.type == "timestamptz" else column.name


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

"""What a database must allow us, asked before anything is written: every lack at once, in words a DBA can act on."""

from __future__ import annotations

from collections.abc import Iterable

from psycopg2.extensions import cursor as Cursor

from lakehouse.database.meanings import printable

# What makes schema `ops` ours: the columns that the ledger's first table has had from the beginning.
LEDGER_COLUMNS = ["run_id", "layer", "business_date"]
WRITES = "select, insert, update, delete"


def unfit(cursor: Cursor) -> list[str]:
    """Why a database cannot be gold's, whatever the role may do: its encoding, a standby, somebody's schema `ops`."""
    cursor.execute(
        "select current_setting('server_encoding'), pg_is_in_recovery(), current_setting('transaction_read_only') = 'on'"
    )
    encoding, on_standby, read_only = cursor.fetchone() or ("", False, False)
    faults = []
    if encoding != "UTF8":
        faults.append(
            f"its encoding is {encoding}, which cannot hold every text of a shop: make one with encoding UTF8"
        )
    if on_standby:
        faults.append("it is a standby, which only lets us read: name the primary")
    elif read_only:
        faults.append("it only lets us read: take default_transaction_read_only from the role or the database")
    if foreign_ops(cursor):
        faults.append("its schema ops belongs to another application: give gold a database of its own")
    return faults


def foreign_ops(cursor: Cursor) -> bool:
    """Whether there is a schema `ops` that holds tables and is no ledger of ours; an empty one may become ours."""
    cursor.execute(
        "select exists (select from pg_class where relnamespace = to_regnamespace('ops') and relkind in ('r', 'p', 'v', 'm', 'f')) "
        "and (select count(*) from pg_attribute where attrelid = to_regclass('ops.runs') and attname = any(%s)) < %s",
        (LEDGER_COLUMNS, len(LEDGER_COLUMNS)),
    )
    return bool((cursor.fetchone() or (False,))[0])


def missing_schema_rights(cursor: Cursor, schemas: Iterable[str], used: Iterable[str] = ()) -> list[str]:
    """Grants without which a schema cannot be used or made. One that is there need not be ours, and then none is made.

    In those of `used` nothing is made either.
    """
    used = set(used)
    cursor.execute(
        "select s, quote_ident(current_database()), quote_ident(current_user), to_regnamespace(s) is not null, "
        "has_database_privilege(current_database(), 'create'), "
        "coalesce(has_schema_privilege(to_regnamespace(s), 'usage'), false), "
        "coalesce(has_schema_privilege(to_regnamespace(s), 'create'), false) from unnest(%s::text[]) s order by 1",
        (list(schemas),),
    )
    missing = []
    for schema, database, user, is_there, may_make, may_use, may_create in cursor.fetchall():
        role = printable(user)
        if is_there and schema in used and not may_use:
            missing.append(f"grant usage on schema {schema} to {role}")
        if is_there and schema not in used and not (may_use and may_create):
            missing.append(f"grant usage, create on schema {schema} to {role}")
        if not is_there and not may_make:
            missing.append(f"grant create on database {printable(database)} to {role} (or create schema {schema} "
                           f"authorization {role})")  # fmt: skip
    return missing


def missing_table_rights(cursor: Cursor, written: Iterable[str], owned: Iterable[str]) -> list[str]:
    """Grants that are missing on tables that are there: to change the rows of some, and to own others."""
    cursor.execute(
        "select t, quote_ident(current_user), (select bool_and(has_table_privilege(to_regclass(t), trim(p))) "
        "from regexp_split_to_table(%s, ',') p) from unnest(%s::text[]) t where to_regclass(t) is not null order by 1",
        (WRITES, list(written)),
    )
    missing = [f"grant {WRITES} on {table} to {printable(user)}" for table, user, may in cursor.fetchall() if not may]
    cursor.execute(
        "select t, quote_ident(current_user) from unnest(%s::text[]) t join pg_class c on c.oid = to_regclass(t) "
        "where not pg_has_role(c.relowner, 'usage') order by 1",
        (list(owned),),
    )
    return [*missing, *(f"alter table {table} owner to {printable(user)}" for table, user in cursor.fetchall())]

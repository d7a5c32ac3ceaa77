"""What the live layer needs of the source, made by the owner of its tables: a publication, and a role that may follow it.

The role is no mere reader: with REPLICATION it can read every change of the database, and copy its files.
"""

from __future__ import annotations

from collections.abc import Iterable

from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor
from psycopg2.extensions import encrypt_password

from lakehouse.database import Database
from lakehouse.errors import SourceError
from lakehouse.live.settings import LiveSettings
from lakehouse.source.cdc.slot import Standing, require_logical
from lakehouse.source.postgres import SCHEMA

# A view, a foreign table, or one whose changes the server does not log.
NO_TABLES = """
    select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = %s and c.relname = any(%s) and (c.relkind not in ('r', 'p') or c.relpersistence <> 'p') order by 1
"""
# A change of a partition is one of its table: its topic, its columns, its name in the events.
AS_A_WHOLE = "publish_via_partition_root = true"


def prepare(database: Database, live: LiveSettings, tables: Iterable[str], role: str, password: str) -> None:
    """Makes the publication and the role, or brings them to what they should be. Raises SourceError."""
    names = sorted(tables)
    require_logical(database)
    with database.connection() as connection, connection.cursor() as cursor:
        _refuse_views(cursor, names)
        # The server is sent a verifier: it may log a statement that fails.
        verifier = encrypt_password(password, role, scope=cursor, algorithm="scram-sha-256")
        listed = sql.SQL(", ").join(sql.Identifier(SCHEMA, table) for table in names)
        parts = {"publication": sql.Identifier(live.publication), "tables": listed, "role": sql.Identifier(role),
                 "database": sql.Identifier(connection.info.dbname), "schema": sql.Identifier(SCHEMA), "verifier": sql.Literal(verifier)}  # fmt: skip
        cursor.execute("select from pg_publication where pubname = %s", (live.publication,))
        publication = [f"create publication {{publication}} for table {{tables}} with ({AS_A_WHOLE})"]
        if cursor.rowcount:
            publication = [
                f"alter publication {{publication}} set {what}" for what in ("table {tables}", f"({AS_A_WHOLE})")
            ]
        cursor.execute("select from pg_roles where rolname = %s", (role,))
        verb = "alter role" if cursor.rowcount else "create role"
        for statement in (
            *publication,
            f"{verb} {{role}} login replication password {{verifier}}",
            "grant connect on database {database} to {role}",
            "grant usage on schema {schema} to {role}",
            "grant select on {tables} to {role}",
        ):
            cursor.execute(sql.SQL(statement).format(**parts))


def _refuse_views(cursor: Cursor, names: list[str]) -> None:
    """Raises SourceError for what no publication takes, which the server would not name."""
    cursor.execute(NO_TABLES, (SCHEMA, names))
    if found := ", ".join(row[0] for row in cursor.fetchall()):
        raise SourceError(f"the live layer follows tables that the server logs, and {found} in schema {SCHEMA} of the source "
                          f"is none, but a view, or a foreign or unlogged table")  # fmt: skip


def refuse_lost(found: Standing | None, name: str) -> None:
    """Raises SourceError for a slot that has lost changes: what follows it would be silently incomplete."""
    if found and found.is_lost:
        raise SourceError(f"replication slot {name} is lost: the source kept its log no longer; drop the slot, then begin "
                          f"again with `lakehouse live reset --all` and a new snapshot (docs/live.md)")  # fmt: skip

"""What the live layer needs of the source, made by the owner of its tables: a publication, and a role that may follow it.

The role is no mere reader: whoever has REPLICATION can read every change of the database, and its files.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass

import psycopg2
from psycopg2 import sql

from lakehouse.database.meanings import meaning
from lakehouse.errors import SourceError, safe_words
from lakehouse.live.settings import LiveSettings
from lakehouse.source.postgres import SCHEMA

SLOT = """
    select active, coalesce(wal_status, ''), pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint
    from pg_replication_slots where slot_name = %s
"""
LOGICAL = (
    "the source's wal_level is {level}: set it to logical and start the server again, with max_slot_wal_keep_size set"
)


@dataclass(frozen=True)
class Slot:
    """A replication slot: whether somebody reads it, how it is (`lost`: to be made again), and the log that it keeps."""

    active: bool
    status: str
    retained_bytes: int


def prepare(dsn: str, live: LiveSettings, tables: Iterable[str], role: str, password: str) -> None:
    """Makes the publication and the role, or brings them to what they should be. Raises SourceError."""
    try:
        with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
            cursor.execute("show wal_level")
            if (level := str(cursor.fetchone()[0])) != "logical":  # type: ignore[index]
                raise SourceError(LOGICAL.format(level=level))
            names = sql.SQL(", ").join(sql.Identifier(SCHEMA, table) for table in sorted(tables))
            parts = {"publication": sql.Identifier(live.publication), "tables": names, "role": sql.Identifier(role),
                     "schema": sql.Identifier(SCHEMA), "password": sql.Literal(password)}  # fmt: skip
            cursor.execute("select from pg_publication where pubname = %s", (live.publication,))
            publication = (
                "alter publication {publication} set table"
                if cursor.rowcount
                else "create publication {publication} for table"
            )
            cursor.execute("select from pg_roles where rolname = %s", (role,))
            verb = "alter role" if cursor.rowcount else "create role"
            for statement in (
                f"{publication} {{tables}}",
                f"{verb} {{role}} login replication password {{password}}",
                "grant usage on schema {schema} to {role}",
                "grant select on {tables} to {role}",
            ):
                cursor.execute(sql.SQL(statement).format(**parts))
    except psycopg2.Error as e:
        happened, advice = meaning(e.pgcode)
        raise SourceError(
            f"the source {happened} while it was made ready for the live layer ({safe_words(e)}); {advice}"
        ) from None


def slot(dsn: str, name: str) -> Slot | None:
    """The slot of that name; None where there is none yet. Raises SourceError where the source does not answer."""
    try:
        with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
            cursor.execute(SLOT, (name,))
            row = cursor.fetchone()
    except psycopg2.Error as e:
        happened, advice = meaning(e.pgcode)
        raise SourceError(f"the source {happened} while its slot was looked at ({safe_words(e)}); {advice}") from None
    return Slot(row[0], row[1], int(row[2] or 0)) if row else None


def refuse_lost(found: Slot | None, name: str) -> None:
    """Raises SourceError for a slot that has lost changes: what follows it would be silently incomplete."""
    if found and found.status == "lost":
        raise SourceError(f"replication slot {name} is lost: the source kept its log no longer; drop the slot, then begin "
                          f"again with `lakehouse live reset --all` and a new snapshot (docs/live.md)")  # fmt: skip

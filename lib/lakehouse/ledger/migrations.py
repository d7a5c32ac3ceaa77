"""The ledger's own schema: numbered files, each applied once, in one transaction, by a run that holds its lock.

A reader never migrates. A ledger of the first release has no numbers yet: its tables are those of 0001.
"""

from __future__ import annotations

from psycopg2.extensions import cursor as Cursor

from lakehouse import log
from lakehouse.contracts import resource_folder
from lakehouse.database import Database
from lakehouse.errors import LedgerError

# Beside the locks of the layers: two first runs at once make the schema one after the other.
LOCK = "select pg_advisory_xact_lock(%s, 0)"
LOCK_SPACE = 0x1A4E
OURS = ("settings", "runs", "run_tables", "published")


def files() -> dict[int, str]:
    """Every migration: its number and its SQL, in order."""
    folder = resource_folder("ledger") / "schema"
    found = {int(f.name[:4]): f.read_text(encoding="utf-8") for f in folder.iterdir() if f.name.endswith(".sql")}
    return dict(sorted(found.items()))


def migrate(database: Database) -> None:
    """Brings the schema up to date; does nothing, and needs no right to create, where it is.

    Raises LedgerError for a schema `ops` that is another application's, or a ledger of a newer release.
    """
    wanted = files()
    with database.connection() as connection, connection.cursor() as cursor:
        if (at := _version(cursor)) == max(wanted):
            return
        cursor.execute(LOCK, (LOCK_SPACE,))
        at = _version(cursor)
        if at > max(wanted):
            raise LedgerError(
                f"the ledger at {database.where} was made by a newer release (its schema is {at}, this release knows "
                f"{max(wanted)}): run that release, or restore the gold database from before the upgrade"
            )
        _refuse_others(database, cursor)
        _refuse_who_may_not(database, cursor, max(wanted))
        cursor.execute("select to_regnamespace('ops') is null")
        if (cursor.fetchone() or (False,))[0]:
            cursor.execute("create schema ops")
            cursor.execute("comment on schema ops is 'The ledger of the lakehouse: runs, published versions, quality'")
        cursor.execute(
            "create table if not exists ops.migrations (number integer primary key, "
            "applied_at timestamptz not null default clock_timestamp())"
        )
        for number, sql in wanted.items():
            if number > at:
                cursor.execute(sql)
                cursor.execute("insert into ops.migrations (number) values (%s)", (number,))
                log.event("ledger.migrated", number=number)


def _refuse_who_may_not(database: Database, cursor: Cursor, number: int) -> None:
    """Where another role owns the schema, that one changes it."""
    cursor.execute(
        "select not has_schema_privilege(to_regnamespace('ops'), 'create') where to_regnamespace('ops') is not null"
    )
    if (cursor.fetchone() or (False,))[0]:
        raise LedgerError(f"the ledger at {database.where} must become schema {number}, and our role may not change it: run "
                          f"lakehouse setup, with its owner in LAKEHOUSE_OWNER_DSN")  # fmt: skip


def _version(cursor: Cursor) -> int:
    """The newest migration applied; 0 for a ledger without numbers, or none."""
    cursor.execute("select to_regclass('ops.migrations') is not null")
    if not (cursor.fetchone() or (False,))[0]:
        return 0
    cursor.execute("select coalesce(max(number), 0) from ops.migrations")
    return int((cursor.fetchone() or (0,))[0])


def _refuse_others(database: Database, cursor: Cursor) -> None:
    """A schema of our name that holds tables, and not ours, is somebody's."""
    cursor.execute(
        "select count(*), count(*) filter (where relname = any(%s)) from pg_class "
        "where relnamespace = to_regnamespace('ops') and relkind in ('r', 'p', 'v', 'm', 'f')",
        (list(OURS),),
    )
    tables, ours = cursor.fetchone() or (0, 0)
    if tables and ours < len(OURS):
        raise LedgerError(
            f"the database at {database.where} has a schema ops that belongs to another application: give gold a database "
            "of its own, and name it in LAKEHOUSE_GOLD_DSN"
        )

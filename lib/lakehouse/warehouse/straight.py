"""An empty gold is filled without its keys and indexes, which are made when all rows are there.

An index that is built of rows that stand costs a fraction of one that grows by each row, and a foreign key is checked by
one join. All of it is in the caller's transaction, so nobody sees a table without its key.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg2
from psycopg2.extensions import cursor as Cursor

from lakehouse import log
from lakehouse.warehouse.patience import FOR_A_PUBLISH

# Of fewer rows to come the keys cost nothing worth the locks.
MANY_ROWS = 100_000
# Foreign keys come down first and are made last; `ours`: whether both ends are tables that are filled.
STANDING = """
    with tables as (select to_regclass(t) as oid from unnest(%(tables)s) t)
    select case contype when 'f' then 0 else 1 end as place, conrelid::regclass::text, quote_ident(conname),
           pg_get_constraintdef(c.oid), c.conrelid in (select oid from tables) and (c.confrelid = 0 or c.confrelid in
           (select oid from tables)) as ours
    from pg_constraint c
    where contype in ('p', 'u', 'f') and (conrelid in (select oid from tables) or confrelid in (select oid from tables))
    union all
    select 2, indrelid::regclass::text, indexrelid::regclass::text, pg_get_indexdef(indexrelid), true
    from pg_index i
    where indrelid in (select oid from tables) and not exists (select from pg_constraint where conindid = indexrelid)
    order by 1, 2, 3
"""


@contextmanager
def straight(cursor: Cursor, tables: Sequence[str], rows: int) -> Iterator[None]:
    """Takes keys and indexes away while tables are filled with so many rows, where all of them are empty.

    Where they cannot be taken away (few rows, rights, somebody at work on a table, views that need a key) the tables keep
    them. Raises psycopg2.IntegrityError at the end for rows that break one.
    """
    remake = _taken_away(cursor, tables) if rows >= MANY_ROWS and _all_empty(cursor, tables) else []
    yield
    for statement in remake:
        cursor.execute(statement)


def _all_empty(cursor: Cursor, tables: Sequence[str]) -> bool:
    for table in tables:
        cursor.execute(f"select exists (select from {table})")
        if cursor.fetchone() != (False,):
            return False
    return True


def _taken_away(cursor: Cursor, tables: Sequence[str]) -> list[str]:
    """Statements that make again what was taken away; none where nothing could be."""
    cursor.execute(STANDING, {"tables": list(tables)})
    standing = cursor.fetchall()
    if not all(ours for *_, ours in standing):
        return []
    remake = list[str]()
    cursor.execute("select current_setting('lock_timeout')")
    before = (cursor.fetchone() or ("0",))[0]
    cursor.execute("savepoint straight")
    try:
        cursor.execute("select set_config('lock_timeout', %s, true)", (f"{FOR_A_PUBLISH.milliseconds}ms",))
        for place, table, name, definition, _ in standing:
            if place == 2:
                cursor.execute(f"drop index {name}")
                remake.append(definition)
            else:
                cursor.execute(f"alter table {table} drop constraint {name}")
                # A foreign key is held against the rows as it is made.
                remake.append(f"alter table {table} add constraint {name} {definition.removesuffix(' NOT VALID')}")
    except (
        psycopg2.errors.LockNotAvailable,
        psycopg2.errors.InsufficientPrivilege,
        psycopg2.errors.DependentObjectsStillExist,
    ) as e:
        cursor.execute("rollback to savepoint straight")
        log.event("gold.keys_kept", sqlstate=e.pgcode)
        return []
    cursor.execute("select set_config('lock_timeout', %s, true)", (before,))
    # Keys before what refers to them.
    foreign = [s for s in remake if " FOREIGN KEY " in s]
    return [s for s in remake if s not in foreign] + foreign

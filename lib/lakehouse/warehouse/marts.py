"""Materialised views over gold, one file each in conf/postgres/marts: the folder is the list.

A file is the statements that make the view `marts.<file>`, a unique index of plain columns on it, which a concurrent
refresh needs, and its comment. A digest of the file rides on that index as its comment: it comes and goes with the view,
and tells a changed definition from the one that stands.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property
from typing import NamedTuple

import psycopg2
from psycopg2.extensions import cursor as Cursor

from lakehouse import log
from lakehouse.contracts import resource_folder
from lakehouse.contracts.model import NAME
from lakehouse.database import Database
from lakehouse.database.rights import missing_schema_rights
from lakehouse.errors import ConfigError, LakehouseError, LedgerError, StoreError, safe_words
from lakehouse.warehouse.ddl import ensure_schemas, quoted
from lakehouse.warehouse.patience import patiently

SCHEMA = "marts"
PURPOSE = "Materialised views over gold, refreshed after each publish"
MADE_FOR = "marts_run"
UNIQUE = (
    "select c.oid, c.relname, obj_description(c.oid, 'pg_class') from pg_index i join pg_class c on c.oid = i.indexrelid "
    "where i.indrelid = to_regclass(%s) and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null "
    "order by c.oid"
)
GRANTS = """
    select format('grant %%s on %%s to %%s%%s', a.privilege_type, c.oid::regclass,
                  case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end,
                  case when a.is_grantable then ' with grant option' else '' end)
    from pg_class c, aclexplode(c.relacl) a where c.oid = to_regclass(%(mart)s) and a.grantee <> c.relowner
    union all
    select format('grant %%s (%%I) on %%s to %%s%%s', a.privilege_type, t.attname, c.oid::regclass,
                  case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end,
                  case when a.is_grantable then ' with grant option' else '' end)
    from pg_class c join pg_attribute t on t.attrelid = c.oid, aclexplode(t.attacl) a
    where c.oid = to_regclass(%(mart)s) and a.grantee <> c.relowner
    order by 1
"""


class Standing(NamedTuple):
    """A mart as the database has it: pg_class's kind, whether it has data, whether it is ours, the digest it was made by."""

    kind: str
    has_data: bool
    ours: bool
    digest: str | None


class Condition(NamedTuple):
    """Whether a mart shows the published gold, and what keeps it from being as its file says, if anything does."""

    is_fresh: bool
    fault: str | None = None


class Marts:
    """The views of the folder, by name."""

    def __init__(self, database: Database) -> None:
        self.database = database

    @cached_property
    def definitions(self) -> Mapping[str, str]:
        """Name and statements of each mart. Raises ConfigError for a file whose name cannot be a view's."""
        definitions = {}
        for file in sorted((resource_folder("conf") / "postgres" / "marts").iterdir(), key=lambda f: f.name):
            name, _, kind = file.name.rpartition(".")
            if kind == "sql":
                if not NAME.fullmatch(name):
                    raise ConfigError(
                        f"conf/postgres/marts/{file.name}: the file is named like its view, in small letters"
                    )
                definitions[name] = file.read_text(encoding="utf-8")
        return definitions

    def prepare(self) -> None:
        """Makes what is missing or was defined otherwise. Raises StoreError that names every view which could not be."""
        with self.database.connection() as connection, connection.cursor() as cursor:
            _ensure_schema(cursor)
        faults = [c.fault for m, d in self.definitions.items() if (c := self._bring(m, d, up_to_date=True)).fault]
        if faults:
            raise StoreError(f"not every view of {SCHEMA} is as it should be: {'; '.join(map(str, faults))}")

    def refresh(self, run_id: str) -> None:
        """Makes what is missing or was defined otherwise, and brings all marts up to the gold that `run_id` published.

        Raises StoreError that names every mart which could not be; the others are up to date all the same.
        """
        faults: list[str] = []
        fresh: set[str] = set()
        missing: list[str] = []
        try:
            with self.database.connection() as connection, connection.cursor() as cursor:
                missing = missing_schema_rights(cursor, [SCHEMA])
                _ensure_schema(cursor)
                cursor.execute("select value from ops.settings where name = %s", (MADE_FOR,))
                up_to_date = cursor.fetchone() == (run_id,)
        except LakehouseError as e:
            lacks = f"its role lacks rights: {'; '.join(missing)}" if missing else str(e)
            raise StoreError(f"gold is published, and the views of {SCHEMA} are not up to date: {lacks}") from None
        for mart, definition in self.definitions.items():
            try:
                condition = self._bring(mart, definition, up_to_date=up_to_date)
            except LakehouseError as e:
                condition = Condition(False, f"{SCHEMA}.{mart}: {e}")
            fresh |= {mart} if condition.is_fresh else set()
            faults += [condition.fault] if condition.fault else []
        if fresh == self.definitions.keys() and not up_to_date:
            with self.database.connection() as connection, connection.cursor() as cursor:
                cursor.execute(
                    "insert into ops.settings (name, value) values (%s, %s) "
                    "on conflict (name) do update set value = excluded.value", (MADE_FOR, run_id),
                )  # fmt: skip
        if faults:
            # Who owns the views needs no right to make one, so a lack of it alone is no fault.
            faults += [f"its role lacks rights: {'; '.join(missing)}"] if missing else []
            raise StoreError(
                f"gold is published, and not every view of {SCHEMA} is as it should be: {'; '.join(faults)}"
            )

    def drop(self, cursor: Cursor) -> dict[str, list[str]]:
        """Drops the marts in the caller's transaction; returns their names with what was granted on each.

        Raises LedgerError for one that belongs to another role.
        """
        dropped = {}
        for mart in self.definitions:
            there = standing(cursor, mart)
            if there is not None and there.kind == "m":
                if not there.ours:
                    raise LedgerError(f"{SCHEMA}.{mart} belongs to another role and stands on gold; have it dropped, and "
                                      f"rebuild gold")  # fmt: skip
                dropped[mart] = _grants(cursor, mart)
                patiently(cursor, [f"drop materialized view {SCHEMA}.{mart}"], f"{SCHEMA}.{mart}")
        cursor.execute("delete from ops.settings where name = %s", (MADE_FOR,))
        return dropped

    def make_again(self, cursor: Cursor, dropped: Mapping[str, list[str]]) -> None:
        """Makes dropped marts in the caller's transaction, with their grants. One that cannot be made stops nobody."""
        for mart, grants in dropped.items():
            cursor.execute("savepoint mart")
            try:
                _make(cursor, mart, self.definitions[mart])
                for grant in grants:
                    _when_allowed(cursor, grant)
            except (psycopg2.Error, LakehouseError) as e:
                cursor.execute("rollback to savepoint mart")
                log.warning("mart.not_made", mart=mart, reason=safe_words(e))

    def _bring(self, mart: str, definition: str, *, up_to_date: bool) -> Condition:
        """Makes, makes again or refreshes a mart, and returns how it is now. Raises StoreError for what Postgres refuses."""
        name, fault = f"{SCHEMA}.{mart}", None
        with self.database.connection() as connection, connection.cursor() as cursor:
            there = standing(cursor, mart)
            kept_up = (
                there is not None
                and not there.ours
                and there.digest == digest(definition)
                and _may_refresh(cursor, name)
            )
            if there is not None and (there.kind != "m" or not (there.ours or kept_up)):
                owner = "is something else than a materialised view" if there.kind != "m" else "belongs to another role"
                return Condition(False, f"{name} {owner}: drop or rename it, and the next publish makes ours; or, where the "
                                        f"owner of gold made it, run lakehouse setup")  # fmt: skip
            if there is None:
                _make(cursor, mart, definition)
                return Condition(True)
            if there.digest != digest(definition):
                try:
                    grants = _grants(cursor, mart)
                    patiently(cursor, [f"drop materialized view {name}"], name)
                    _make(cursor, mart, definition)
                    for grant in grants:
                        _when_allowed(cursor, grant)
                    log.event("mart.made", mart=mart)
                    return Condition(True)
                except psycopg2.errors.DependentObjectsStillExist:
                    cursor.execute("rollback to savepoint patience")
                    fault = (f"{name} has a new definition and something of your own stands on it: drop that, run gold again, "
                             f"and make it again")  # fmt: skip
            if up_to_date and there.has_data:
                return Condition(True, fault)
            cursor.execute(UNIQUE, (name,))
            # A first filling, and a view that lost its unique index, cannot be refreshed while people read.
            concurrently = "concurrently " if there.has_data and cursor.fetchone() else ""
            try:
                cursor.execute(f"refresh materialized view {concurrently}{name}")
            except psycopg2.Error as e:
                if fault is None:
                    raise
                return Condition(False, f"{fault}; {name}: {self.database.refused(e)}")
            return Condition(True, fault)


def _ensure_schema(cursor: Cursor) -> None:
    ensure_schemas(cursor, SCHEMA)
    cursor.execute("select obj_description(to_regnamespace(%s), 'pg_namespace')", (SCHEMA,))
    if cursor.fetchone() == (None,):
        _when_allowed(cursor, f"comment on schema {SCHEMA} is {quoted(PURPOSE)}")


def _may_refresh(cursor: Cursor, name: str) -> bool:
    """Whether a view's owner lets us bring it up to date, as servers from PostgreSQL 17 on allow."""
    if cursor.connection.server_version < 170_000:
        return False
    cursor.execute("select has_table_privilege(%s, 'maintain')", (name,))
    return bool((cursor.fetchone() or (False,))[0])


def digest(definition: str) -> str:
    """What tells one definition from another: all of it but its comments."""
    lines = [line.rstrip() for line in definition.splitlines() if not line.lstrip().startswith("--")]
    return f"definition {hashlib.sha256(chr(10).join(lines).strip().encode()).hexdigest()[:16]}"


def standing(cursor: Cursor, mart: str) -> Standing | None:
    """A mart as it is in the database; None where nothing has its name."""
    cursor.execute(
        "select relkind::text, relispopulated, pg_has_role(relowner, 'usage') from pg_class where oid = to_regclass(%s)",
        (f"{SCHEMA}.{mart}",),
    )
    row = cursor.fetchone()
    if row is None:
        return None
    cursor.execute(UNIQUE, (f"{SCHEMA}.{mart}",))
    digests = [comment for _, _, comment in cursor.fetchall() if comment and comment.startswith("definition ")]
    kind, has_data, ours = row
    return Standing(kind, has_data, ours, digests[0] if digests else None)


def _make(cursor: Cursor, mart: str, definition: str) -> None:
    """Executes a definition and marks what it made. Raises ConfigError for a file that makes no such view or index."""
    cursor.execute(definition)
    cursor.execute(UNIQUE, (f"{SCHEMA}.{mart}",))
    index = cursor.fetchone()
    if index is None:
        raise ConfigError(f"conf/postgres/marts/{mart}.sql must make the view {SCHEMA}.{mart} and a unique index of plain "
                          f"columns on it, by which it is refreshed while people read")  # fmt: skip
    cursor.execute(f'comment on index {SCHEMA}."{index[1]}" is {quoted(digest(definition))}')


def _grants(cursor: Cursor, mart: str) -> list[str]:
    cursor.execute(GRANTS, {"mart": f"{SCHEMA}.{mart}"})
    return [statement for (statement,) in cursor.fetchall()]


def _when_allowed(cursor: Cursor, statement: str) -> None:
    """A statement that may fail alone: a grant on a column that is gone, a comment on somebody's schema."""
    cursor.execute("savepoint allowed")
    try:
        cursor.execute(statement)
    except psycopg2.Error as e:
        cursor.execute("rollback to savepoint allowed")
        log.warning("mart.statement_refused", reason=safe_words(e))
    else:
        cursor.execute("release savepoint allowed")

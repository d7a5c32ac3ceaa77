"""Lets dbt in: a role that reads gold without personal columns and makes tables in the schema analytics, and nowhere else.

Nobody logs in as that role: who may, takes it on (`set role`), so there is no further password. It is made on the embedded
server by its superuser, elsewhere by gold's owner if he may make roles, else by an administrator. Doing it again changes
only what is missing, or what contracts or the readers of marts have changed since.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager

import psycopg2
from psycopg2.extensions import cursor as Cursor
from psycopg2.extensions import parse_dsn

from lakehouse.contracts import Contract
from lakehouse.database import Database
from lakehouse.errors import LedgerError, StoreError
from lakehouse.server.databases import database_url
from lakehouse.server.embedded import EmbeddedPostgres
from lakehouse.server.roles import OWNER
from lakehouse.settings import Settings
from lakehouse.warehouse import grants
from lakehouse.warehouse.ddl import GOLD, schema_of_ours
from lakehouse.warehouse.marts import SCHEMA as MARTS

SCHEMA = grants.ANALYTICS
PURPOSE = "Marts that dbt makes of gold; all but product_history can be made again: docs/dbt.md"
# The first server that tells who may take a role on from who is only a member of it.
TELLS_SET = 160_000


def make_role(cursor: Cursor, member: str) -> None:
    """Makes the role where it is missing, and lets `member`, an owner of gold, take it on. For who may make roles."""
    cursor.execute("select to_regrole(%s) is null", (grants.DBT,))
    if cursor.fetchone() == (True,):
        cursor.execute(f"create role {grants.DBT} nologin")
    if not _may_become(cursor, member):
        cursor.execute("select quote_ident(%s)", (member,))
        cursor.execute(f"grant {grants.DBT} to {(cursor.fetchone() or ('',))[0]}")


def let_in(settings: Settings, contracts: Iterable[Contract]) -> None:
    """Makes role, schema and grants, by gold's owner; changes nothing where all are there.

    Raises LedgerError, with what to do, where our role may not.
    """
    dsn = database_url(settings, "owner", create=False)
    loader = parse_dsn(database_url(settings, "gold", create=False)).get("user", "")
    if settings.gold_dsn is None:
        server = EmbeddedPostgres(settings.home)
        with closing(Database(server.url("postgres"), "gold", StoreError)) as admin, admin.connection() as connection:
            make_role(connection.cursor(), OWNER)
    owner = Database(dsn, "owner" if settings.owner_dsn else "gold", StoreError)
    with closing(owner), owner.connection() as connection, connection.cursor() as cursor:
        try:
            for statement in _missing(cursor, loader, list(contracts)):
                cursor.execute(statement)
        except (psycopg2.errors.InsufficientPrivilege, psycopg2.errors.UndefinedObject):
            connection.rollback()
            raise LedgerError(
                f"dbt lacks a right at {owner.where} that {_user(dsn)} may not give: run `make dbt` once with gold's owner in "
                f"LAKEHOUSE_OWNER_DSN; if there is no role {grants.DBT} and the owner may make none, have an administrator "
                f"run `create role {grants.DBT} nologin` and grant it to {loader} and to the owner"
            ) from None


@contextmanager
def as_dbt(database: Database) -> Iterator[Cursor]:
    """A transaction on gold as dbt's role."""
    with database.connection() as connection, connection.cursor() as cursor:
        cursor.execute(f"set local role {grants.DBT}")
        yield cursor


def _missing(cursor: Cursor, loader: str, contracts: list[Contract]) -> Iterator[str]:
    """What is left to do, one statement after the other: each question supposes that those before were executed."""
    cursor.execute("select quote_ident(current_database()), to_regrole(%s) is null", (grants.DBT,))
    database, is_absent = cursor.fetchone() or ("", False)
    if is_absent:
        yield f"create role {grants.DBT} nologin"
    cursor.execute(
        # A URL without a user is of the user that libpq takes: the owner's is known, as it is the one that asks.
        "select n, quote_ident(n) from unnest(array[current_user::text, nullif(%s, '')]) n where n is not null "
        "group by 1 order by 1",
        (loader,),
    )
    for name, quoted_name in cursor.fetchall():
        if not _may_become(cursor, name):
            yield f"grant {grants.DBT} to {quoted_name}"
    yield from schema_of_ours(cursor, SCHEMA, PURPOSE)
    if not _sees_what_it_should(cursor, contracts):
        yield from grants.for_dbt(database, contracts)
    for reader in _readers(cursor):
        yield f"grant usage on schema {SCHEMA} to {reader}"
        yield f"grant select on all tables in schema {SCHEMA} to {reader}"
        yield f"alter default privileges for role {grants.DBT} in schema {SCHEMA} grant select on tables to {reader}"
    for former in _former_readers(cursor):
        yield f"alter default privileges for role {grants.DBT} in schema {SCHEMA} revoke all on tables from {former}"
        yield f"revoke all on all tables in schema {SCHEMA} from {former}"
        yield f"revoke all on schema {SCHEMA} from {former}"


def _may_become(cursor: Cursor, name: str) -> bool:
    how = "set" if cursor.connection.server_version >= TELLS_SET else "member"
    cursor.execute("select pg_has_role(%s, %s, %s)", (name, grants.DBT, how))
    return cursor.fetchone() == (True,)


def _sees_what_it_should(cursor: Cursor, contracts: list[Contract]) -> bool:
    """Whether dbt reads exactly the columns that it may, and has its schemas and temporary tables."""
    shown = [f"{c.table}.{column}" for c in contracts for column in grants.readable(c)]
    cursor.execute(
        "select has_schema_privilege(%(dbt)s, %(gold)s, 'usage') and has_schema_privilege(%(dbt)s, %(schema)s, 'create') "
        "and has_database_privilege(%(dbt)s, current_database(), 'temporary') and coalesce(bool_and("
        "has_column_privilege(%(dbt)s, c.oid, attnum, 'select') = (relname || '.' || attname = any(%(shown)s))), true) "
        "from pg_class c join pg_attribute on attrelid = c.oid and attnum > 0 and not attisdropped "
        "where relnamespace = to_regnamespace(%(gold)s) and relkind = 'r'",
        {"dbt": grants.DBT, "gold": GOLD, "schema": SCHEMA, "shown": shown},
    )
    return cursor.fetchone() == (True,)


def _readers(cursor: Cursor) -> list[str]:
    """Who may read marts and not yet what dbt will make."""
    cursor.execute(
        "select distinct quote_ident(pg_get_userbyid(a.grantee)) from pg_namespace n, aclexplode(n.nspacl) a "
        "where n.nspname = %(marts)s and a.privilege_type = 'USAGE' and a.grantee not in (0, n.nspowner, to_regrole(%(dbt)s)::oid) "
        "and (not has_schema_privilege(a.grantee, %(schema)s, 'usage') or not exists (select from pg_default_acl d, "
        "aclexplode(d.defaclacl) g where d.defaclrole = to_regrole(%(dbt)s) and d.defaclnamespace = to_regnamespace(%(schema)s) "
        "and g.grantee = a.grantee))",
        {"marts": MARTS, "schema": SCHEMA, "dbt": grants.DBT},
    )
    return [name for (name,) in cursor.fetchall()]


def _former_readers(cursor: Cursor) -> list[str]:
    """Whom this let read what dbt makes, by the default for its tables, and who may not read marts any more."""
    cursor.execute(
        "select distinct quote_ident(pg_get_userbyid(g.grantee)) from pg_default_acl d, aclexplode(d.defaclacl) g "
        "where d.defaclrole = to_regrole(%(dbt)s) and d.defaclnamespace = to_regnamespace(%(schema)s) "
        "and g.grantee not in (0, d.defaclrole) and not exists (select from pg_namespace n, aclexplode(n.nspacl) a "
        "where n.nspname = %(marts)s and a.privilege_type = 'USAGE' and a.grantee = g.grantee) "
        # Where there are no marts, nobody has lost them.
        "and to_regnamespace(%(marts)s) is not null",
        {"marts": MARTS, "schema": SCHEMA, "dbt": grants.DBT},
    )
    return [name for (name,) in cursor.fetchall()]


def _user(dsn: str) -> str:
    return parse_dsn(dsn).get("user", "")

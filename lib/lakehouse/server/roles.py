"""The ordinary roles of the embedded server: `lakehouse` owns the shop's two databases, the others read gold.

The superuser makes them and is not used by a run, nor shown by `lakehouse dsn`: on this server it could start programs.
A server of the first release, whose databases are the superuser's, is handed over the first time it is asked for.
"""

from __future__ import annotations

from contextlib import closing

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor

from lakehouse.errors import LedgerError, StoreError
from lakehouse.server.embedded import SUPERUSER, EmbeddedPostgres

OWNER, READER, PII_READER = "lakehouse", "reader", "pii_reader"
GOLD = "ecommerce_gold"

# All that the superuser made in a database, but what belongs to an extension or follows its table.
HAND_OVER = """
do $$
declare kind text; object text;
begin
  set local search_path = '';
  for kind, object in
    with mine as (select oid from pg_catalog.pg_roles where rolname = current_user),
    spaces as (select * from pg_catalog.pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema'),
    inner_ones as (select classid, objid from pg_catalog.pg_depend where deptype = 'e'
      union all select d.classid, d.objid from pg_catalog.pg_depend d join pg_catalog.pg_class c on c.oid = d.objid
      where d.classid = 'pg_catalog.pg_class'::regclass and d.deptype in ('a', 'i') and c.relkind = 'S')
    select 'schema', format('%I', nspname) from spaces where nspowner in (table mine)
    union all
    select case c.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence'
      when 'f' then 'foreign table' else 'table' end, c.oid::regclass::text
    from pg_catalog.pg_class c join spaces s on s.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'S', 'f') and c.relowner in (table mine)
      and ('pg_catalog.pg_class'::regclass, c.oid) not in (table inner_ones)
    union all
    select 'routine', p.oid::regprocedure::text from pg_catalog.pg_proc p join spaces s on s.oid = p.pronamespace
    where p.proowner in (table mine) and p.prokind <> 'a' and ('pg_catalog.pg_proc'::regclass, p.oid) not in (table inner_ones)
    union all
    select 'type', t.oid::regtype::text from pg_catalog.pg_type t join spaces s on s.oid = t.typnamespace
    where t.typtype in ('d', 'e') and t.typowner in (table mine)
      and ('pg_catalog.pg_type'::regclass, t.oid) not in (table inner_ones)
  loop
    execute format('alter %s %s owner to lakehouse', kind, object);
  end loop;
end $$
"""
READ_ALL = """
do $$
declare space text;
begin
  for space in select format('%I', nspname) from pg_namespace where nspowner = 'lakehouse'::regrole or nspname = 'public' loop
    execute format('grant usage on schema %s to reader', space);
    execute format('grant select on all tables in schema %s to reader', space);
  end loop;
end $$;
alter default privileges for role lakehouse grant usage on schemas to reader;
alter default privileges for role lakehouse grant select on tables to reader;
"""
# So that nobody who looks is in the way of a publish for long. `lakehouse setup` grants what the two may read.
LIMITS = """
alter role reader in database ecommerce_gold set statement_timeout = '5min';
alter role pii_reader in database ecommerce_gold set statement_timeout = '5min';
"""


def shop_url(server: EmbeddedPostgres, database: str, role: str, *, create: bool) -> str:
    """The URL of one of the shop's databases for an ordinary role, starting the server where it is down.

    Makes server, roles and database where they are missing, if it may: else it raises LedgerError, and makes nothing.
    """
    if not create and not server.exists():
        raise _nothing_yet(server)
    server.start()
    try:
        with server.locked():
            with closing(psycopg2.connect(server.url("postgres"))) as connection, connection.cursor() as cursor:
                connection.autocommit = True
                if not _owner(cursor, database) and not create:
                    raise _nothing_yet(server)
                for name in (OWNER, READER, PII_READER):
                    _make_role(server, cursor, name)
                if not _owner(cursor, database):
                    # template0: nobody can be connected to it, so creating never has to wait for anybody
                    cursor.execute(sql.SQL("create database {} template template0").format(sql.Identifier(database)))
                hand_over = _owner(cursor, database) == SUPERUSER
            if hand_over:
                _hand_over(server, database)
    except psycopg2.Error as e:
        # Only the kind of error: its text may repeat parts of the URL.
        raise StoreError(
            f"The embedded Postgres in {server.folder} does not answer ({type(e).__name__}): see {server.log}."
        ) from None
    return server.url(database, role)


def _owner(cursor: Cursor, database: str) -> str | None:
    cursor.execute("select datdba::regrole::text from pg_database where datname = %s", (database,))
    found = cursor.fetchone()
    return found[0] if found else None


def _make_role(server: EmbeddedPostgres, cursor: Cursor, role: str) -> None:
    cursor.execute("select from pg_roles where rolname = %s", (role,))
    there = bool(cursor.rowcount)
    if not there or not server.has_password(role):
        statement = sql.SQL("{} role {} login password {}")
        verb = sql.SQL("alter" if there else "create")
        cursor.execute(statement.format(verb, sql.Identifier(role), sql.Literal(server.new_password(role))))


def _hand_over(server: EmbeddedPostgres, database: str) -> None:
    """In one transaction, of which the database itself is the last step: what was interrupted is done again."""
    name = sql.Identifier(database)
    with closing(psycopg2.connect(server.url(database))) as connection, connection, connection.cursor() as cursor:
        cursor.execute(HAND_OVER)
        cursor.execute(sql.SQL("revoke connect, temporary on database {} from public").format(name))
        if database == GOLD:
            cursor.execute(sql.SQL("grant connect on database {} to reader").format(name))
            cursor.execute(LIMITS)
            cursor.execute(READ_ALL)
        cursor.execute(sql.SQL("alter database {} owner to lakehouse").format(name))


def _nothing_yet(server: EmbeddedPostgres) -> LedgerError:
    return LedgerError(f"there is no lakehouse in {server.folder.parent} yet: run a day, or `make demo`")

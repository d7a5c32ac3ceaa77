"""Which gold it shows, and as whom: a reader, who changes nothing and reads no personal column, which is checked each time.

On a server that we bring the reader is made where it is missing, with the grants that `lakehouse setup` gives; on one of
your own that is its owner's to do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlencode

from psycopg2.extensions import cursor as Cursor
from psycopg2.extensions import parse_dsn

from lakehouse.contracts import Contract, load_contracts
from lakehouse.database import Database
from lakehouse.errors import LedgerError, StoreError
from lakehouse.server.databases import database_url
from lakehouse.server.embedded import EmbeddedPostgres
from lakehouse.server.roles import GOLD as DATABASE
from lakehouse.server.roles import READER
from lakehouse.settings import Settings, load_settings
from lakehouse.warehouse import grants
from lakehouse.warehouse.ddl import GOLD
from lakehouse.warehouse.marts import SCHEMA as MARTS
from tools.stack.settings import Stack
from tools.stack.supervisor import Supervisor

WRITES = ("INSERT", "UPDATE", "DELETE", "TRUNCATE")


class Reader(NamedTuple):
    """A reader's libpq URL, and whose gold it is in words."""

    dsn: str
    whose: str

    @property
    def password(self) -> str:
        return str(parse_dsn(self.dsn).get("password", ""))

    def address(self, password: str) -> str:
        """The URL as Superset writes it, with a word in the place of the password."""
        parts = parse_dsn(self.dsn)
        rest = {
            name: parts[name] for name in sorted(parts) if name not in ("user", "password", "host", "port", "dbname")
        }
        where = f"{parts.get('host', '127.0.0.1')}:{parts.get('port', '5432')}/{quote(parts['dbname'], safe='')}"
        options = f"?{urlencode(rest)}" if rest else ""
        return f"postgresql+psycopg2://{quote(parts.get('user', ''), safe='')}:{password}@{where}{options}"


def find(settings: Settings) -> Reader:
    """The gold that the settings name, else that of the stack that runs, else that of this home.

    Raises LedgerError where there is none, or where its reader may do more or less than read what a reader should.
    """
    contracts = list(load_contracts()["gold"].values())
    if settings.gold_dsn is not None:
        return _checked(Reader(database_url(settings, "reader"), "the gold of LAKEHOUSE_GOLD_DSN"), contracts)
    stack = Stack()
    if Supervisor(stack).runs():
        if stack.named("LAKEHOUSE_GOLD_DSN"):
            named = database_url(load_settings(stack.secrets / "pipeline"), "reader")
            return _checked(Reader(named, "the gold of the stack's shop"), contracts)
        return of_ours(stack.home, "the stack's gold", contracts)
    if EmbeddedPostgres(settings.home).exists():
        return of_ours(settings.home, f"the gold in {settings.home}", contracts)
    raise LedgerError(
        "there is no gold to show: no stack runs (`make up`), LAKEHOUSE_GOLD_DSN is not set, and there is no lakehouse in "
        f"{settings.home} (`make demo`)"
    )


def of_ours(home: Path, whose: str, contracts: list[Contract]) -> Reader:
    """The reader of an embedded server, made or given its grants where something is missing."""
    server = EmbeddedPostgres(home)
    server.start()
    with closing(Database(server.url("postgres"), "gold", StoreError)) as admin, admin.connection() as connection:
        cursor = connection.cursor()
        cursor.execute("select exists (select from pg_database where datname = %s)", (DATABASE,))
        if cursor.fetchone() != (True,):
            raise LedgerError(f"{whose} was never made: run a day, or `make demo`")
    with closing(Database(server.url(DATABASE), "gold", StoreError)) as owner, owner.connection() as connection:
        cursor = connection.cursor()
        _check_published(cursor, whose, contracts)
        cursor.execute("select to_regrole(%s) is not null", (READER,))
        is_there = cursor.fetchone() == (True,)
        if not is_there or not server.has_password(READER):
            verb = "alter" if is_there else "create"
            cursor.execute(f"{verb} role {READER} login password %s", (server.new_password(READER),))
        if list(_faults(cursor, READER, contracts)):
            marts = [name for name, is_personal in grants.marts_of(cursor, contracts).items() if not is_personal]
            for statement in (
                *grants.for_reader(DATABASE, READER, contracts, marts, sees_personal=False),
                *grants.limits(DATABASE, "reader", READER),
            ):
                cursor.execute(statement)
    return _checked(Reader(server.url(DATABASE, READER), whose), contracts)


def _check_published(cursor: Cursor, whose: str, contracts: list[Contract]) -> None:
    cursor.execute("select coalesce(bool_and(to_regclass(n) is not null), true) from unnest(%s) n",
                   ([f"{GOLD}.{c.table}" for c in contracts],))  # fmt: skip
    if cursor.fetchone() != (True,):
        raise LedgerError(f"{whose} has not published anything yet: run a day, or `make demo`")


def _checked(reader: Reader, contracts: list[Contract]) -> Reader:
    with closing(Database(reader.dsn, "reader", StoreError)) as database, database.connection() as connection:
        cursor = connection.cursor()
        _check_published(cursor, reader.whose, contracts)
        cursor.execute("select current_user::text")
        [name] = cursor.fetchone() or ("",)
        if faults := list(_faults(cursor, name, contracts)):
            raise LedgerError(
                f"{name} at {database.where} is no reader as Superset should have one: it {'; it '.join(faults)}. "
                "Run `lakehouse setup`, with that role in LAKEHOUSE_READER_DSN"
            )
    return reader


def _faults(cursor: Cursor, role: str, contracts: list[Contract]) -> Iterator[str]:
    """What a role may and should not, or may not and should, in words."""
    cursor.execute("select rolsuper from pg_roles where rolname = %s", (role,))
    if cursor.fetchone() == (True,):
        yield "is a superuser"
        return
    for contract in contracts:
        cursor.execute(
            "select a.attname, has_column_privilege(%s, a.attrelid, a.attnum, 'select') from pg_attribute a "
            "where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped",
            (role, f"{GOLD}.{contract.table}"),
        )
        may = {name for name, is_granted in cursor.fetchall() if is_granted}
        if seen := sorted(may & set(grants.personal(contract))):
            yield f"reads {', '.join(seen)} of {GOLD}.{contract.table}, which are personal"
        if unseen := sorted(set(grants.readable(contract)) - may):
            yield f"does not read {', '.join(unseen)} of {GOLD}.{contract.table}"
    cursor.execute(
        "select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace "
        "where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and c.relkind in ('r', 'p', 'v', 'm') and exists "
        "(select from unnest(%s) w where has_table_privilege(%s, c.oid, w)) order by 1",
        (list(WRITES), role),
    )
    if written := [name for (name,) in cursor.fetchall()]:
        yield f"may change {', '.join(written[:3])}"
    cursor.execute(
        "select n.nspname from pg_namespace n where n.nspname !~ '^pg_' and has_schema_privilege(%s, n.oid, 'create')",
        (role,),
    )
    if made := [name for (name,) in cursor.fetchall()]:
        yield f"may make tables in {', '.join(made)}"
    personal = {name for name, is_personal in grants.marts_of(cursor, contracts).items() if is_personal}
    cursor.execute(
        "select relname, has_schema_privilege(%s, relnamespace, 'usage') and has_table_privilege(%s, oid, 'select') "
        "from pg_class where relnamespace = to_regnamespace(%s) and relkind in ('v', 'm')",
        (role, role, MARTS),
    )
    for name, is_granted in cursor.fetchall():
        if is_granted is (name in personal):
            yield f"{'reads' if is_granted else 'does not read'} {MARTS}.{name}"

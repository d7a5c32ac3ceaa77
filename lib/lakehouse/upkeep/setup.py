"""Makes the gold database ready as its owner: the ledger's schema, gold's shape, the views of marts, roles and grants.

A run does the first three itself where its role owns them. Where it does not, it needs no DDL but in the staging schema,
once this has been run. Doing it again changes nothing but what contracts or settings have changed since.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any, NamedTuple

import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor
from psycopg2.extensions import encrypt_password, parse_dsn

from lakehouse.contracts import Contract
from lakehouse.database import Database
from lakehouse.database.rights import unfit
from lakehouse.errors import LakehouseError, LedgerError, StoreError
from lakehouse.ledger.migrations import migrate
from lakehouse.warehouse import ddl, grants
from lakehouse.warehouse.gold import Gold, parents_first

# What changes nothing, and what a transaction is made of.
LOOKS = re.compile(r"\s*(select|with|show|set|lock|savepoint|release|rollback)\b", re.IGNORECASE)
SECRET = re.compile(r"(?<= password )'[^']*'")
# The first server on which who does not own a view may be allowed to refresh it.
MAINTAINING = 170_000


class Readiness(NamedTuple):
    """The statements that were executed, or would be, and what is left to an administrator of the server."""

    database: str
    statements: list[str]
    left: list[str]


class Watched(Database):
    """A database that notes what changes it; unless it `keeps` them, changes are tried and taken back."""

    def __init__(self, dsn: str, role: str, *, keeps: bool, error: type[LakehouseError] = StoreError) -> None:
        super().__init__(dsn, role, error)
        self.statements: list[str] = []
        self._keeps = keeps
        self._only: Connection | None = None

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """As any database's, or the only one, in whose transaction all is tried."""
        if self._keeps:
            with super().connection() as connection:
                yield connection
            return
        try:
            self._only = self._only or self._connect()
        except psycopg2.Error as e:
            raise self.unreachable(e) from None
        try:
            yield self._only
        except psycopg2.Error as e:
            raise self.refused(e) from None

    def close(self) -> None:
        """Takes back what was only tried."""
        if self._only is not None:
            self._only.close()
            self._only = None
        super().close()

    def _connect(self) -> Connection:
        noted, connection = self.statements, super()._connect()

        class Noting(Cursor):
            """Keeps the statements that change something, without a password."""

            def execute(self, query: Any, vars: Any = None) -> None:  # noqa: A002 - psycopg2's name
                super().execute(query, vars)
                text = (self.query or b"").decode()
                if not LOOKS.match(text):
                    noted.append(SECRET.sub("'…'", text).strip())

        connection.cursor_factory = Noting
        return connection


def setup(
    owner: str, roles: Mapping[str, str], contracts: Mapping[str, Contract], *, keeps: bool, role: str = "gold"
) -> Readiness:
    """Makes all ready by the owner's URL. `roles`: URLs of loader, reader and pii_reader, of those that there are.

    A role that is missing is made, and gets the password of its URL. Raises StoreError or LedgerError where the server or
    the owner's rights do not allow it; what was done until then stays, and is not done again.
    """
    with closing(Watched(owner, role, keeps=keeps)) as database:
        left: list[str] = []
        ordered = parents_first(contracts)
        with database.connection() as connection, connection.cursor() as cursor:
            named = _named(cursor, roles)
            _check(database, cursor, named)
            for kind, (name, password) in named.items():
                left += _make(database, cursor, kind, name, password)
            if "loader" in named:
                for statement in list(grants.handed_over(cursor, named["loader"][0], "current_user")):
                    cursor.execute(statement)
        migrate(database)
        gold = Gold(database, contracts)
        gold.prepare()
        gold.marts.prepare()
        _validate(database, ordered)
        with database.connection() as connection, connection.cursor() as cursor:
            for statement in _grants(cursor, {k: name for k, (name, _) in named.items()}, ordered):
                cursor.execute(statement)
        return Readiness(database.where, database.statements, left)


def _named(cursor: Cursor, roles: Mapping[str, str]) -> dict[str, tuple[str, str | None]]:
    """Each role but the owner itself: its name, as SQL writes it, and its password."""
    found = {}
    for kind, dsn in roles.items():
        parts = parse_dsn(dsn)
        # As the server writes it, which is in quotes only where it must be.
        cursor.execute("select quote_ident(%s) where %s <> current_user", (user := parts.get("user", ""), user))
        for (name,) in cursor.fetchall():
            found[kind] = (name, parts.get("password"))
    return found


def _check(database: Database, cursor: Cursor, named: Mapping[str, object]) -> None:
    faults = unfit(cursor)
    if "loader" in named and cursor.connection.server_version < MAINTAINING:
        faults.append("a role that refreshes views without owning them needs PostgreSQL 17: leave LAKEHOUSE_OWNER_DSN out, "
                      "and let LAKEHOUSE_GOLD_DSN name the owner")  # fmt: skip
    if faults:
        raise LedgerError(f"the gold database at {database.where} cannot be set up, and nothing was changed: "
                          f"{'; '.join(faults)}")  # fmt: skip


def _make(database: Database, cursor: Cursor, kind: str, name: str, password: str | None) -> Iterator[str]:
    """Makes a role, or gives it the password and the limits that it is to have; yields what we may not do."""
    cursor.execute(
        "select to_regrole(%(role)s) is not null, r.rolsuper or r.rolcreaterole and (to_regrole(%(role)s) is null or "
        "exists (select from pg_auth_members where roleid = to_regrole(%(role)s) and member = r.oid and admin_option)) "
        "from pg_roles r where rolname = current_user",
        {"role": name},
    )
    is_there, may = cursor.fetchone() or (False, False)
    cursor.execute("select quote_ident(current_database())")
    limits = list(grants.limits(str((cursor.fetchone() or ("",))[0]), kind, name))
    if not is_there and not may:
        raise LedgerError(f"there is no role {name} at {database.where}, and the owner may make none: have an administrator "
                          f"run `create role {name} login` and give it a password")  # fmt: skip
    if not may:
        yield from limits
        return
    secret = ""
    if password:
        verifier = encrypt_password(password, name.strip('"'), scope=cursor, algorithm="scram-sha-256")
        secret = f" password {ddl.quoted(verifier)}"
    cursor.execute(f"{'alter' if is_there else 'create'} role {name} login{secret}")
    for statement in limits:
        cursor.execute(statement)


def _validate(database: Database, contracts: list[Contract]) -> None:
    """Holds rows against foreign keys that a contract gained; where some do not fit, the next publish says so."""
    with database.connection() as connection, connection.cursor() as cursor:
        cursor.execute("savepoint keys")
        try:
            ddl.validate_foreign_keys(cursor, contracts)
        except psycopg2.IntegrityError:
            cursor.execute("rollback to savepoint keys")


def _grants(cursor: Cursor, names: Mapping[str, str], contracts: Iterable[Contract]) -> Iterator[str]:
    cursor.execute("select quote_ident(current_database())")
    database = str((cursor.fetchone() or ("",))[0])
    contracts, marts = list(contracts), grants.marts_of(cursor, contracts)
    yield from grants.closed(database)
    if "loader" in names:
        yield from grants.for_loader(database, names["loader"])
    for kind in ("reader", "pii_reader"):
        if kind in names:
            sees = kind == "pii_reader"
            readable = [mart for mart, is_personal in marts.items() if sees or not is_personal]
            yield from grants.for_reader(database, names[kind], contracts, readable, sees_personal=sees)

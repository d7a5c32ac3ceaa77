"""Which databases a command talks to: those named in the settings, or the embedded server, started where it is down."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse import log
from lakehouse.cli.console import Json, err, out, print_json
from lakehouse.database import Database
from lakehouse.errors import SourceError, StoreError
from lakehouse.ledger import Ledger
from lakehouse.server.databases import OF_THE_EMBEDDED, database_url
from lakehouse.server.embedded import EmbeddedPostgres
from lakehouse.settings import Settings, load_settings

if TYPE_CHECKING:
    from lakehouse.source.postgres import Source


class Role(StrEnum):
    """The two databases, and gold for its owner and for those who may only read it."""

    source = "source"
    gold = "gold"
    owner = "owner"
    reader = "reader"
    pii_reader = "pii_reader"


def dsn(role: Role) -> None:
    """Print the libpq URL of a database, password included, starting the embedded server if it is down."""
    print(dsn_of(load_settings(), role, create=False))


def setup(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the SQL, tried and taken back.")] = False,
    as_json: Json = False,
) -> None:
    """Make the gold database ready as its owner: ledger, tables, views, roles and what each may do."""
    from lakehouse.contracts import load_contracts
    from lakehouse.upkeep import setup as work

    settings = load_settings()
    roles = {"loader": settings.gold_dsn, "reader": settings.reader_dsn, "pii_reader": settings.pii_reader_dsn}
    named: dict[str, str] = {kind: dsn.get_secret_value() for kind, dsn in roles.items() if dsn}
    if settings.gold_dsn is None:
        named = {kind: database_url(settings, kind) for kind in OF_THE_EMBEDDED}
    owner = database_url(settings, "owner", create=not dry_run)
    log.to_json_lines()
    done = work.setup(owner, named, load_contracts()["gold"], keeps=not dry_run,
                      role="owner" if settings.owner_dsn else "gold")  # fmt: skip
    if as_json:
        print_json({**done._asdict(), "dry_run": dry_run})
        return
    for statement in done.statements:
        print(f"{statement.rstrip(';')};")
    for statement in done.left:
        print(f"-- for an administrator of the server: {statement};")
    if not dry_run:
        err.print(f"gold at {done.database} is ready: {len(done.statements)} statements")


def stop() -> None:
    """Stop the embedded database server."""
    server = EmbeddedPostgres(load_settings().home)
    if server.running():
        server.stop()
        out.print("the embedded server is stopped")
    else:
        out.print("the embedded server was not running")


def dsn_of(settings: Settings, role: Role, *, create: bool = True) -> str:
    """The libpq URL of a database; raises LedgerError where there is none and none is to be created."""
    return database_url(settings, role.value, create=create)


def gold_of(settings: Settings, *, create: bool = False) -> Database:
    """The gold database; raises as `dsn_of`."""
    return Database(dsn_of(settings, Role.gold, create=create), "gold", StoreError)


def source_of(settings: Settings) -> Source:
    """The source, for who looks; raises LedgerError where there is none."""
    from lakehouse.source.postgres import Source

    return Source(Database(dsn_of(settings, Role.source, create=False), "source", SourceError))


def ledger_of(settings: Settings, *, create: bool = False) -> Ledger:
    """The ledger, to look at: raises LedgerError where there is none; with `create` an empty database is made for it."""
    ledger = Ledger(gold_of(settings, create=create))
    ledger.check_zone(settings.timezone)
    return ledger

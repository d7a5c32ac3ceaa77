"""Which databases a command talks to: those named in the settings, or the embedded server, started where it is down."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from lakehouse.cli.console import out
from lakehouse.database import Database
from lakehouse.errors import SourceError, StoreError
from lakehouse.ledger import Ledger
from lakehouse.server.databases import database_url
from lakehouse.server.embedded import EmbeddedPostgres
from lakehouse.settings import Settings, load_settings

if TYPE_CHECKING:
    from lakehouse.source.postgres import Source


class Role(StrEnum):
    """The two databases, and gold for one who may only read it."""

    source = "source"
    gold = "gold"
    reader = "reader"


def dsn(role: Role) -> None:
    """Print the libpq URL of a database, password included, starting the embedded server if it is down."""
    print(dsn_of(load_settings(), role, create=False))


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

"""The live layer in the stack of `make up`: what its programs are told, and the source made ready for them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg2
from pydantic import ValidationError

from lakehouse.cli.live.live import ROLE
from lakehouse.contracts import load_contracts
from lakehouse.database import Database
from lakehouse.errors import SourceError
from lakehouse.live.settings import PREFIX, LiveSettings
from lakehouse.live.source import prepare
from lakehouse.source.cdc.slot import wal_level
from tools.live.programs import HOST, Place, Shop
from tools.live.setup import FOLDER
from tools.setup.machine import SetupError
from tools.stack.access.secrets import write
from tools.stack.settings import Stack

SOURCE = "ecommerce_source"
WITHOUT_SLOTS = "the stack's Postgres runs without what the live layer needs: `make down`, then `make up LIVE=1`"


def live_settings(stack: Stack) -> LiveSettings:
    """The settings of the live layer, on this stack's ports. Raises SetupError that names the faulty ones."""
    given = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in stack.settings.items()
        if name.startswith(PREFIX) and value
    }
    given |= {"kafka": f"{HOST}:{stack.port('LAKEHOUSE_KAFKA_PORT')}"}
    given |= {"connect": f"http://{HOST}:{stack.port('LAKEHOUSE_CONNECT_PORT')}"}
    try:
        return LiveSettings.model_validate(given)
    except ValidationError as e:
        names = ", ".join(f"{PREFIX}{str(fault['loc'][0]).upper()}" for fault in e.errors(include_input=False))
        raise SetupError(f"Settings of the live layer are wrong: {names} (docs/live.md).") from None


def environment(stack: Stack) -> dict[str, str]:
    """What `lakehouse live` is told in the stack."""
    chosen = live_settings(stack).model_dump(mode="json")
    return {**stack.lakehouse("pipeline"), **{f"{PREFIX}{name.upper()}": str(value) for name, value in chosen.items()}}


def place(stack: Stack) -> Place:
    """Where the broker and Connect are."""
    chosen = live_settings(stack)
    ports = (stack.port(f"LAKEHOUSE_{name}_PORT") for name in ("KAFKA", "KAFKA_CONTROLLER", "CONNECT"))
    return Place(stack.home / "kafka", *ports, chosen.topics, chosen.slot, chosen.publication)


def make_ready(stack: Stack, owner: Callable[[str], str]) -> None:
    """Makes the stack's own source ready, and writes what the programs read; `owner`: the URL of a database for its owner.

    Of a source that the shop has named nothing is changed: its owner has made it ready. Raises SetupError where not.
    """
    file = stack.secrets / "postgres_live_password"
    password = file.read_text(encoding="utf-8")
    # A folder of its own: what Connect may read of a folder, anyone who reaches Connect may ask it for.
    write(stack.secrets / "live" / "password", password)
    named = stack.named("LAKEHOUSE_SOURCE_DSN")
    if named:
        _check(named, password, file)
    else:
        with closing(Database(owner(SOURCE), "source", SourceError)) as database:
            _check_slots(database)
            prepare(database, live_settings(stack), load_contracts()["bronze"], ROLE, password)
    ca = stack.named("LAKEHOUSE_CA_FILE") if named else ""  # the stack's own is reached on this machine, in the clear
    place(stack).write(Shop.at(named or owner(SOURCE), stack.secrets / "live", ca))


def check_installed() -> None:
    """Raises SetupError where `make live-setup` has not been run."""
    if not any((FOLDER / "kafka").glob("*.jar")):
        raise SetupError("The live layer is not installed: run `make live-setup`.")


def _check(dsn: str, password: str, file: Path) -> None:
    """Whether the live layer's role is let into the shop's source."""
    try:
        with closing(psycopg2.connect(dsn, user=ROLE, password=password, connect_timeout=10)):
            pass
    except psycopg2.Error:
        raise SetupError(
            f"The source does not let {ROLE} in: as the owner of its tables run `lakehouse live setup --password-file "
            f"{file}` (docs/live.md), then `make up LIVE=1` again."
        ) from None


def _check_slots(database: Database) -> None:
    with database.connection() as connection, connection.cursor() as cursor:
        if wal_level(cursor) != "logical":
            raise SetupError(f"The live layer cannot start: {WITHOUT_SLOTS}.")

"""Postgres' own programs on the shop's databases, with the password where no other account can read it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Annotated

import typer
from psycopg2.extensions import make_dsn, parse_dsn

from lakehouse.cli.databases import Role, dsn_of
from lakehouse.errors import ConfigError, SetupError
from lakehouse.recovery.clients import NO_TLS, needs_tls
from lakehouse.server.embedded import binaries
from lakehouse.settings import Settings, load_settings, secret_variables

Whose = Annotated[Role, typer.Option("--role", help="gold, source, or reader: gold for one who may only read it.")]


def psql(context: typer.Context, role: Whose = Role.gold) -> None:
    """Open psql on gold, or on the source; what follows is psql's own, as in `lakehouse psql -c 'select 1'`."""
    _become("psql", role, context.args)


def pg_dump(context: typer.Context, role: Whose = Role.gold) -> None:
    """Dump gold, or the source, with pg_dump; what follows is pg_dump's own, as in `--format=custom --file=gold.dump`."""
    _become("pg_dump", role, context.args)


def pg_restore(context: typer.Context, role: Whose = Role.gold) -> None:
    """Restore into gold, or the source, with pg_restore; what follows is pg_restore's own, as in `--no-owner gold.dump`."""
    _become("pg_restore", role, context.args)


def _become(program: str, role: Role, words: list[str]) -> None:
    settings = load_settings()
    dsn = dsn_of(settings, role, create=program == "pg_restore")
    command, environment = invocation(program, dsn, words)
    os.execve(program_for(program, dsn, settings, role), command, environment)  # noqa: S606 - Postgres' own program


def invocation(program: str, dsn: str, words: list[str]) -> tuple[list[str], dict[str, str]]:
    """Command line and environment: the address on the one, the password in the other, and no other secret in either.

    Raises ConfigError for a DSN with the password of a TLS key, which every account could read on the command line.
    """
    parts = parse_dsn(dsn)
    if "sslpassword" in parts:
        raise ConfigError(
            "the password of a TLS key has no place outside of the command line but a service file: keep sslpassword in "
            "~/.pg_service.conf, and give the DSN service=NAME"
        )
    environment = {name: value for name, value in os.environ.items() if name not in secret_variables()}
    if "password" in parts:
        environment["PGPASSWORD"] = parts["password"]
    # In libpq's own reading of the DSN: to others a password with ? or # in it ends the address early.
    shown = make_dsn(**{name: value for name, value in parts.items() if name != "password"})
    return [program, f"--dbname={shown}", *words], environment


def program_for(name: str, dsn: str, settings: Settings, role: Role) -> Path:
    """The embedded server's own program, which fits it; else that of PATH, else the one that we bring.

    Raises SetupError where there is none, or none that speaks TLS to a server that is asked for it.
    """
    own = settings.source_dsn is None if role is Role.source else settings.gold_dsn is None
    found = None if own else shutil.which(name)
    if not own and found is None and needs_tls(dsn):
        raise SetupError(NO_TLS.format(program=name))
    program = Path(found) if found else binaries() / name
    if not os.access(program, os.X_OK):
        raise SetupError(f"there is no {name}: install Postgres' client programs, or run `make setup`")
    return program

"""The live layer: what came since the last night. Nothing of it is needed for a night, and no night waits for it."""

from __future__ import annotations

import secrets
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse import log
from lakehouse.cli.console import Json, Watched, err, out, print_json, print_rows, print_table
from lakehouse.cli.databases import Role, dsn_of, ledger_of
from lakehouse.cli.repair import DryRun, Yes, agreed
from lakehouse.contracts import load_contracts
from lakehouse.database import Database
from lakehouse.errors import ConfigError, SourceError, UsageError
from lakehouse.live.settings import live_settings, spark_options
from lakehouse.records import Row
from lakehouse.secret_files import refuse_open
from lakehouse.settings import Settings, load_settings

if TYPE_CHECKING:
    from lakehouse.live.reset import Resets
    from lakehouse.live.stream import Stream

live = typer.Typer(no_args_is_help=True, help="What came since the last night, as soon as a batch has brought it.")
ROLE = "lakehouse_live"


@live.command()
def setup(
    password_file: Annotated[Path, typer.Option("--password-file", help="Where the role's password is, or is put.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the SQL, tried and taken back.")] = False,
    as_json: Json = False,
) -> None:
    """Make the source ready, as the owner of its tables: the publication, and the role that Debezium reads by."""
    from lakehouse.live.source import prepare
    from lakehouse.upkeep import setup as work

    settings = load_settings()
    owner, password = dsn_of(settings, Role.source, create=False), _password(password_file, keeps=not dry_run)
    log.to_json_lines()
    with closing(work.Watched(owner, "source", keeps=not dry_run, error=SourceError)) as database:
        prepare(database, live_settings(), load_contracts()["bronze"], ROLE, password)
        statements = database.statements
    if as_json:
        print_json({"database": database.where, "statements": statements, "dry_run": dry_run})
        return
    for statement in statements:
        print(f"{statement};")
    if not dry_run:
        err.print(f"the source at {database.where} is ready; its role {ROLE} has the password in {password_file}")


@live.command()
def run(
    once: Annotated[bool, typer.Option("--once", help="End when all that is there now is brought.")] = False,
) -> None:
    """Keep the live tables, until the process is ended."""
    from lakehouse.live.source import refuse_lost
    from lakehouse.source.cdc.slot import find

    settings = load_settings()
    with Watched(as_json=False):
        name = live_settings().slot
        with closing(_source(settings)) as source:
            refuse_lost(find(source, name), name)
        stream, resets = _parts(settings)
        stream.run(resets.carry_out, once=once)


@live.command()
def reset(
    everything: Annotated[
        bool, typer.Option("--all", help="Delete the live tables and how far the stream was.")
    ] = False,
    yes: Yes = False, dry_run: DryRun = False, as_json: Json = False,
) -> None:  # fmt: skip
    """Delete what the last night has brought; a stream that runs does so by itself."""
    from lakehouse.live.place import alone, folder

    settings = load_settings()
    if everything:
        plan: list[Row] = [{"table": f"live.{t}", "would": "be deleted"} for t in load_contracts()["bronze"]]
        plan.append({"table": "checkpoint", "would": "be deleted: the next run begins with what Kafka still has"})
        if not agreed(plan, ("table", "would"), "Delete all of it?", yes=yes, dry_run=dry_run, as_json=as_json):
            return
    else:
        ledger_of(settings)  # looking for a night makes no ledger
    with Watched(as_json), alone(folder(settings.home)):
        stream, resets = _parts(settings)
        if not everything:
            print_rows(resets.carry_out(dry_run=dry_run), as_json)
            return
        from lakehouse.live.reset import clear

        clear(stream.lakehouse, stream.folder, {t: stream.path(t) for t in stream.contracts})
    done = [row["table"] for row in plan]
    if as_json:
        print_json({"deleted": done})
    else:
        out.print(f"deleted: {', '.join(done)}")


@live.command()
def status(as_json: Json = False) -> None:
    """How far the live layer is: Debezium's task, the source's slot, the last batch, and the tables."""
    from lakehouse.live import status as work
    from lakehouse.live.place import folder
    from lakehouse.source.cdc.slot import find

    settings, chosen = load_settings(), live_settings()
    with closing(_source(settings)) as source:
        held = find(source, chosen.slot)
    facts = {
        "connector": work.connector(chosen),
        "slot": (held.status or "unknown") if held else "none",
        "retained_mb": round(held.retained_bytes / 1e6, 1) if held else None,
        **work.batch(folder(settings.home)),
    }
    tables = work.tables(settings, load_contracts()["bronze"])
    if as_json:
        print_json({**facts, "tables": tables})
        return
    print_table([facts], tuple(facts), as_json)
    print_table(tables, ("table", "changed", "deleted", "truncated", "newest"), as_json)


@live.command()
def today(as_json: Json = False) -> None:
    """What today is so far, by the lines of orders since the last night. Neither judged nor reconciled: that is the night's."""
    from lakehouse.live import status as work

    facts = work.today(load_settings())
    if as_json:
        print_json(facts)
    else:
        print_table([facts], tuple(facts), as_json)


def _password(file: Path, *, keeps: bool) -> str:
    """The password in a file; where there is none it is made, and put there unless all is only tried.

    Raises UsageError for a place where no file can be, ConfigError for a file that is no secret.
    """
    try:
        if not file.parent.is_dir():
            raise UsageError(
                f"--password-file is to be in {file.parent}, which is no folder: make it, closed to others"
            )
        if not file.exists():
            made = secrets.token_urlsafe(24)
            if keeps:
                file.touch(mode=0o600)
                file.write_text(made, encoding="utf-8")
            return made
        refuse_open(file.parent, [file.name])
        password = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError(f"the password file {file} cannot be read or written ({type(e).__name__})") from None
    if not password:
        raise ConfigError(f"the password file {file} is empty: write the password into it, or delete it for a new one")
    return password


def _source(settings: Settings) -> Database:
    return Database(dsn_of(settings, Role.source, create=False), "source", SourceError)


def _parts(settings: Settings) -> tuple[Stream, Resets]:
    from lakehouse.live.reset import Resets
    from lakehouse.live.stream import Stream
    from lakehouse.session import spark_session
    from lakehouse.wiring import Lakehouse

    chosen = live_settings()
    lakehouse = Lakehouse(settings, spark=spark_session(settings, "lakehouse-live", options=spark_options(chosen)))
    _ = lakehouse.lake  # which looks whether the store answers
    stream = Stream(lakehouse, chosen)
    return stream, Resets(lakehouse, {table: stream.path(table) for table in stream.contracts})

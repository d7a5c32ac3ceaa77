"""The live layer: what came since the last night. Nothing of it is needed for a night, and no night waits for it."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse import address
from lakehouse.cli.console import Json, Watched, print_json, print_rows, print_table
from lakehouse.cli.console import out as console
from lakehouse.cli.databases import Role, dsn_of
from lakehouse.contracts import load_contracts
from lakehouse.live.settings import live_settings, spark_options
from lakehouse.settings import Settings, load_settings

if TYPE_CHECKING:
    from lakehouse.live.reset import Resets
    from lakehouse.live.stream import Stream

live = typer.Typer(no_args_is_help=True, help="What came since the last night, a minute after it was committed.")
ROLE = "lakehouse_live"


@live.command()
def setup(
    password_file: Annotated[Path, typer.Option("--password-file", help="Where the role's password is, or is put.")],
) -> None:
    """Make the source ready, as the owner of its tables: the publication, and the role that Debezium reads by."""
    from lakehouse.live.source import prepare

    settings = load_settings()
    if not password_file.exists():
        password_file.touch(mode=0o600)
        password_file.write_text(secrets.token_urlsafe(24), encoding="utf-8")
    password = password_file.read_text(encoding="utf-8").strip()
    prepare(dsn_of(settings, Role.source, create=False), live_settings(), load_contracts()["bronze"], ROLE, password)
    console.print(f"the source is ready; its role {ROLE} has the password in {password_file}")


@live.command()
def run(
    once: Annotated[bool, typer.Option("--once", help="End when all that is there now is brought.")] = False,
) -> None:
    """Keep the live tables, until the process is ended."""
    from lakehouse.live.source import refuse_lost, slot

    settings = load_settings()
    with Watched(as_json=False):
        name = live_settings().slot
        refuse_lost(slot(dsn_of(settings, Role.source, create=False), name), name)
        stream, resets = _parts(settings)
        stream.run(resets.carry_out, once=once)


@live.command()
def reset(
    everything: Annotated[
        bool, typer.Option("--all", help="Delete the live tables and how far the stream was.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Delete what the last night has brought; a stream that runs does so by itself."""
    from lakehouse.live.place import alone
    from lakehouse.live.reset import clear

    settings = load_settings()
    with Watched(as_json):
        stream, resets = _parts(settings)
        with alone(stream.folder):
            if everything:
                clear(stream.lakehouse, stream.folder, {t: stream.path(t) for t in stream.contracts})
                return
            print_rows(resets.carry_out(), as_json)


@live.command()
def status(as_json: Json = False) -> None:
    """How far the live layer is: Debezium's task, the source's slot, the last batch, and the tables."""
    from lakehouse.live import status as work
    from lakehouse.live.place import folder
    from lakehouse.live.source import slot

    settings, chosen = load_settings(), live_settings()
    held = slot(dsn_of(settings, Role.source, create=False), chosen.slot)
    facts = {
        "connector": work.connector(chosen),
        "slot": (held.status or "unknown") if held else "none",
        "retained_mb": round(held.retained_bytes / 1e6, 1) if held else None,
        **work.batch(folder(settings.home)),
    }
    tables = work.tables(settings.lake_root, load_contracts()["bronze"], address.storage_options(settings))
    if as_json:
        print_json({**facts, "tables": tables})
        return
    print_table([facts], tuple(facts), as_json)
    print_table(tables, ("table", "changed", "deleted", "truncated", "newest"), as_json)


@live.command()
def today(as_json: Json = False) -> None:
    """What today is so far, by the lines of orders since the last night. Neither judged nor reconciled: that is the night's."""
    from lakehouse.live import status as work

    settings = load_settings()
    facts = work.today(settings.lake_root, address.storage_options(settings))
    if as_json:
        print_json(facts)
    else:
        print_table([facts], tuple(facts), as_json)


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

"""A night that drains a replication slot of the source: making the slot, how it stands, and dropping it."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

import typer

from lakehouse import log
from lakehouse.cli.console import Json, err, print_json, print_table
from lakehouse.cli.databases import Role, dsn_of
from lakehouse.cli.repair import DryRun, Yes, agreed
from lakehouse.contracts import load_contracts
from lakehouse.database import Database
from lakehouse.errors import SourceError
from lakehouse.records import Row
from lakehouse.settings import Settings, load_settings

cdc = typer.Typer(no_args_is_help=True, help="Deletes and late rows by the source's own log: LAKEHOUSE_CDC=slot.")


@cdc.command()
def start(
    again: Annotated[bool, typer.Option("--again", help="Drop a slot that is lost, and make a new one.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Look whether it could be made; make nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Make the slot: from now on the server keeps what changes until a night has published it."""
    from lakehouse.source.cdc import slot as work

    settings = load_settings()
    name, tables = settings.cdc_slot, [t for t, c in load_contracts()["bronze"].items() if c.deletes != "none"]
    with closing(_source(settings)) as source:
        work.require_logical(source)
        work.require_followed(source, tables)
        work.require_identified(source, {t: load_contracts()["bronze"][t].key for t in tables})
        held = work.find(source, name)
        state = "made"
        if held and not held.is_lost:
            state = "there"
        elif held and not again:
            work.refuse_lost(source, name)
        elif not dry_run:
            if held:
                work.drop(source, name)
            work.make(source, name)
    if as_json:
        print_json({"slot": name, "database": source.where, "state": state, "dry_run": dry_run})
        return
    words = {"made": "would be made" if dry_run else "is made", "there": "is there already"}[state]
    err.print(f"replication slot {name} {words} at {source.where}; the next night with LAKEHOUSE_CDC=slot compares keys once, "
              f"and those after it drain the slot")  # fmt: skip


@cdc.command()
def stop(yes: Yes = False, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Drop the slot, so that the server keeps no log for it. Set LAKEHOUSE_CDC=compare first."""
    from lakehouse.source.cdc import slot as work

    settings = load_settings()
    with closing(_source(settings)) as source:
        if work.find(source, settings.cdc_slot) is None:
            raise SourceError(f"the source at {source.where} has no replication slot {settings.cdc_slot}")
        plan = [{"slot": settings.cdc_slot, "would": "be dropped"}]
        if not agreed(plan, ("slot", "would"), "Drop it?", yes=yes, dry_run=dry_run, as_json=as_json):
            return
        work.drop(source, settings.cdc_slot)
    if as_json:
        print_json({"dropped": settings.cdc_slot})
    else:
        err.print(f"dropped: {settings.cdc_slot}")


@cdc.command()
def status(as_json: Json = False) -> None:
    """How the slot stands, and the log that the server keeps for it."""
    from lakehouse.source.cdc import slot as work

    settings = load_settings()
    with closing(_source(settings)) as source:
        held = work.find(source, settings.cdc_slot)
    facts: Row = {
        "slot": settings.cdc_slot,
        "state": "none" if held is None else "lost" if held.is_lost else "kept",
        "retained_mb": round(held.retained_bytes / 1e6, 1) if held else None,
        "room_mb": round(held.safe_bytes / 1e6, 1) if held and held.safe_bytes is not None else None,
        "nights_by": settings.cdc,
    }
    print_table([facts], tuple(facts), as_json)


def _source(settings: Settings) -> Database:
    log.to_json_lines()
    return Database(dsn_of(settings, Role.source, create=False), "source", SourceError)

"""`lakehouse backup`: make one, list them, restore one for trial, delete old ones."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from lakehouse.cli.console import Json, Watched, out, print_json, print_table
from lakehouse.cli.repair import DryRun, Yes, agreed
from lakehouse.errors import GateError
from lakehouse.records import Row
from lakehouse.recovery import backup as work
from lakehouse.recovery.kept.manifest import Manifest
from lakehouse.settings import load_settings

backup = typer.Typer(help="One consistent moment of ledger, gold and lake, kept elsewhere.")


@backup.callback(invoke_without_command=True)
def make(
    context: typer.Context,
    full: Annotated[bool, typer.Option("--full", help="Copy everything again, also what an earlier backup has.")] = False,
    dry_run: DryRun = False, as_json: Json = False,
) -> None:  # fmt: skip
    """Back ledger, gold and lake up to LAKEHOUSE_BACKUP_URI; what is there already is not copied again."""
    if context.invoked_subcommand:
        return
    settings = load_settings()
    with Watched(as_json):
        row = (
            work.plan(settings, full=full) if dry_run else _row(work.make(settings, full=full), work.location(settings))
        )
    print_table([row], work.COLUMNS, as_json)


@backup.command("list")
def list_(as_json: Json = False) -> None:
    """The backups that there are, oldest first, by their own manifests."""
    settings = load_settings()
    found = work.known(settings)
    if as_json:
        print_json([asdict(made) for made in found])
    else:
        print_table([_row(made, work.location(settings)) for made in found], work.COLUMNS, as_json=False)


@backup.command()
def verify(
    backup_id: Annotated[str, typer.Option("--backup", metavar="ID", help="Another than the newest.")] = "",
    as_json: Json = False,
) -> None:
    """Restore the newest backup for trial, in a folder that is gone afterwards; 6 where it is not what was backed up."""
    from lakehouse.recovery import trial

    with Watched(as_json):
        made, checks = trial.trial(load_settings(), backup_id)
    print_table(checks, trial.COLUMNS, as_json)
    if broken := [str(c["check"]) for c in checks if c["holds"] != "yes"]:
        raise GateError(
            f"backup {made.id} is not what was backed up: {', '.join(broken)}. What to do: docs/recovery.md"
        )


@backup.command()
def prune(
    keep: Annotated[int, typer.Option("--keep", min=1, metavar="N", help="How many of the newest stay.")],
    yes: Yes = False, dry_run: DryRun = False, as_json: Json = False,
) -> None:  # fmt: skip
    """Delete all backups but the newest, and what only they need."""
    settings = load_settings()
    old: list[Row] = [_row(made, work.location(settings)) for made in work.known(settings)[:-keep]]
    if not agreed(old, work.COLUMNS, "Delete them?", yes=yes, dry_run=dry_run, as_json=as_json):
        return
    with Watched(as_json):
        files, size = work.prune(settings, keep)
    done = {"backups": len(old), "files": files, "bytes": size}
    if as_json:
        print_json(done)
    else:
        out.print(f"{len(old)} backups are gone: {files:,} files, {size:,} bytes")


def _row(made: Manifest, where: str) -> Row:
    return {"id": made.id, "kind": made.kind, "covers_until": made.covers_until, "files": made.file_count,
            "new_bytes": made.new_bytes, "location": where}  # fmt: skip

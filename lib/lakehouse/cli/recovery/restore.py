"""`lakehouse restore`: the lakehouse as of a moment, or only objects of its lake that are gone."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from lakehouse.cli.console import Json, Watched, print_table
from lakehouse.cli.repair import DryRun, Reason, Yes, agreed, because, raise_if_broken, verified
from lakehouse.errors import GateError, UsageError
from lakehouse.settings import Settings, load_settings

Force = Annotated[bool, typer.Option("--force", help="Though a lakehouse is there: it is kept aside.")]


def restore(
    to: Annotated[str, typer.Option("--to", metavar="TIME", help="2026-01-31T05:30:00, in the shop's zone, or with +00:00.")] = "",
    backup: Annotated[str, typer.Option("--backup", metavar="ID", help="The moment of a backup.")] = "",
    latest: Annotated[bool, typer.Option("--latest", help="As late as what is kept reaches.")] = False,
    objects: Annotated[bool, typer.Option("--objects", help="Only files of published versions that are gone from the lake.")] = False,
    force: Force = False,
    no_verify: Annotated[bool, typer.Option("--no-verify", help="Without lakehouse verify at the end.")] = False,
    reason: Reason = "", yes: Yes = False, dry_run: DryRun = False, as_json: Json = False,
) -> None:  # fmt: skip
    """Bring ledger, gold and lake back to one moment; what is there is kept aside."""
    from lakehouse.recovery import restore as work
    from lakehouse.upkeep.locks import who

    settings, why = load_settings(), because(reason, dry_run=dry_run)
    if objects:
        if to or backup or latest:
            raise UsageError("--objects restores files of what is published now: it takes no moment")
        _objects(settings, why, yes=yes, dry_run=dry_run, as_json=as_json)
        return
    choice = work.choice(settings, to=_moment(settings, to), backup_id=backup, latest=latest)
    rows = work.steps(settings, choice)
    if not agreed(rows, work.COLUMNS, "Restore it?", yes=yes, dry_run=dry_run, as_json=as_json):
        return
    with Watched(as_json):
        done = work.run(settings, choice, reason=why, by_whom=who(), force=force)
    broken = [str(r["what"]) for r in done if not r["holds"]]
    checks = [] if broken or no_verify else verified(as_json)
    done += [{"what": f"verify {c.layer} {c.table} {c.name}".replace("  ", " "), "is": c.words, "holds": c.holds}
             for c in checks]  # fmt: skip
    print_table([{**r, "holds": "yes" if r["holds"] else "NO"} for r in done], ("what", "is", "holds"), as_json)
    if broken:
        raise GateError(f"what was restored is not what was there at that moment: {', '.join(broken)}")
    raise_if_broken(checks)


def _moment(settings: Settings, text: str) -> datetime | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{text} is no time: write it as 2026-01-31T05:30:00, in the shop's zone, or with its offset"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=settings.zone)


def _objects(settings: Settings, why: str, *, yes: bool, dry_run: bool, as_json: bool) -> None:
    from lakehouse.recovery import objects as work
    from lakehouse.upkeep.locks import who

    with Watched(as_json):
        found = work.plan(settings)
    if not agreed(work.rows(found), work.COLUMNS, "Bring them back?", yes=yes, dry_run=dry_run, as_json=as_json):
        return
    with Watched(as_json):
        done = work.run(settings, found, reason=why, by_whom=who())
    print_table(done, work.COLUMNS, as_json)

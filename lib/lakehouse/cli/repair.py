"""Repairs: each prints a plan, asks, and only then works. Why it was done stays in the ledger.

Rewind and adopt hold the locks from the plan to the end. The others plan without them: their runs plan again under their
own, so what happened in between is not missed.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.business_date import BusinessDate
from lakehouse.cli.console import Json, Watched, out, print_json, print_outcomes, print_table
from lakehouse.contracts import LAYERS
from lakehouse.errors import GateError, UsageError
from lakehouse.records import Row
from lakehouse.settings import Settings, load_settings

if TYPE_CHECKING:
    from lakehouse.upkeep.verify import Check
    from lakehouse.wiring import Lakehouse

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan, and do nothing.")]
LakeTable = Annotated[str, typer.Argument(help="Layer and table, as silver.orders.")]
Version = Annotated[int, typer.Argument(min=0, help="A version, as lakehouse tables shows it.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept in the ledger (ops.actions).")]
# The exit code of what a person stopped at the keyboard.
INTERRUPTED = 130
MAINTAINED = ("layer", "table", "files", "log_entries", "bytes_before", "bytes_after")


def because(reason: str, *, dry_run: bool = False) -> str:
    """The reason that a person gave. Raises UsageError where there is none, or no text, and something would change."""
    if any("\ud800" <= c <= "\udfff" for c in reason):  # bytes that Python could not read
        raise UsageError("--reason is not in the encoding of the terminal, so it cannot be kept: write it again")
    if not reason.strip() and not dry_run:
        raise UsageError("say why, with --reason TEXT: it is kept in the ledger, for anyone who asks later")
    return reason.strip()


def agreed(
    rows: list[Row], columns: tuple[str, ...], question: str, *, yes: bool, dry_run: bool, as_json: bool
) -> bool:
    """Prints a plan and asks whether to carry it out; False where there is nothing to do, or it was only to be printed."""
    if dry_run or not as_json:
        if rows or as_json:
            print_table(rows, columns, as_json)
        else:
            out.print("nothing to do")
    elif not rows:
        print_json([])
    if dry_run or not rows:
        return False
    if not yes:
        _confirm(question, as_json=as_json)
    return True


def _confirm(question: str, *, as_json: bool) -> None:
    """Asks; a no ends the command as an interruption does. Raises UsageError where nobody is there to answer."""
    try:
        goes_on = typer.confirm(question, err=as_json)
    except typer.Abort:
        if not sys.stdin.isatty():
            raise UsageError("nobody was there to answer, so nothing was done: add --yes to go ahead unasked") from None
        goes_on = False
    if not goes_on:
        raise typer.Exit(INTERRUPTED)


def _known(settings: Settings, *, create: bool = False) -> Lakehouse:
    """The lakehouse of the settings. Raises LedgerError where there is none: what only looks, or repairs, makes none."""
    from lakehouse.cli.databases import ledger_of
    from lakehouse.wiring import Lakehouse

    ledger_of(settings, create=create)
    return Lakehouse(settings)


def verify(as_json: Json = False) -> None:
    """Hold ledger, lake and gold against each other: log, versions, keys, sums. Changes nothing; 6 where one is broken."""
    checks = verified(as_json)
    print_table([c.row() for c in checks], ("layer", "table", "check", "holds", "words"), as_json)
    raise_if_broken(checks)


def verified(as_json: bool) -> list[Check]:
    """What `lakehouse verify` finds, with the locks of all layers."""
    from lakehouse.upkeep import verify as work
    from lakehouse.upkeep.locks import locked

    with Watched(as_json):
        lakehouse = _known(load_settings())
        with locked(lakehouse):
            return work.verify(lakehouse)


def raise_if_broken(checks: list[Check]) -> None:
    """Raises GateError that names the checks which do not hold."""
    if broken := [c for c in checks if not c.holds]:
        names = ", ".join(f"{c.layer}.{c.table} {c.name}" if c.table else f"{c.layer} {c.name}" for c in broken)
        raise GateError(
            f"{len(broken)} of {len(checks)} checks are broken: {names}. What to do: docs/operations.md, Verify"
        )


def rewind(
    to: Annotated[str, typer.Option("--to", metavar="YYYY-MM-DD", help="The business date to go back to.")],
    reason: Reason = "", yes: Yes = False, dry_run: DryRun = False, as_json: Json = False,
) -> None:  # fmt: skip
    """Take bronze, silver, gold and the ledger back to what was published as of a day; running days goes forward again."""
    from lakehouse.upkeep import rewind as work
    from lakehouse.upkeep.locks import locked

    settings, why = load_settings(), because(reason, dry_run=dry_run)
    day = BusinessDate.parse(to, settings.zone)
    lakehouse = _known(settings)
    with locked(lakehouse) as leases:
        with Watched(as_json):
            plan = work.plan(lakehouse, day.day)
        if not agreed(plan.rows(), ("layer", "as_of", "runs_taken_back", "would"), f"Go back to {plan.as_of}?",
                      yes=yes, dry_run=dry_run, as_json=as_json):  # fmt: skip
            return
        with Watched(as_json):
            outcomes = work.run(lakehouse, plan, leases, why)
    print_outcomes(outcomes, as_json)


def adopt(
    ledger_id: Annotated[str, typer.Option("--ledger-id", help="The lake's ledger, where it is lost for good.")] = "",
    reason: Reason = "", yes: Yes = False, dry_run: DryRun = False, as_json: Json = False,
) -> None:  # fmt: skip
    """Take bronze runs into the ledger that only the lake still knows: after the gold database was lost or restored."""
    from lakehouse.upkeep import adopt as work
    from lakehouse.upkeep.locks import locked

    settings, why = load_settings(), because(reason, dry_run=dry_run)
    lakehouse = _known(settings, create=not dry_run)
    if not dry_run:
        lakehouse.ledger.prepare(settings.timezone)
    with locked(lakehouse) as leases:
        with Watched(as_json):
            plan = work.plan(lakehouse, ledger_id or None)
        rows = plan.rows()
        if plan.identity:
            rows.insert(0, {"run_id": None, "business_date": None, "tables": None, "rows": None,
                            "would": f"this ledger would be {plan.identity}"})  # fmt: skip
        if not agreed(rows, ("run_id", "business_date", "tables", "rows", "would"), "Take them in?",
                      yes=yes, dry_run=dry_run, as_json=as_json):  # fmt: skip
            return
        with Watched(as_json):
            outcome = work.run(lakehouse, plan, leases, why)
    print_outcomes([outcome], as_json)


def rerun(
    date: Annotated[str, typer.Option("--date", metavar="YYYY-MM-DD", help="The business date to run again.")],
    layer: Annotated[str, typer.Option("--layer", help="Only bronze, silver or gold; all three if left out.")] = "",
    reason: Reason = "", yes: Yes = False, dry_run: DryRun = False, as_json: Json = False,
) -> None:  # fmt: skip
    """Run a covered day again: bronze reads its windows again, silver judges what is open, gold computes every table."""
    from lakehouse.upkeep import again as work

    settings, why = load_settings(), because(reason, dry_run=dry_run)
    if layer and layer not in LAYERS:
        raise UsageError(f"there is no layer {layer}; there are {', '.join(LAYERS)}")
    layers, day, lakehouse = (
        [layer] if layer else list(LAYERS),
        BusinessDate.parse(date, settings.zone),
        _known(settings),
    )
    steps = work.plan(lakehouse, day, layers)
    if not agreed([s.row() for s in steps], ("layer", "business_date", "would"), f"Run {day} again?",
                  yes=yes, dry_run=dry_run, as_json=as_json):  # fmt: skip
        return
    with Watched(as_json):
        outcomes = work.rerun(lakehouse, steps, why)
    print_outcomes(outcomes, as_json)


def maintain(reason: Reason = "", yes: Yes = False, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Join small files, and delete what nobody needs any more: what is published, pinned or young stays."""
    from lakehouse.upkeep.maintain import maintain as work

    settings, why = load_settings(), because(reason, dry_run=dry_run)
    lakehouse = _known(settings)
    if dry_run or not (yes or as_json):
        with Watched(as_json):
            rows = work(lakehouse, dry_run=True)
        if not agreed(
            rows, MAINTAINED, "Delete them, and join small files?", yes=yes, dry_run=dry_run, as_json=as_json
        ):
            return
    elif not yes:
        raise UsageError("with --json nobody is asked: add --yes, or --dry-run for the plan")
    with Watched(as_json):
        done = work(lakehouse, reason=why)
    print_table(done, MAINTAINED, as_json)


def rebuild(
    layer: Annotated[str, typer.Argument(help="silver or gold.")],
    reason: Reason = "", yes: Yes = False, dry_run: DryRun = False, as_json: Json = False,
) -> None:  # fmt: skip
    """Make a layer again from the one before it: after a contract changed, or where its files are gone."""
    from lakehouse.upkeep import again as work

    if layer not in ("silver", "gold"):
        raise UsageError("only silver and gold are rebuilt, from the layer before; bronze is an archive: give the changed "
                         "table a new contract (a new name) beside the old, or start a new lake")  # fmt: skip
    settings, why = load_settings(), because(reason, dry_run=dry_run)
    lakehouse = _known(settings)
    rows: list[Row] = [{"layer": layer, "table": t, "would": "be rebuilt"} for t in lakehouse.contracts[layer]]
    if not agreed(rows, ("layer", "table", "would"), f"Rebuild every table of {layer} from the layer before it?",
                  yes=yes, dry_run=dry_run, as_json=as_json):  # fmt: skip
        return
    with Watched(as_json):
        outcomes = [work.rebuild(lakehouse, layer, why)]
    print_outcomes(outcomes, as_json)


def pin(
    table: LakeTable, version: Version,
    reason: Reason = "", yes: Yes = False, dry_run: DryRun = False, as_json: Json = False,
) -> None:  # fmt: skip
    """Keep a version of a lake table from maintenance, whatever its age, until it is unpinned."""
    _pin(table, version, reason, ends=False, yes=yes, dry_run=dry_run, as_json=as_json)


def unpin(
    table: LakeTable, version: Version,
    reason: Reason = "", yes: Yes = False, dry_run: DryRun = False, as_json: Json = False,
) -> None:  # fmt: skip
    """End a pin: maintenance keeps the version no longer than any other."""
    _pin(table, version, reason, ends=True, yes=yes, dry_run=dry_run, as_json=as_json)


def _pin(name: str, version: int, reason: str, *, ends: bool, yes: bool, dry_run: bool, as_json: bool) -> None:
    from lakehouse.upkeep import readable as work

    settings, why = load_settings(), because(reason, dry_run=dry_run)
    layer, table = work.split(name)
    lakehouse = _known(settings)
    plan: list[Row] = [{"table": name, "version": version, "would": "be kept no longer" if ends else "be kept"}]
    if not agreed(plan, ("table", "version", "would"), "From now on?",
                  yes=yes, dry_run=dry_run, as_json=as_json):  # fmt: skip
        return
    with Watched(as_json):
        (work.unpin if ends else work.pin)(lakehouse, layer, table, version, why)
    print_table(lakehouse.ledger.pins(), ("layer", "table", "version", "reason", "pinned_at"), as_json)


def actions(as_json: Json = False) -> None:
    """What people did by command, the newest first, and why."""
    from lakehouse.cli.databases import ledger_of

    print_table(ledger_of(load_settings()).actions(), ("at", "action", "by_whom", "reason"), as_json)

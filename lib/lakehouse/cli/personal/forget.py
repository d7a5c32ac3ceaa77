"""`lakehouse forget`: a customer leaves every store of the lakehouse, and stays out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lakehouse.cli.console import Json, Watched, print_table
from lakehouse.cli.databases import ledger_of
from lakehouse.cli.repair import DryRun, Yes, agreed, because
from lakehouse.errors import UsageError
from lakehouse.settings import load_settings

Customers = Annotated[
    list[str] | None, typer.Option("--customer", metavar="ID", help="A customer_id, in any spelling.")
]
CustomerFile = Annotated[
    Path | None,
    typer.Option("--customer-file", metavar="FILE", help="Ids, one per line: they stay out of the shell's history."),
]
Again = Annotated[
    bool, typer.Option("--again", help="Everyone who was forgotten before too: after a backup was restored.")
]
Reason = Annotated[
    str, typer.Option("--reason", metavar="TEXT", help="Why, without naming anyone; kept in the ledger (ops.actions).")
]
PLAN = ("store", "table", "rows", "would")


def forget(
    customer: Customers = None, customer_file: CustomerFile = None, again: Again = False,
    reason: Reason = "", yes: Yes = False, dry_run: DryRun = False, as_json: Json = False,
) -> None:  # fmt: skip
    """Take customers out of bronze, silver, quarantine, gold and all old versions, and keep them out: orders become a guest's."""
    from lakehouse.personal import forget as work
    from lakehouse.personal.plan import plan as planned
    from lakehouse.upkeep.locks import locked
    from lakehouse.wiring import Lakehouse

    settings, why = load_settings(), because(reason, dry_run=dry_run)
    ids = [*(customer or ()), *_read(customer_file)]
    if not ids and not again:
        raise UsageError("say whom to forget: --customer ID, or --customer-file FILE with an id per line")
    ledger_of(settings)
    lakehouse = Lakehouse(settings)
    if not dry_run:
        lakehouse.ledger.prepare(settings.timezone)
    with locked(lakehouse) as leases:
        with Watched(as_json):
            plan = planned(lakehouse, ids, again=again)
        if not agreed(plan.rows(), PLAN, "Forget them? Nothing brings them back but a backup.",
                      yes=yes, dry_run=dry_run, as_json=as_json):  # fmt: skip
            return
        with Watched(as_json):
            report = work.forget(lakehouse, plan, leases, why)
    print_table(report, work.COLUMNS, as_json)


def _read(file: Path | None) -> list[str]:
    """The ids of a file. Raises UsageError where it cannot be read, or holds none."""
    if file is None:
        return []
    try:
        # Programs put a mark of the encoding before the first id: with it, that would be another customer's.
        ids = [line for line in file.read_text(encoding="utf-8-sig").split("\n") if line.strip()]
    except (OSError, UnicodeError) as e:
        raise UsageError(
            f"{file} cannot be read as UTF-8 text ({type(e).__name__}): an id per line is expected"
        ) from None
    if not ids:
        raise UsageError(f"{file} holds no id: one per line is expected")
    return ids

"""The lineage of runs that have ended, by hand."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lakehouse.business_date import BusinessDate
from lakehouse.cli.console import out as console
from lakehouse.cli.databases import gold_of, source_of
from lakehouse.errors import ConfigError, StoreError, UsageError
from lakehouse.settings import load_settings


def lineage(
    run: Annotated[str, typer.Option("--run", metavar="RUN", help="Of this run, by its name in the ledger.")] = "",
    date: Annotated[
        str, typer.Option("--date", metavar="YYYY-MM-DD", help="Of every run for this business date.")
    ] = "",
    send: Annotated[bool, typer.Option("--send", help="Send them where LAKEHOUSE_LINEAGE says.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --send: say how many would go, and send none.")
    ] = False,
) -> None:
    """Print OpenLineage's events of runs that have ended, one as a line of JSON; or send them again."""
    settings = load_settings()
    if bool(run) == bool(date):
        raise UsageError("name a run by --run, or a day by --date")
    if dry_run and not send:
        raise UsageError("--dry-run goes with --send: without it nothing is sent, and the events are printed")
    if send and settings.lineage == "off":
        raise ConfigError("LAKEHOUSE_LINEAGE is off: set it to file, or to the address of a receiver")
    day = BusinessDate.parse(date, settings.zone).day if date else None
    gold = gold_of(settings)  # who looks makes no database
    from lakehouse.lineage.ended import EndedRuns
    from lakehouse.lineage.receiver import NotReceivedError, deliver
    from lakehouse.lineage.telling import events_of
    from lakehouse.wiring import Lakehouse

    ledger = EndedRuns(gold)
    found = ledger.of_date(day) if day else list(filter(None, [ledger.run(run)]))
    if not found:
        raise UsageError(f"the ledger knows no run {f'for {date}' if date else run} that has ended")
    parts: dict[str, Any] = {"gold_database": gold}
    if any(r.layer == "bronze" for r in found):
        parts["source"] = source_of(settings)
    lakehouse = Lakehouse(settings, **parts)
    events = {r.run_id: events_of(lakehouse, r) for r in found}
    if not send:
        for line in (line for lines in events.values() for line in lines):
            print(line)
        return
    total = f"{sum(map(len, events.values())):,} events of {len(events):,} runs"
    if dry_run:
        console.print(f"{total} would be sent")
        return
    for run_id, lines in events.items():
        try:
            deliver(settings, run_id, lines)
        except NotReceivedError as e:
            raise StoreError(f"the events of {run_id} were not taken: {e}; check LAKEHOUSE_LINEAGE") from None
    console.print(f"{total} sent")

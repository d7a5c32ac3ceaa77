"""Features for models, as of the end of each day."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Annotated

import typer
from psycopg2.extensions import parse_dsn

from lakehouse import log
from lakehouse.business_date import BusinessDate
from lakehouse.cli.console import Json, Watched, print_table
from lakehouse.cli.console import out as console
from lakehouse.cli.databases import Role, dsn_of, gold_of, ledger_of
from lakehouse.database import Database
from lakehouse.errors import StoreError, UsageError
from lakehouse.features import days as work
from lakehouse.features.tables import Table, ensure, feature_tables
from lakehouse.runs.backfill import days as range_of
from lakehouse.settings import Settings, load_settings


def features(
    day: Annotated[str, typer.Option("--date", metavar="YYYY-MM-DD", help="Make this day, again if it is there.")] = "",
    first: Annotated[str, typer.Option("--from", metavar="YYYY-MM-DD", help="First day of a range.")] = "",
    last: Annotated[str, typer.Option("--to", metavar="YYYY-MM-DD", help="Last day of it.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print which days, and do nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Make features of customers and products as of the end of days; without a date, of those that are due."""
    settings = load_settings()
    if bool(first) != bool(last) or (day and first):
        raise UsageError("give --date, or --from with --to, or none of them")
    ledger_of(settings)  # the zone is the lakehouse's own
    with closing(gold_of(settings)) as gold:
        steps = _steps(gold, settings, day or first, day or last)
        if dry_run or not steps:
            if not steps and not as_json:
                console.print("features are up to date with gold")
                return
            planned = [{"day": s.day, "would": s.would, "gold_date": s.gold_date} for s in steps]
            print_table(planned, ("day", "would", "gold_date"), as_json)
            return
        tables = feature_tables()
        with work.alone(gold), Watched(as_json):
            _ensure(settings, tables)
            # Another command may have made some of them until it was our turn.
            done = [_carried_out(gold, settings, tables, s) for s in _steps(gold, settings, day or first, day or last)]
    print_table(done, ("day", "did", *(t.contract.table for t in tables), "seconds"), as_json)


def _steps(gold: Database, settings: Settings, first: str, last: str) -> list[work.Step]:
    if not first:
        return work.due(gold, settings.zone)
    ends = [BusinessDate.parse(text, settings.zone) for text in (first, last)]
    return work.between(gold, *(range_of(*ends)[n] for n in (0, -1)))


def _carried_out(gold: Database, settings: Settings, tables: list[Table], step: work.Step) -> dict[str, object]:
    began = time.monotonic()
    rows = work.carry_out(gold, tables, settings.zone, step)
    seconds = f"{time.monotonic() - began:.2f}"
    did = {work.MAKE: "made", work.REPLACE: "replaced", work.REMOVE: "removed"}[step.would]
    log.event("features.day", day=str(step.day), did=did, **rows)
    return {"day": step.day, "did": did, **rows, "seconds": seconds}


def _ensure(settings: Settings, tables: list[Table]) -> None:
    loader = parse_dsn(dsn_of(settings, Role.gold, create=False)).get("user", "")
    owner = Database(dsn_of(settings, Role.owner, create=False), "owner" if settings.owner_dsn else "gold", StoreError)
    with closing(owner):
        ensure(owner, loader, tables)

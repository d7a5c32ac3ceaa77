"""Runs: bring a day, rebuild a layer, see what became of it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.table import Table

from lakehouse import log
from lakehouse.business_date import BusinessDate
from lakehouse.cli.console import Json, Watched, number, out, print_json, print_outcomes, print_table
from lakehouse.cli.databases import gold_of, ledger_of, source_of
from lakehouse.contracts import LAYERS, load_contracts
from lakehouse.errors import ConfigError, LakehouseError, UsageError
from lakehouse.settings import Settings, load_settings
from lakehouse.warehouse.grants import ANALYTICS, DBT


class Step(StrEnum):
    """What can be run."""

    bronze = "bronze"
    silver = "silver"
    gold = "gold"
    day = "day"


def run(
    step: Annotated[Step, typer.Argument(help="A layer, or `day` for all three in one session.")],
    day: Annotated[
        str, typer.Option("--date", metavar="YYYY-MM-DD", help="Business date: the day whose data to bring.")
    ],
    replace: Annotated[
        bool, typer.Option("--replace", help="bronze only: read the published day again, keep the union.")
    ] = False,
    accept_deletes: Annotated[
        list[str] | None,
        typer.Option(
            "--accept-deletes",
            metavar="TABLE",
            help="bronze and day: let through that more keys of the table are gone from the source than "
            "LAKEHOUSE_MAX_DELETED_SHARE says; may be repeated.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Bring a business date through a layer, or through all three."""
    settings = load_settings()
    business_date = BusinessDate.parse(day, settings.zone)
    if replace and step is not Step.bronze:
        raise UsageError("--replace is for bronze: silver and gold follow from it")
    if accept_deletes and (replace or step not in (Step.bronze, Step.day)):
        raise UsageError("--accept-deletes is for a run that looks for deletes: bronze or day, without --replace")
    if dry_run:
        _plan(settings, step, business_date, replace, as_json)
        return
    with Watched(as_json):
        from lakehouse.runs.day import replace_day
        from lakehouse.runs.day import run as run_layer
        from lakehouse.wiring import Lakehouse

        lakehouse = Lakehouse(settings)
        if replace:
            outcomes = [replace_day(lakehouse, business_date)]
        else:
            outcomes = run_layer(lakehouse, step.value, business_date, accept=accept_deletes or ())
    print_outcomes(outcomes, as_json)


def backfill(
    first: Annotated[str, typer.Option("--from", metavar="YYYY-MM-DD", help="First business date.")],
    last: Annotated[str, typer.Option("--to", metavar="YYYY-MM-DD", help="Last business date.")],
    replace: Annotated[bool, typer.Option("--replace", help="Read published days again and keep the union.")] = False,
    by_day: Annotated[
        bool, typer.Option("--by-day", help="Silver and gold after each day, for versions of every day; slower.")
    ] = False,
    by_airflow: Annotated[
        bool, typer.Option("--airflow", help="Let Airflow run its DAGs over the range, and wait for them.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="With --airflow: also runs that succeeded.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan, and do nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Bring a range of days: the plan first (days x layers, what exists, what will be rebuilt), then the work."""
    from lakehouse.runs import backfill as work

    settings = load_settings()
    begin, end = (BusinessDate.parse(text, settings.zone) for text in (first, last))
    range_ = work.days(begin, end)
    if replace and by_airflow:
        raise UsageError("--replace reads days again in one session; Airflow's runs do not: leave one of the two out")
    if again and not by_airflow:
        raise UsageError("--again is for --airflow; in one session a published day is read again with --replace")
    steps = work.plan(ledger_of(settings, create=not dry_run), range_, replaces=replace, by_day=by_day)
    planned = [{"business_date": str(s.day), "layer": s.layer, "state": s.state, "would": s.would} for s in steps]
    if dry_run or not as_json:
        print_table(planned, ("business_date", "layer", "state", "would"), as_json)
    if dry_run:
        return
    if by_airflow:
        _by_airflow(settings, *work.logical_dates(begin, end), len(range_), again=again, as_json=as_json)
        # The ledger is asked again: its connections may not have outlived the hours of a long range.
        if left := [s for s in work.plan(ledger_of(settings), range_) if s.would != "nothing"]:
            why = ("that Airflow writes to another lake or ledger: see its settings" if again else
                   "Airflow counts it as done, perhaps in another lake or ledger; ask again with --again")  # fmt: skip
            raise LakehouseError(
                f"Airflow's runs have ended, and {left[0].layer} of {left[0].day} is not published: {why}"
            )
        return
    with Watched(as_json):
        from lakehouse.wiring import Lakehouse

        lakehouse, outcomes = Lakehouse(settings), []
        for outcome in work.run(lakehouse, steps):
            outcomes.append(outcome)
            if not as_json:
                print_outcomes([outcome], as_json)
    if as_json:
        print_outcomes(outcomes, as_json)


def _by_airflow(settings: Settings, begin: datetime, end: datetime, days: int, *, again: bool, as_json: bool) -> None:
    from lakehouse.airflow import DAGS, Airflow

    if settings.schedule == "assets":
        raise UsageError("--airflow needs DAGs with a time of the day, and LAKEHOUSE_SCHEDULE is assets: leave --airflow "
                         "out, and the range is run in one session")  # fmt: skip
    if settings.airflow_password is None:
        raise ConfigError("LAKEHOUSE_AIRFLOW_PASSWORD is not set: Airflow asks who wants the backfill")
    password = settings.airflow_password.get_secret_value()
    airflow = Airflow(settings.airflow_url, settings.airflow_user, password, settings.ca_file)
    with Watched(as_json):
        for dag in DAGS.values():
            airflow.check(dag, begin, end, days)
        numbers = [airflow.backfill(dag, begin, end, again=again) for dag in DAGS.values()]
        states = airflow.wait(numbers, lambda counts: log.event("backfill", **counts))
    print_table([{"state": s, "runs": n} for s, n in sorted(states.items())], ("state", "runs"), as_json)
    if failed := states.get("failed", 0):
        raise LakehouseError(f"{failed} of Airflow's runs failed; its grid and `lakehouse status` say which and why")


def status(
    limit: Annotated[int, typer.Option(min=1, help="How many runs to show.")] = 15, as_json: Json = False
) -> None:
    """The newest runs: state, exit code, rows, seconds, and the words of a failure."""
    settings = load_settings()
    runs = ledger_of(settings).recent(limit)
    if as_json:
        print_json(runs)
        return
    table = Table("run", "layer", "date", "state", "code", "read", "kept", "quarantine", "seconds", "message", box=None)
    for r in runs:
        seconds = f"{(r['finished_at'] - r['started_at']).total_seconds():.1f}" if r["finished_at"] else ""
        table.add_row(r["run_id"], r["layer"], str(r["business_date"]), r["state"], number(r["error_code"]), number(r["rows_read"]),
                      number(r["rows_kept"]), number(r["rows_quarantined"]), seconds, r["message"] or "")  # fmt: skip
    out.print(table)
    if words := _last_build(settings):
        out.print(words, soft_wrap=True)


def _last_build(settings: Settings) -> str:
    """How the last build of dbt went, where there was one that our role may see: docs/dbt.md."""
    with gold_of(settings).connection() as connection, connection.cursor() as cursor:
        cursor.execute(
            "select from pg_class c join pg_namespace n on n.oid = relnamespace where nspname = %s and relname = 'builds' "
            "and relowner = to_regrole(%s) "
            "and has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')",
            (ANALYTICS, DBT),
        )
        if not cursor.rowcount:
            return ""
        cursor.execute(
            "select state, business_date, good, warned, failed, skipped, finished_at, gold_run_id = (select run_id from ops.runs "
            f"where layer = 'gold' and state = 'published' order by seq desc limit 1) from {ANALYTICS}.builds "
            "order by finished_at desc limit 1"
        )
        rows = cursor.fetchall()
    if not rows:
        return ""
    state, day, good, warned, failed, skipped, at, is_newest = rows[0]
    older = "" if is_newest else "; gold has published since"
    return (f"dbt {state} on the gold of {day} at {at.astimezone(settings.zone):%Y-%m-%d %H:%M %Z}: {good} good, {warned} warned, {failed} failed, "
            f"{skipped} skipped{older}")  # fmt: skip


def tables(as_json: Json = False) -> None:
    """Every table by layer: grain, published version, rows, business date."""
    ledger = ledger_of(load_settings())
    found: list[dict[str, Any]] = []
    contracts = load_contracts()
    for layer in LAYERS:
        published, rows = ledger.published(layer), ledger.table_rows(layer)
        for name, contract in contracts[layer].items():
            p = published.get(name)
            found.append({"layer": layer, "table": name, "rows": rows.get(name) if p else None,
                          "version": p.version if p else None, "business_date": p.business_date if p else None,
                          "grain": contract.grain})  # fmt: skip
    if as_json:
        print_json(found)
        return
    table = Table("layer", "table", "rows", "version", "business date", "grain", box=None)
    for t in found:
        table.add_row(
            t["layer"], t["table"], number(t["rows"]), number(t["version"]), str(t["business_date"] or ""), t["grain"]
        )
    out.print(table)


def _plan(settings: Settings, step: Step, day: BusinessDate, replace: bool, as_json: bool) -> None:
    """What a run would do, by the very plans that runs carry out."""
    from lakehouse.runs.dry_run import planned
    from lakehouse.wiring import Lakehouse

    # Handed in, since who looks must not make a database: a Lakehouse does.
    lakehouse = Lakehouse(settings, gold_database=gold_of(settings), source=source_of(settings))
    layers = LAYERS if step is Step.day else [step.value]
    print_table(planned(lakehouse, list(layers), day, replaces=replace),
                ("layer", "business_date", "would", "last_published", "words"), as_json)  # fmt: skip

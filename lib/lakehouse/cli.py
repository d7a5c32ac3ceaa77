"""`lakehouse …`: the jobs' calls for people, with progress on a terminal, tables to read and JSON to pipe."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from enum import StrEnum
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from lakehouse import __version__, log
from lakehouse.business_date import BusinessDate
from lakehouse.contracts import LAYERS, load_contracts
from lakehouse.errors import LakehouseError, LedgerError, SourceError, StoreError, UsageError, safe_words
from lakehouse.settings import Settings, load_settings
from lakehouse.stores.embedded import EmbeddedPostgres
from lakehouse.stores.ledger import Ledger
from lakehouse.stores.postgres import Database

app = typer.Typer(no_args_is_help=True, add_completion=False, help="A shop's day, from Postgres through bronze and silver to gold.",
                  pretty_exceptions_enable=False)  # fmt: skip
sample = typer.Typer(no_args_is_help=True, help="Sample shops to fill a source database with.")
quarantine = typer.Typer(no_args_is_help=True, help="Rows that broke a rule.")
app.add_typer(sample, name="sample")
app.add_typer(quarantine, name="quarantine")
out, err = Console(), Console(stderr=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


class Step(StrEnum):
    """What can be run."""

    bronze = "bronze"
    silver = "silver"
    gold = "gold"
    day = "day"


class Role(StrEnum):
    """The two databases."""

    source = "source"
    gold = "gold"


def main() -> None:
    """The console script: errors of our family are one sentence and their exit code."""
    try:
        app(standalone_mode=True)
    except LakehouseError as e:
        err.print(f"[bold red]error:[/] {e}", soft_wrap=True, highlight=False)
        sys.exit(e.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as e:
        if os.environ.get("LAKEHOUSE_DEBUG"):
            raise
        err.print(
            f"[bold red]error:[/] {safe_words(e)}; LAKEHOUSE_DEBUG=1 shows where", soft_wrap=True, highlight=False
        )
        sys.exit(1)


@app.callback(invoke_without_command=True)
def version(show: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """The program without a command."""
    if show:
        out.print(__version__)
        raise typer.Exit


@app.command()
def run(
    step: Annotated[Step, typer.Argument(help="A layer, or `day` for all three in one session.")],
    day: Annotated[
        str, typer.Option("--date", metavar="YYYY-MM-DD", help="Business date: the day whose data to bring.")
    ],
    replace: Annotated[
        bool, typer.Option("--replace", help="bronze only: read the published day again, keep the union.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Bring a business date through a layer, or through all three."""
    settings = load_settings()
    business_date = BusinessDate.parse(day, settings.zone)
    if replace and step is not Step.bronze:
        raise UsageError("--replace is for bronze: silver and gold follow from it")
    if dry_run:
        _plan(settings, step, business_date, as_json)
        return
    with _watched(as_json):
        from lakehouse import pipeline
        from lakehouse.house import Lakehouse

        house = Lakehouse(settings)
        outcomes = (
            [pipeline.replace_day(house, business_date)] if replace else pipeline.run(house, step.value, business_date)
        )
    _print_outcomes(outcomes, as_json)


@app.command()
def rebuild(
    layer: Annotated[Step, typer.Argument(help="silver or gold.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Make a layer anew from the one before it: after a contract changed by more than new columns."""
    if layer not in (Step.silver, Step.gold):
        raise UsageError("bronze is an archive and cannot be rebuilt: give the changed table a new contract (a new name) "
                         "beside the old, or start a new lake")  # fmt: skip
    if not yes:
        typer.confirm(f"Rebuild every table of {layer.value} from the layer before it?", abort=True)
    with _watched(as_json):
        from lakehouse import pipeline
        from lakehouse.house import Lakehouse

        outcomes = [pipeline.rebuild(Lakehouse(load_settings()), layer.value)]
    _print_outcomes(outcomes, as_json)


@app.command()
def status(limit: Annotated[int, typer.Option(help="How many runs to show.")] = 15, as_json: Json = False) -> None:
    """The newest runs: state, rows, seconds, and the words of a failure."""
    runs = _ledger(load_settings()).recent(limit)
    if as_json:
        _print_json(runs)
        return
    table = Table("run", "layer", "date", "state", "read", "kept", "quarantine", "seconds", "message", box=None)
    for r in runs:
        seconds = f"{(r['finished_at'] - r['started_at']).total_seconds():.1f}" if r["finished_at"] else ""
        table.add_row(r["run_id"], r["layer"], str(r["business_date"]), r["state"], _number(r["rows_read"]),
                      _number(r["rows_kept"]), _number(r["rows_quarantined"]), seconds, r["message"] or "")  # fmt: skip
    out.print(table)


@app.command()
def tables(as_json: Json = False) -> None:
    """Every table by layer: grain, published version, rows, business date."""
    ledger = _ledger(load_settings())
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
        _print_json(found)
        return
    table = Table("layer", "table", "rows", "version", "business date", "grain", box=None)
    for t in found:
        table.add_row(
            t["layer"], t["table"], _number(t["rows"]), _number(t["version"]), str(t["business_date"] or ""), t["grain"]
        )
    out.print(table)


@app.command()
def dsn(role: Role) -> None:
    """Print the libpq URL of a database, password included, starting the embedded server if it is down."""
    print(_dsn(load_settings(), role))


@app.command()
def stop() -> None:
    """Stop the embedded database server."""
    server = EmbeddedPostgres(load_settings().home)
    if server.running():
        server.stop()
        out.print("the embedded server is stopped")
    else:
        out.print("the embedded server was not running")


@app.command()
def demo(name: Annotated[str, typer.Option("--sample", help="foodmart or online_retail.")] = "foodmart") -> None:
    """Fill a source with a sample shop and bring it to gold, from nothing, on default settings."""
    for variable in [v for v in os.environ if v.startswith(("LAKEHOUSE_", "AWS_"))]:
        del os.environ[variable]
    settings, shop = Settings(), _shop(name)  # not load_settings: a folder of secrets is the environment too
    _start_afresh(settings.home)
    with _watched(as_json=False):
        clock = time.monotonic()
        rows = shop.load(
            _dsn(settings, Role.source), shop.default_until, lambda words: log.event("sample", words=words)
        )
        loaded = time.monotonic() - clock
        from lakehouse import pipeline
        from lakehouse.house import Lakehouse

        clock = time.monotonic()
        house = Lakehouse(settings)
        outcomes = pipeline.run(house, "day", BusinessDate.parse(shop.default_until.isoformat(), settings.zone))
        worked = time.monotonic() - clock
    table = Table("table", "source", "bronze", "silver", "quarantine", title=f"{name} as of {shop.default_until}")
    bronze, silver = ({t.table: t for t in o.tables} for o in outcomes[:2])
    for t in house.contracts["bronze"]:
        table.add_row(
            t, *(f"{n:,}" for n in (rows[t], bronze[t].rows_kept, silver[t].rows_kept, silver[t].rows_quarantined))
        )
    gold = Table("gold table", "rows", title="gold")
    for done in outcomes[2].tables:
        gold.add_row(done.table, f"{done.rows_kept:,}")
    out.print(table, gold)
    seconds = ", ".join(f"{o.layer} {o.seconds:.1f} s" for o in outcomes)
    out.print(f"sample loaded in {loaded:.1f} s; pipeline {worked:.1f} s ({seconds})")
    out.print(f"Data Docs: {house.docs / 'index.html'}", soft_wrap=True)
    out.print('gold:      psql "$(.venv/bin/lakehouse dsn gold)"', soft_wrap=True)
    house.spark.stop()


@sample.command("list")
def sample_list(as_json: Json = False) -> None:
    """The sample shops and the days they know."""
    shops = [{"name": e.name, "until": e.load().default_until} for e in entry_points(group="lakehouse.samples")]
    if as_json:
        _print_json(shops)
    else:
        out.print(*(f"{s['name']}  until {s['until']}" for s in shops), sep="\n")


@sample.command("load")
def sample_load(
    name: Annotated[str, typer.Argument(help="foodmart or online_retail.")],
    until: Annotated[str, typer.Option("--until", metavar="YYYY-MM-DD", help="Last day to load; default all.")] = "",
    as_json: Json = False,
) -> None:
    """Fill the source with a sample shop as of a day. Resets only a database that it made itself."""
    shop = _shop(name)
    rows = _sampled(
        lambda say: shop.load(_dsn(load_settings(), Role.source), _day(until) if until else shop.default_until, say),
        as_json,
    )
    _print_rows(rows, as_json)


@sample.command("advance")
def sample_advance(
    name: Annotated[str, typer.Argument(help="foodmart or online_retail.")],
    to: Annotated[str, typer.Option("--to", metavar="YYYY-MM-DD", help="Day to advance to.")],
    as_json: Json = False,
) -> None:
    """Bring a loaded sample shop forward to a day: inserts and updates."""
    shop = _shop(name)
    _print_rows(_sampled(lambda say: shop.advance(_dsn(load_settings(), Role.source), _day(to), say), as_json), as_json)


@quarantine.command("list")
def quarantine_list(
    table: Annotated[str, typer.Option("--table", help="Only this table.")] = "",
    rows: Annotated[bool, typer.Option("--rows", help="Show each row's key and reasons, not only counts.")] = False,
    limit: Annotated[int, typer.Option(help="With --rows: how many to show.")] = 50,
    as_json: Json = False,
) -> None:
    """Rows open in quarantine, by table and reason."""
    settings = load_settings()
    ledger, contracts = _ledger(settings), load_contracts()
    names = [table] if table else list(contracts["silver"])
    if unknown := set(names) - set(contracts["silver"]):
        raise UsageError(f"there is no table {', '.join(unknown)}; there are {', '.join(contracts['silver'])}")
    if not rows:
        found = [r for r in ledger.quarantined() if r["table"] in names]
        _print_table(found, ("table", "reason", "rows"), as_json)
        return
    from lakehouse.stores.reader import open_rows

    published, listed = ledger.published("quarantine"), []
    for name in names:
        if name in published:
            key = contracts["bronze"][name].key
            listed += [{"table": name, **r} for r in open_rows(settings, name, published[name].version, key, limit)]
    _print_table(listed[:limit], ("table", "key", "reasons", "first_seen"), as_json)


def _plan(settings: Settings, step: Step, day: BusinessDate, as_json: bool) -> None:
    ledger = _ledger(settings)
    plan = []
    for layer in LAYERS if step is Step.day else [step.value]:
        last = ledger.last(layer)
        done = last is not None and last["as_of"] >= day.day
        plan.append({"layer": layer, "business_date": str(day), "would": "check for late input" if done else "run",
                     "last_published": last["as_of"] if last else None})  # fmt: skip
    _print_table(plan, ("layer", "business_date", "would", "last_published"), as_json)


def _sampled(call: Callable[[Callable[[str], None]], dict[str, int]], as_json: bool) -> dict[str, int]:
    with _watched(as_json):
        return call(lambda words: log.event("sample", words=words))


def _shop(name: str) -> Any:
    found = {e.name: e for e in entry_points(group="lakehouse.samples")}
    if name not in found:
        raise UsageError(f"there is no sample {name}; there are {', '.join(sorted(found))}")
    return found[name].load()


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a day written as YYYY-MM-DD") from None


def _dsn(settings: Settings, role: Role) -> str:
    named = {Role.source: settings.source_dsn, Role.gold: settings.gold_dsn}[role]
    if named is not None:
        return named.get_secret_value()
    server = EmbeddedPostgres(settings.home)
    server.start()
    return server.dsn(f"ecommerce_{role.value}")


def _ledger(settings: Settings) -> Ledger:
    ledger = Ledger(Database(_dsn(settings, Role.gold), "gold", StoreError))
    ledger.prepare(settings.timezone)
    return ledger


def _start_afresh(home: Path) -> None:
    """Empties the demo's home; refuses one that holds a real shop's lake or gold."""
    if (home / "KEEP").exists():
        raise UsageError(f"{home} holds the lake or gold of a source you named yourself: the demo starts from nothing and "
                         f"will not wipe it; set LAKEHOUSE_HOME to another folder for your own shop and move this one away")  # fmt: skip
    EmbeddedPostgres(home).stop()
    shutil.rmtree(home, ignore_errors=True)
    if home.exists():
        raise StoreError(f"{home} could not be emptied; remove it and try again")


class _watched:  # noqa: N801 - used as a statement
    """Progress on a terminal, JSON log lines elsewhere."""

    def __init__(self, as_json: bool) -> None:
        self._live = err.is_terminal and not as_json
        self._status = err.status("starting")

    def __enter__(self) -> None:
        log.to_json_lines()
        if self._live:
            self._status.start()
            log.listen(self._show)

    def __exit__(self, *_: object) -> None:
        self._status.stop()
        log.unlisten()

    def _show(self, name: str, facts: dict[str, object]) -> None:
        words = " ".join(f"{k}={v:,}" if isinstance(v, int) else f"{k}={v}" for k, v in facts.items() if k != "run_id")
        self._status.update(f"{name} {words}")
        if name != "sample":
            err.print(f"[dim]{time.strftime('%H:%M:%S')}[/] {name} [dim]{words}[/]", highlight=False)


def _print_outcomes(outcomes: list[Any], as_json: bool) -> None:
    if as_json:
        _print_json([asdict(o) for o in outcomes])
        return
    for o in outcomes:
        out.print(
            f"[bold]{o.layer}[/] {o.business_date} {o.state} in {o.seconds:.1f} s: {o.message}",
            highlight=False,
            soft_wrap=True,
        )


def _print_rows(rows: dict[str, int], as_json: bool) -> None:
    _print_table([{"table": t, "rows": n} for t, n in rows.items()], ("table", "rows"), as_json)


def _print_table(rows: list[dict[str, Any]], columns: tuple[str, ...], as_json: bool) -> None:
    if as_json:
        _print_json(rows)
        return
    table = Table(*columns, box=None)
    for r in rows:
        table.add_row(
            *(_number(r[c]) if isinstance(r[c], int) else str(r[c] if r[c] is not None else "") for c in columns)
        )
    out.print(table)


def _print_json(what: object) -> None:
    print(json.dumps(what, default=str, indent=1))


def _number(n: object) -> str:
    return "" if n is None else f"{n:,}"


__all__ = ["LedgerError", "SourceError", "app", "main"]

"""Sample shops: fill a source with one, move it on, or see the whole in a demo."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from datetime import date
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from lakehouse import log
from lakehouse.business_date import BusinessDate
from lakehouse.cli.console import Json, Watched, out, print_json, print_rows
from lakehouse.cli.databases import Role, dsn_of
from lakehouse.errors import StoreError, UsageError
from lakehouse.server.embedded import EmbeddedPostgres
from lakehouse.settings import Settings, load_settings

sample = typer.Typer(no_args_is_help=True, help="Sample shops to fill a source database with.")


def demo(name: Annotated[str, typer.Option("--sample", help="foodmart or online_retail.")] = "foodmart") -> None:
    """Fill a source with a sample shop and bring it to gold, from nothing, on default settings."""
    for variable in [v for v in os.environ if v.startswith(("LAKEHOUSE_", "AWS_"))]:
        del os.environ[variable]
    settings, shop = Settings(), shop_named(name)  # not load_settings: a folder of secrets is the environment too
    _empty_home(settings.home)
    with Watched(as_json=False):
        clock = time.monotonic()
        rows = shop.load(
            dsn_of(settings, Role.source), shop.default_until, lambda words: log.event("sample", words=words)
        )
        loaded = time.monotonic() - clock
        from lakehouse.runs.day import run
        from lakehouse.wiring import Lakehouse

        clock = time.monotonic()
        lakehouse = Lakehouse(settings)
        outcomes = run(lakehouse, "day", BusinessDate.parse(shop.default_until.isoformat(), settings.zone))
        worked = time.monotonic() - clock
    table = Table("table", "source", "bronze", "silver", "quarantine", title=f"{name} as of {shop.default_until}")
    bronze, silver = ({t.table: t for t in o.tables} for o in outcomes[:2])
    for t in lakehouse.contracts["bronze"]:
        table.add_row(
            t, *(f"{n:,}" for n in (rows[t], bronze[t].rows_kept, silver[t].rows_kept, silver[t].rows_quarantined))
        )
    gold = Table("gold table", "rows", title="gold")
    for done in outcomes[2].tables:
        gold.add_row(done.table, f"{done.rows_kept:,}")
    out.print(table, gold)
    seconds = ", ".join(f"{o.layer} {o.seconds:.1f} s" for o in outcomes)
    out.print(f"sample loaded in {loaded:.1f} s; pipeline {worked:.1f} s ({seconds})")
    out.print(f"Data Docs: {lakehouse.pages.folder / 'index.html'}", soft_wrap=True)
    out.print("gold:      .venv/bin/lakehouse psql", soft_wrap=True)
    lakehouse.spark.stop()


@sample.command("list")
def sample_list(as_json: Json = False) -> None:
    """The sample shops and the days they know."""
    shops = [{"name": e.name, "until": e.load().default_until} for e in entry_points(group="lakehouse.samples")]
    if as_json:
        print_json(shops)
    else:
        out.print(*(f"{s['name']}  until {s['until']}" for s in shops), sep="\n")


@sample.command("load")
def sample_load(
    name: Annotated[str, typer.Argument(help="foodmart or online_retail.")],
    until: Annotated[str, typer.Option("--until", metavar="YYYY-MM-DD", help="Last day to load; default all.")] = "",
    as_json: Json = False,
) -> None:
    """Fill the source with a sample shop as of a day. Resets only a database that it made itself."""
    shop = shop_named(name)
    rows = _sampled(
        lambda say: shop.load(dsn_of(load_settings(), Role.source), _day(until) if until else shop.default_until, say),
        as_json,
    )
    print_rows(rows, as_json)


@sample.command("advance")
def sample_advance(
    name: Annotated[str, typer.Argument(help="foodmart or online_retail.")],
    to: Annotated[str, typer.Option("--to", metavar="YYYY-MM-DD", help="Day to advance to.")],
    as_json: Json = False,
) -> None:
    """Bring a loaded sample shop forward to a day: inserts and updates."""
    shop = shop_named(name)
    print_rows(
        _sampled(lambda say: shop.advance(dsn_of(load_settings(), Role.source), _day(to), say), as_json), as_json
    )


def _sampled(call: Callable[[Callable[[str], None]], dict[str, int]], as_json: bool) -> dict[str, int]:
    with Watched(as_json):
        return call(lambda words: log.event("sample", words=words))


def shop_named(name: str) -> Any:
    """A sample shop. Raises UsageError where there is none of the name."""
    found = {e.name: e for e in entry_points(group="lakehouse.samples")}
    if name not in found:
        raise UsageError(f"there is no sample {name}; there are {', '.join(sorted(found))}")
    return found[name].load()


def _day(text: str) -> date:
    try:
        if text != (day := date.fromisoformat(text)).isoformat():
            raise ValueError
        return day
    except ValueError:
        raise UsageError(f"{text!r} is not a day written as YYYY-MM-DD") from None


def _empty_home(home: Path) -> None:
    """Empties the demo's home; refuses one that holds a real shop's lake or gold."""
    if (home / "KEEP").exists():
        raise UsageError(f"{home} holds the lake or gold of a source you named yourself: the demo starts from nothing and "
                         f"will not wipe it; set LAKEHOUSE_HOME to another folder for your own shop and move this one away")  # fmt: skip
    EmbeddedPostgres(home).stop()
    # The stack of `make up` lives beside the demo, with databases and a lake of its own, and may be running.
    ours = [path for path in home.glob("*") if path.name != "stack"]
    for path in ours:
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()
    if any(path.exists() for path in ours):
        raise StoreError(f"{home} could not be emptied; remove it and try again")

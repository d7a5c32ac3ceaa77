"""`python -m benchmarks …`: what to measure, on a shop of which size, how often; raw figures go into a file of JSON."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.contestant import Contestant
from benchmarks.limits import limits as limits_of
from benchmarks.ours.pipeline import Lakehouse
from benchmarks.peers import environment as peers_environment
from benchmarks.peers.contestants import PEERS
from benchmarks.place import HOME, Place
from benchmarks.report.page import write_report
from benchmarks.report.results import Results, default_path
from benchmarks.series import Plan
from benchmarks.series import run as run_series
from benchmarks.shop.size import Size
from lakehouse.errors import GateError, LakehouseError, UsageError
from lakehouse.home import close_files_to_others
from tools.setup.machine import exit_with_sentence

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
                  help="Shopday: a shop's day through the lakehouse, and through others beside it.")  # fmt: skip

SizeOption = Annotated[Size, typer.Option("--size", help="S, M or L: 0.1, 1 or 10 million orders.")]
OrdersOption = Annotated[int | None, typer.Option("--orders", min=1, help="A shop of another size than S, M or L.")]
RepeatOption = Annotated[int, typer.Option("--repeat", min=1, help="How often, each time from the shop as loaded.")]
DaysOption = Annotated[int, typer.Option("--days", min=1, help="How many business days after the first load.")]
ScaleOption = Annotated[float, typer.Option("--scale", min=0.001, help="Size of a day; 1 is 10,000 new orders.")]
LimitOption = Annotated[float, typer.Option("--limit", min=1, help="Seconds after which a run is ended.")]
CountOption = Annotated[
    bool, typer.Option("--executions", help="Count SQL executions per layer, by Spark's event log.")
]
JsonOption = Annotated[Path | None, typer.Option("--json", help="The file for the raw figures.")]
HomeOption = Annotated[Path, typer.Option("--home", help="The folder of the benchmark's server and lakes.")]
PeerOption = Annotated[list[str], typer.Option("--peer", help="This peer alone; may be given again.")]
DryOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be run, and do nothing.")]


@app.command()
def load(
    size: SizeOption = Size.S, orders: OrdersOption = None, repeat: RepeatOption = 3, limit: LimitOption = 3600,
    executions: CountOption = False, json: JsonOption = None, home: HomeOption = HOME, dry_run: DryOption = False,
) -> None:  # fmt: skip
    """The first load of the lakehouse."""
    plan = Plan(_label(size, orders), orders or size.orders, 0, repeat, limit=limit)
    _run(plan, [Lakehouse(counts=executions)], "load", json, home, dry_run)


@app.command()
def day(
    size: SizeOption = Size.S, orders: OrdersOption = None, repeat: RepeatOption = 1, days: DaysOption = 5,
    scale: ScaleOption = 1, limit: LimitOption = 3600, executions: CountOption = False, json: JsonOption = None,
    home: HomeOption = HOME, dry_run: DryOption = False,
) -> None:  # fmt: skip
    """The first load of the lakehouse, and business days after it."""
    plan = Plan(_label(size, orders), orders or size.orders, days, repeat, scale, limit)
    _run(plan, [Lakehouse(counts=executions)], "day", json, home, dry_run)


@app.command()
def peers(
    size: SizeOption = Size.S, orders: OrdersOption = None, repeat: RepeatOption = 1, days: DaysOption = 5,
    scale: ScaleOption = 1, limit: LimitOption = 3600, json: JsonOption = None, home: HomeOption = HOME,
    peer: PeerOption = [], dry_run: DryOption = False,  # noqa: B006 - typer's default of a list
) -> None:  # fmt: skip
    """The first load of the peers, and business days after it."""
    plan = Plan(_label(size, orders), orders or size.orders, days, repeat, scale, limit)
    _run(plan, _named(peer), "peers", json, home, dry_run)


@app.command()
def limits(
    size: SizeOption = Size.S, orders: OrdersOption = None, repeat: RepeatOption = 3, json: JsonOption = None,
    home: HomeOption = HOME, dry_run: DryOption = False,
) -> None:  # fmt: skip
    """What the machine can do at most."""
    plan = Plan(_label(size, orders), orders or size.orders, 0, repeat)
    _run(plan, [], "limits", json, home, dry_run, limit_repeats=repeat)


@app.command(name="all")
def everything(
    size: SizeOption = Size.S, orders: OrdersOption = None, repeat: RepeatOption = 1, days: DaysOption = 5,
    scale: ScaleOption = 1, limit: LimitOption = 3600, executions: CountOption = False, json: JsonOption = None,
    home: HomeOption = HOME, peer: PeerOption = [],  # noqa: B006 - typer's default of a list
    with_limits: Annotated[bool, typer.Option("--limits/--no-limits", help="What the machine can do, first.")] = True,
    dry_run: DryOption = False,
) -> None:  # fmt: skip
    """The limits, then the lakehouse and its peers in turn, the gold of each held against that of the others."""
    plan = Plan(_label(size, orders), orders or size.orders, days, repeat, scale, limit)
    contestants = [Lakehouse(counts=executions), *_named(peer)]
    _run(plan, contestants, "all", json, home, dry_run, limit_repeats=3 if with_limits else 0)


@app.command()
def report() -> None:
    """benchmarks/README.md and its pictures, from the raw figures in benchmarks/results."""
    for file in write_report():
        print(file)


def _named(names: Sequence[str]) -> Sequence[Contestant]:
    """Peers by name; all where none is named. Raises UsageError for a name that is none's."""
    if unknown := sorted(set(names) - {peer.name for peer in PEERS}):
        raise UsageError(f"there is no peer {', '.join(unknown)}: choose from {', '.join(p.name for p in PEERS)}")
    return [peer for peer in PEERS if not names or peer.name in names]


def _label(size: Size, orders: int | None) -> str:
    return f"{orders}-orders" if orders else size.value


def _run(
    plan: Plan, contestants: Sequence[Contestant], what: str, json: Path | None, home: Path, dry_run: bool,
    *, limit_repeats: int = 0,
) -> None:  # fmt: skip
    if dry_run:
        _say_plan(plan, contestants, limit_repeats)
        return
    if limit_repeats or any(contestant.name != Lakehouse.name for contestant in contestants):
        exit_with_sentence(peers_environment.main)
    results = Results(json or default_path(f"{plan.size}-{what}"), {"what": what, **asdict(plan)})
    place = Place(home)
    place.start()
    try:
        for limit in limits_of(place, plan.orders, limit_repeats) if limit_repeats else ():
            results.add("limits", limit)
            print(
                f"{limit['limit']:<22}  {limit['seconds']:8.2f} s  {limit['rows_per_second'] or 0:12,} rows/s",
                flush=True,
            )
        if contestants:
            run_series(plan, place, contestants, results, lambda words: print(words, flush=True))
    finally:
        place.stop()
    print(f"raw figures: {results.path}")
    unequal = [r for r in results["parity"] if r.get("differs")]
    if unequal:
        first = unequal[0]
        raise GateError(
            f"gold differs after {first['step']}: {first['contestant']} and {first['against']} do not have the same "
            f"{', '.join(first['differs'])}; the times of these runs cannot be compared"
        )
    if failed := [r for r in results["runs"] if r["state"] != "done"]:
        raise LakehouseError(f"{len(failed)} runs did not end well: see their state in {results.path}")


def _say_plan(plan: Plan, contestants: Sequence[Contestant], limit_repeats: int) -> None:
    print(f"a shop of {plan.orders:,} orders, made unless it is there")
    if limit_repeats:
        print(f"limits, {limit_repeats} times each")
    for repeat, step, turn in plan.turns(contestants) if contestants else ():
        print(f"repeat {repeat + 1}  {step.name:<10}  {step.date}  {', '.join(c.name for c in turn)}")


def main() -> None:
    """The command line: errors of our family are one sentence and their exit code."""
    close_files_to_others()
    try:
        app(standalone_mode=True)
    except LakehouseError as e:
        print(f"error: {e}", file=sys.stderr)
        sys.exit(e.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)

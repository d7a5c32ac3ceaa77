"""The order of runs. One at a time: a first load by each contestant, then day after day, each by all of them.

Each repeat begins with a copy of the shop as loaded, and with empty golds and lakes. Who goes first changes with every step.
After a step every gold is held against the first contestant's, to the last cell. A contestant that fails or takes too long
in a step is left out of the rest of the repeat, and stays in the results.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.contestant import Contestant, Step
from benchmarks.measure.machine import server_settings
from benchmarks.measure.processes import Measured, measured
from benchmarks.parity import Gold, differences, gold_content
from benchmarks.place import ROOT, Place, Site
from benchmarks.report.results import Results
from benchmarks.shop.day import advance

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What a series runs: a shop of so many orders, its first load and so many days after it, the whole of it repeated."""

    size: str
    orders: int
    days: int = 5
    repeats: int = 1
    scale: float = 1
    """Of a day: 1 is 10,000 new orders."""
    limit: float = 3600
    """Seconds after which a run is ended."""

    def steps(self) -> list[Step]:
        """The steps of one repeat."""
        return [Step(number) for number in range(self.days + 1)]

    def turns(self, contestants: Sequence[Contestant]) -> Iterator[tuple[int, Step, list[Contestant]]]:
        """Every step of every repeat, and the contestants in their order."""
        for repeat in range(self.repeats):
            for step in self.steps():
                first = (repeat + step.number) % len(contestants)
                yield repeat, step, [*contestants[first:], *contestants[:first]]


def run(plan: Plan, place: Place, contestants: Sequence[Contestant], results: Results, say: Say = print) -> None:
    """Runs a series into `results`; says each run as it ends."""
    results.state("contestants", {c.name: {"does_less": c.does_less, "settings": c.settings()} for c in contestants})
    results.state("server", server_settings(place.server_dsn))
    say(f"a shop of {plan.orders:,} orders")
    shop = place.shop(plan.orders)
    source = ""
    sites = dict[str, Site]()
    left_out = set[str]()
    for repeat, step, turn in plan.turns(contestants):
        if step.number == 0:
            source = place.copied(shop)
            sites, left_out = {c.name: place.site(c.name, source) for c in contestants}, set()
        else:
            _, counts = advance(source, step.number, scale=plan.scale)
            results.add("days", {"repeat": repeat, "step": step.name, "date": str(step.date), "rows": counts})
        golds = dict[str, Gold]()
        for number, contestant in enumerate(turn):
            about = {"repeat": repeat, "step": step.name, "contestant": contestant.name, "turn": number}
            if contestant.name in left_out:
                results.add("runs", {**about, "state": "not run"})
                continue
            site = sites[contestant.name]
            place.checkpoint()
            cost = measured(
                contestant.command(step, site), place.data,
                environment=contestant.environment(site), folder=ROOT, limit=plan.limit,
            )  # fmt: skip
            results.add("runs", {**about, **_record(contestant, cost, site)})
            say(_words(step, contestant, cost))
            if cost.state == "done":
                golds[contestant.name] = gold_content(site.gold_dsn)
            else:
                left_out.add(contestant.name)
                _keep_log(site.folder, cost)
                say(f"  {contestant.name} is left out of this repeat; its words are in {site.folder / 'failed.log'}")
        _compare(repeat, step, [c.name for c in contestants], golds, results)


def _record(contestant: Contestant, cost: Measured, site: Site) -> dict[str, Any]:
    """The figures of a run, and what the contestant says of itself; the words of a failure only where they hold no data."""
    record = {name: value for name, value in asdict(cost).items() if name not in ("output", "log", "began_at")}
    if cost.state == "done":
        return {**record, **contestant.facts(cost, site)}
    return {**record, "message": _failure(cost.log)}


def _failure(log: str) -> str:
    """The lakehouse's own last words, which hold no value and no secret; of others nothing is kept."""
    for line in reversed(log.splitlines()):
        if line.startswith("{") and '"command.failed"' in line:
            return str(json.loads(line)["message"])
    return ""


def _keep_log(folder: Path, cost: Measured) -> None:
    (folder / "failed.log").write_text(f"{cost.output}\n{cost.log}", encoding="utf-8")


def _words(step: Step, contestant: Contestant, cost: Measured) -> str:
    memory = cost.peak_rss_bytes / (1 << 20)
    return (
        f"{step.name:<10}  {contestant.name:<10}  {cost.state}  {cost.wall_s:8.2f} s  {cost.cpu_s:8.2f} CPU-s  "
        f"{memory:7,.0f} MB  (others {cost.others_cpu_s:.2f} CPU-s)"
    )


def _compare(repeat: int, step: Step, names: Sequence[str], golds: dict[str, Gold], results: Results) -> None:
    """Holds every gold against the first one there is."""
    there = [name for name in names if name in golds]
    for name in there:
        content = {table: {"rows": c.rows, "hash": c.hash} for table, c in golds[name].items()}
        record = {"repeat": repeat, "step": step.name, "contestant": name, "gold": content}
        if name != there[0]:
            record |= {"against": there[0], "differs": differences(golds[there[0]], golds[name])}
        results.add("parity", record)

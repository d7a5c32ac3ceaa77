"""How the command line speaks: progress on a terminal, tables to read, JSON to pipe."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from lakehouse import log

# What a terminal obeys instead of showing, and what turns the direction of a line: a name from a source may hold it.
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """A text as a terminal may be given it: each control character but tab and line end becomes the sign for one unknown."""
    return CONTROLS.sub("\ufffd", text)


class _Console(Console):
    """Shows every text printable, no matter who prints it; what rich itself tells the terminal passes."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of what is to be shown."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))


# No markup: what is printed is data and messages, in which [/] is a text like any other.
out, err = _Console(markup=False), _Console(markup=False, stderr=True)
if not out.is_terminal:
    out.width = 240  # a pipe has no edge at which to cut a run's name

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


class Watched:
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
            err.print(Text.assemble((time.strftime("%H:%M:%S"), "dim"), f" {name} ", (words, "dim")))


def print_outcomes(outcomes: list[Any], as_json: bool) -> None:
    """What became of each layer, a line each."""
    if as_json:
        shown = [asdict(o) for o in outcomes]
        for table in (t for o in shown for t in o.get("tables", ())):
            del table["keys_seen"], table["has_ties"]  # thousands of sums and a flag, for later runs alone
        print_json(shown)
        return
    for o in outcomes:
        words = f" {o.business_date} {o.state} in {o.seconds:.1f} s: {o.message}"
        out.print(Text.assemble((o.layer, "bold"), words), soft_wrap=True)


def print_rows(rows: dict[str, int], as_json: bool) -> None:
    """Rows by table."""
    print_table([{"table": t, "rows": n} for t, n in rows.items()], ("table", "rows"), as_json)


def print_table(rows: list[dict[str, Any]], columns: tuple[str, ...], as_json: bool) -> None:
    """Rows as a table of the columns, or whole as JSON."""
    if as_json:
        print_json(rows)
        return
    table = Table(*columns, box=None)
    for r in rows:
        table.add_row(
            *(number(r[c]) if isinstance(r[c], int) else str(r[c] if r[c] is not None else "") for c in columns)
        )
    out.print(table)


def print_json(what: object) -> None:
    """For programs: dates as text, nothing wrapped."""
    print(json.dumps(what, default=str, indent=1))


def number(n: object) -> str:
    """With separators; nothing for None."""
    return "" if n is None else f"{n:,}"

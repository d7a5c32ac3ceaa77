"""Which table is made of which: gold by the arguments of its transforms, silver of bronze, bronze of the source.

References are no lineage: a row names one of another table, and is not made of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from lakehouse.contracts import Contracts, resource_folder

# From left to right.
COLUMNS = ("source", "bronze", "quarantine", "silver", "gold")
WIDTH, GAP, HEIGHT, STEP, TOP = 184, 54, 26, 40, 34
Upstream = dict[str, tuple[str, ...]]
# Beside the contracts: what each column is made of, written by `python -m tools.lineage` from the transforms' own plans.
FILE = "lineage.json"


def upstream(contracts: Contracts, arguments: Mapping[str, Iterable[str]]) -> Upstream:
    """What each table is made of, by full names; `arguments`: what the transform of each gold table asks for."""
    made: Upstream = {}
    for table in contracts["bronze"]:
        made[f"source.{table}"] = ()
        made[f"bronze.{table}"] = (f"source.{table}",)
    for table in contracts["silver"]:
        # What was open is judged again beside what bronze brings.
        made[f"quarantine.{table}"] = (f"bronze.{table}",)
        made[f"silver.{table}"] = (f"bronze.{table}", f"quarantine.{table}")
    for table, names in arguments.items():
        tables = [n for n in names if n in contracts["gold"] or n in contracts["silver"]]
        made[f"gold.{table}"] = tuple(f"{'gold' if n in contracts['gold'] else 'silver'}.{n}" for n in tables)
    return made


def columns_upstream(contracts: Contracts) -> Upstream:
    """What each column of bronze, silver and gold is made of, by full names: `silver.orders.status`.

    A column without any is a constant or a count of rows. A table that the file does not know has none in it.
    """
    made: Upstream = {}
    for table, contract in contracts["bronze"].items():
        made |= {f"{layer}.{table}.{c}": (f"{below}.{table}.{c}",)
                 for layer, below in (("bronze", "source"), ("quarantine", "bronze")) for c in contract.names}  # fmt: skip
    text = (resource_folder("conf") / "contracts" / FILE).read_text(encoding="utf-8")
    for table, columns in json.loads(text).items():
        made |= {f"{table}.{column}": tuple(of) for column, of in columns.items()}
    return made


def downstream(made: Upstream) -> Upstream:
    """The same the other way round: what is made of each table."""
    return {table: tuple(other for other, names in made.items() if table in names) for table in made}


def drawn(made: Upstream) -> str:
    """The picture: one column per layer, a line from each table to those made of it. A table links to its place on the page."""
    places = _places(made)
    width = max(x for x, _ in places.values()) + WIDTH + 2
    height = max(y for _, y in places.values()) + HEIGHT + 8
    lines = [_line(places[name], places[table]) for table, names in made.items() for name in names]
    boxes = [_box(table, *place) for table, place in places.items()]
    heads = {layer: min(x for t, (x, _) in places.items() if t.startswith(f"{layer}.")) for layer in COLUMNS}
    titles = [f'<text x="{x}" y="16" fill="var(--faint)" font-size="14">{layer}</text>' for layer, x in heads.items()]
    return (
        f'<svg viewBox="0 0 {width} {height}" role="group" aria-labelledby="lineage-title lineage-desc" class="lineage">'
        '<title id="lineage-title">Which table is made of which</title><desc id="lineage-desc">From the source on the left '
        "to gold on the right; each table below names what it is made of and what is made of it.</desc>"
        f"{''.join(lines)}{''.join(titles)}{''.join(boxes)}</svg>"
    )


def _places(made: Upstream) -> dict[str, tuple[int, int]]:
    """Left upper corner of each table; gold that is made of gold stands further right."""
    column = {table: _column(table, made) for table in made}
    places, rows = {}, dict.fromkeys(column.values(), 0)
    for table, n in column.items():
        places[table] = (1 + n * (WIDTH + GAP), TOP + rows[n] * STEP)
        rows[n] += 1
    return places


def _column(table: str, made: Upstream, seen: Sequence[str] = ()) -> int:
    layer = table.partition(".")[0]
    first = COLUMNS.index(layer)
    of_gold = [_column(n, made, [*seen, table]) for n in made[table] if n.startswith("gold.") and n not in seen]
    return max([first, *(n + 1 for n in of_gold)])


def _line(start: tuple[int, int], end: tuple[int, int]) -> str:
    (x1, y1), (x2, y2) = (start[0] + WIDTH, start[1] + HEIGHT // 2), (end[0], end[1] + HEIGHT // 2)
    bend = (x2 - x1) // 2
    return (
        f'<path d="M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}" fill="none" stroke="var(--faint)" '
        'stroke-opacity=".55"/>'
    )


def _box(table: str, x: int, y: int) -> str:
    layer, _, name = table.partition(".")
    box = (
        f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="5" fill="var(--band)" stroke="var(--line)"/>'
        f'<text x="{x + 8}" y="{y + 17}" fill="var(--ink)" font-size="12.5">{escape(name)}</text>'
    )
    return box if layer == "source" else f'<a href="#{escape(table)}">{box}</a>'

"""What changed from one published day to another."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from lakehouse.business_date import BusinessDate
from lakehouse.cli.console import Json, number, print_json, print_table
from lakehouse.cli.console import out as console
from lakehouse.contracts import load_contracts
from lakehouse.errors import UsageError
from lakehouse.settings import load_settings


def diff(
    before: Annotated[str, typer.Argument(metavar="FROM", help="A business date, YYYY-MM-DD.")],
    after: Annotated[str, typer.Argument(metavar="TO", help="Another one.")],
    table: Annotated[str, typer.Option("--table", help="Only this table of silver.")] = "",
    keys: Annotated[int, typer.Option("--keys", min=0, help="Name so many of each table's rows, by their keys.")] = 0,
    as_json: Json = False,
) -> None:
    """What changed in silver between two published days: rows that came, went or changed, and in which columns."""
    from lakehouse.explore import published
    from lakehouse.history.changes import changes

    settings, contracts = load_settings(), load_contracts()["silver"]
    zone = ZoneInfo(settings.timezone)
    days = BusinessDate.parse(before, zone).day, BusinessDate.parse(after, zone).day
    name = table.removeprefix("silver.")
    if name and name not in contracts:
        raise UsageError(f"there is no table {table} in silver; there are {', '.join(contracts)}")
    tables = published(settings)
    found = [changes(tables, contracts[n], *days, keys) for n in ([name] if name else contracts)]
    if as_json:
        print_json([asdict(f) for f in found])
        return
    shown = [
        {"table": f.table, "came": f.came, "went": f.went, "changed": f.changed,
         "columns": ", ".join(f"{c} {number(n)}" for c, n in f.columns.items())}
        for f in found
    ]  # fmt: skip
    print_table(shown, ("table", "came", "went", "changed", "columns"), as_json=False)
    for f in found:
        if f.keys:
            console.print(f"\n{f.table}")
            print_table(list(f.keys), tuple(f.keys[0]), as_json=False)

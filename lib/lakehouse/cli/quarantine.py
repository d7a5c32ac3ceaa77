"""Rows that broke a rule: how many, which, and why."""

from __future__ import annotations

from typing import Annotated

import typer

from lakehouse.cli.console import Json, print_table
from lakehouse.cli.databases import ledger_of
from lakehouse.contracts import load_contracts
from lakehouse.errors import UsageError
from lakehouse.settings import load_settings

quarantine = typer.Typer(no_args_is_help=True, help="Rows that broke a rule.")


@quarantine.command("list")
def quarantine_list(
    table: Annotated[str, typer.Option("--table", help="Only this table.")] = "",
    rows: Annotated[bool, typer.Option("--rows", help="Show each row's key and reasons, not only counts.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="With --rows: how many to show.")] = 50,
    as_json: Json = False,
) -> None:
    """Rows open in quarantine, by table and reason."""
    settings = load_settings()
    ledger, contracts = ledger_of(settings), load_contracts()
    names = [table] if table else list(contracts["silver"])
    if unknown := set(names) - set(contracts["silver"]):
        raise UsageError(f"there is no table {', '.join(unknown)}; there are {', '.join(contracts['silver'])}")
    if not rows:
        found = [r for r in ledger.quarantined() if r["table"] in names]
        print_table(found, ("table", "reason", "rows"), as_json)
        return
    from lakehouse.lake.arrow import open_rows

    published, listed = ledger.published("quarantine"), []
    for name in names:
        if name in published:
            key = contracts["bronze"][name].key
            listed += [{"table": name, **r} for r in open_rows(settings, name, published[name].version, key, limit)]
    print_table(listed[:limit], ("table", "key", "reasons", "first_seen"), as_json)

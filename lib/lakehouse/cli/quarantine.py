"""Rows that broke a rule: how many, which, and why."""

from __future__ import annotations

from typing import Annotated

import typer

from lakehouse.cli.console import Json, print_table
from lakehouse.cli.databases import ledger_of
from lakehouse.contracts import Contract, load_contracts
from lakehouse.errors import UsageError
from lakehouse.settings import load_settings

quarantine = typer.Typer(no_args_is_help=True, help="Rows that broke a rule.")


@quarantine.command("list")
def quarantine_list(
    table: Annotated[str, typer.Option("--table", help="Only this table.")] = "",
    rows: Annotated[bool, typer.Option("--rows", help="Show each row's key, unless personal, and reasons.")] = False,
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
            key = shown_key(contracts["bronze"][name])
            found = open_rows(settings, name, published[name].version, key, limit)
            listed += [{"table": name, **r, "key": r["key"] if key else "(personal)"} for r in found]
    print_table(listed[:limit], ("table", "key", "reasons", "first_seen"), as_json)


def shown_key(contract: Contract) -> tuple[str, ...]:
    """The parts of a table's key that may be shown: those that no contract marks as personal."""
    personal = {c.name for c in contract.columns if c.classification == "personal"}
    return tuple(name for name in contract.key if name not in personal)

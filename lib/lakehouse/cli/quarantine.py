"""Rows that broke a rule: how many, which, and why."""

from __future__ import annotations

from typing import Annotated

import typer

from lakehouse.cli.console import Json, Watched, print_json, print_outcomes, print_table
from lakehouse.cli.databases import ledger_of
from lakehouse.cli.repair import DryRun, Reason, Yes, agreed, because
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


@quarantine.command("show")
def quarantine_show(
    table: Annotated[str, typer.Argument(help="A table of silver.")],
    reason: Annotated[str, typer.Option("--reason", help="Only rows held back for this reason.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many rows to show.")] = 20,
    as_json: Json = False,
) -> None:
    """Rows of a table open in quarantine: how many by reason, their keys unless personal, and which rules are waived."""
    settings = load_settings()
    ledger, contracts = ledger_of(settings), load_contracts()
    if table not in contracts["silver"]:
        raise UsageError(f"there is no table {table}; there are {', '.join(contracts['silver'])}")
    counts = [r for r in ledger.quarantined() if r["table"] == table and reason in ("", r["reason"])]
    key, published, listed = shown_key(contracts["bronze"][table]), ledger.published("quarantine"), []
    if table in published and counts:
        from lakehouse.lake.arrow import open_rows

        found = open_rows(settings, table, published[table].version, key, limit, reason)
        listed = [{**r, "key": r["key"] if key else "(personal)"} for r in found]
    waived = [{"rule": rule} for rule in ledger.waived().get(table, ())]
    if as_json:
        print_json({"counts": counts, "rows": listed, "waived": waived})
        return
    print_table(counts, ("table", "reason", "rows"), as_json)
    print_table(listed, ("key", "reasons", "first_seen"), as_json)
    if waived:
        print_table(waived, ("rule",), as_json)


@quarantine.command("replay")
def quarantine_replay(reason: Reason = "", yes: Yes = False, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Judge every open row again, as after a rule was changed, and let gold follow."""
    settings, why = load_settings(), because(reason, dry_run=dry_run)
    waiting = ledger_of(settings).quarantined()
    if not agreed(waiting, ("table", "reason", "rows"), "Judge them again?", yes=yes, dry_run=dry_run, as_json=as_json):
        return
    from lakehouse.upkeep.again import replay
    from lakehouse.wiring import Lakehouse

    with Watched(as_json):
        outcomes = replay(Lakehouse(settings), why)
    print_outcomes(outcomes, as_json)


@quarantine.command("waive")
def quarantine_waive(
    table: Annotated[str, typer.Option("--table", help="A table of silver.")],
    rule: Annotated[str, typer.Option("--rule", help="A reason of its suite.")],
    end: Annotated[bool, typer.Option("--end", help="The waiver ends: the rule holds rows back again.")] = False,
    reason: Reason = "", yes: Yes = False, dry_run: DryRun = False, as_json: Json = False,
) -> None:  # fmt: skip
    """Let rows through that only this rule holds back, from the next run of silver on: it judges all of bronze again."""
    from lakehouse.upkeep.again import check_waiver, waive
    from lakehouse.wiring import Lakehouse

    settings, why = load_settings(), because(reason, dry_run=dry_run)
    ledger = ledger_of(settings)
    lakehouse = Lakehouse(settings, ledger=ledger)
    check_waiver(lakehouse, table, rule, ends=end)
    held = sum(r["rows"] for r in ledger.quarantined() if (r["table"], r["reason"]) == (table, rule))
    plan = [{"table": table, "rule": rule, "rows_held": held, "would": "hold back again" if end else "be waived"}]
    if not agreed(plan, ("table", "rule", "rows_held", "would"), "From the next run of silver on?",
                  yes=yes, dry_run=dry_run, as_json=as_json):  # fmt: skip
        return
    waive(lakehouse, table, rule, why, ends=end)
    print_table(plan, ("table", "rule", "rows_held", "would"), as_json)


def shown_key(contract: Contract) -> tuple[str, ...]:
    """The parts of a table's key that may be shown: those that no contract marks as personal."""
    personal = {c.name for c in contract.columns if c.classification == "personal"}
    return tuple(name for name in contract.key if name not in personal)

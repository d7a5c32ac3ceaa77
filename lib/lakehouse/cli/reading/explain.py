"""Where a thing comes from and what became of it, for those who ask why a figure is what it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from lakehouse.cli.console import Json, print_json, print_table
from lakehouse.cli.console import out as console
from lakehouse.cli.databases import gold_of, source_of
from lakehouse.contracts import load_contracts
from lakehouse.errors import LakehouseError, UsageError
from lakehouse.settings import load_settings

explain = typer.Typer(no_args_is_help=True, help="The way of one thing through the layers, and why it is as it is.")


@explain.callback()
def about() -> None:
    """The way of one thing through the layers, and why it is as it is."""


@explain.command()
def order(
    order_id: Annotated[str, typer.Argument(help="The order's identifier, in any form that a source has written.")],
    source: Annotated[bool, typer.Option("--source/--no-source", help="Look at the source's rows too.")] = True,
    as_json: Json = False,
) -> None:
    """One order's way: source, images in bronze, verdicts, silver, quarantine, gold; with runs and rules, no personal value."""
    from lakehouse.history.order import way
    from lakehouse.history.sentences import meanings, sentences
    from lakehouse.judging.suites import load_suites

    settings, contracts = load_settings(), load_contracts()
    gold, unread = gold_of(settings), tuple[str, ...]()
    shop = None
    if source:
        try:
            shop = source_of(settings).database
        except LakehouseError as e:
            unread = (f"the source was not read: {e}",)
    found = way(settings, contracts, gold, shop, order_id)
    found = replace(found, unanswered=(*unread, *found.unanswered))
    said = sentences(found, meanings(contracts, load_suites(contracts)))
    if as_json:
        print_json(
            {"order_id": found.order_id, "sentences": said, "places": found.places, "runs": list(found.runs.values())}
        )
    else:
        for sentence in said:
            console.print(f"• {sentence}", soft_wrap=True)
        for place, rows in found.places.items():
            if rows:
                console.print(f"\n{place}")
                names = [n for n in rows[0] if any(row.get(n) is not None for row in rows)]
                print_table([{n: row.get(n) for n in names} for row in rows], tuple(names), as_json=False)
        if found.runs:
            console.print("\nruns")
            print_table(
                list(found.runs.values()), ("run_id", "layer", "business_date", "state", "finished_at"), as_json=False
            )
    if not any(found.places.values()):
        raise UsageError(f"there is no order {order_id}: nothing to explain")

"""Days of sales that were told otherwise later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

import typer

from lakehouse.business_date import BusinessDate
from lakehouse.cli.console import Json, print_json, print_table
from lakehouse.cli.console import out as console
from lakehouse.cli.databases import gold_of
from lakehouse.contracts import load_contracts
from lakehouse.errors import StoreError
from lakehouse.settings import load_settings

COLUMNS = ("sales_date", "business_date", "rows", "sold", "returned", "net_before", "net_after", "difference", "run_id")
MOST = 50


def restatements(
    date: Annotated[
        str, typer.Option("--date", metavar="YYYY-MM-DD", help="Only this day of sales, with its orders.")
    ] = "",
    orders: Annotated[int, typer.Option("--orders", min=0, help="Name so many orders of each time, with --date.")] = 20,
    as_json: Json = False,
) -> None:
    """Days of sales that a later run changed: by how much, through which run, and with --date through which orders."""
    from lakehouse.history.restatements import Restatements, orders_behind

    settings = load_settings()
    gold = gold_of(settings)
    ledger = Restatements(gold)
    found = ledger.of_day(BusinessDate.parse(date, settings.zone).day) if date else ledger.newest(MOST)
    behind: dict[str, list[dict[str, Any]]] = {}
    unread: dict[str, str] = {}
    for restated in found if date and orders else ():
        try:
            behind[restated.run_id] = orders_behind(settings, load_contracts(), gold, restated, orders)
        except StoreError as e:
            unread[restated.run_id] = str(e)
    if as_json:
        print_json([{**asdict(r), "difference": r.difference, **_orders(r.run_id, behind, unread)} for r in found])
        return
    shown = [
        {"sales_date": r.sales_date, "business_date": r.business_date, "run_id": r.run_id, "net_before": r.net_sales_before,
         "net_after": r.net_sales_after, "difference": r.difference,
         "rows": f"+{r.rows_inserted} ~{r.rows_updated} -{r.rows_deleted}",
         "sold": f"{r.units_sold_after - r.units_sold_before:+}",
         "returned": f"{r.units_returned_after - r.units_returned_before:+}"}
        for r in found
    ]  # fmt: skip
    print_table(shown, COLUMNS, as_json=False)
    for run_id, rows in behind.items():
        console.print(f"\norders of {run_id}")
        print_table(rows, tuple(rows[0]) if rows else ("order_id",), as_json=False)
    for run_id, why in unread.items():
        console.print(f"\norders of {run_id} are not known: {why}", soft_wrap=True)


def _orders(run_id: str, behind: Mapping[str, object], unread: Mapping[str, str]) -> dict[str, object]:
    """The orders behind a restatement, for programs, or why they are not known; neither where they are not asked for."""
    if run_id in unread:
        return {"orders": None, "orders_unread": unread[run_id]}
    return {"orders": behind[run_id]} if run_id in behind else {}

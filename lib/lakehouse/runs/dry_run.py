"""What a run would do: the plans that runs carry out, made without a lock and without a change."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lakehouse.business_date import BusinessDate
from lakehouse.errors import NotYetError
from lakehouse.layers import bronze, gold, silver
from lakehouse.parts import Lakehouse
from lakehouse.records import Row


def planned(lakehouse: Lakehouse, layers: Sequence[str], day: BusinessDate, *, replaces: bool = False) -> list[Row]:
    """One row per layer: whether it would `run`, has `nothing` to do, or is `not yet` due.

    A layer whose predecessor in the list would run would run too, as far as it brings anything.
    """
    rows: list[Row] = []
    for layer in layers:
        last = lakehouse.ledger.last(layer)
        would, words = _PLANS[layer](lakehouse, day, replaces)
        if any(r["would"] == "run" for r in rows) and would != "run":
            would, words = "run", f"{layers[layers.index(layer) - 1]} would run first"
        rows.append({"layer": layer, "business_date": str(day), "would": would,
                     "last_published": last.as_of if last else None, "words": words})  # fmt: skip
    return rows


def _bronze(lakehouse: Lakehouse, day: BusinessDate, replaces: bool) -> tuple[str, str]:
    due = bronze.plan(lakehouse, day, replaces=replaces)
    if not due.windows:
        return "nothing", bronze.covered(day, due.covered_by)
    return "run", f"{len(due.windows)} tables"


def _silver(lakehouse: Lakehouse, day: BusinessDate, _: bool) -> tuple[str, str]:
    try:
        due = silver.plan(lakehouse, day)
    except NotYetError as e:
        return "not yet", str(e)
    windows = sum(len(w) for w in due.pending.values())
    again = ", all of bronze again: a transform or rule changed" if due.rebuilds else ""
    return (
        ("nothing", f"published by {due.covered_by.run_id}") if due.covered_by else ("run", f"{windows} windows{again}")
    )


def _gold(lakehouse: Lakehouse, day: BusinessDate, _: bool) -> tuple[str, str]:
    try:
        due = gold.plan(lakehouse, day)
    except NotYetError as e:
        return "not yet", str(e)
    if due.covered_by:
        return "nothing", f"published by {due.covered_by.run_id}"
    return "run", f"as of {due.as_of}"


_PLANS: dict[str, Callable[[Lakehouse, BusinessDate, bool], tuple[str, str]]] = {
    "bronze": _bronze,
    "silver": _silver,
    "gold": _gold,
}

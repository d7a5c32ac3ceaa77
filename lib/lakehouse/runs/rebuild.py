"""Rebuild: silver from the whole of bronze, or gold from the whole of silver, as of the last published day."""

from __future__ import annotations

from collections.abc import Callable

from lakehouse.business_date import BusinessDate
from lakehouse.errors import LedgerError
from lakehouse.layers import gold, silver
from lakehouse.parts import Lakehouse
from lakehouse.records import Outcome
from lakehouse.runs.day import timed

LAYERS: dict[str, Callable[..., Outcome]] = {"silver": silver.run, "gold": gold.run}


def rebuild(lakehouse: Lakehouse, layer: str, *, reason: str | None = None) -> Outcome:
    """Makes every table of a layer again. What it replaces need not be readable.

    Raises LedgerError where the layer has never been published.
    """
    last = lakehouse.ledger.last(layer)
    if last is None:
        raise LedgerError(f"{layer} was never published, so there is nothing to rebuild; run it")
    day = BusinessDate(last.as_of, lakehouse.settings.zone)
    return timed(layer, day, lambda: LAYERS[layer](lakehouse, day, rebuilds=True, reason=reason))

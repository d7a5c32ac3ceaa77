"""READ THIS FIRST. A day of the shop, from its database to gold, as three calls.

    bronze   layers/bronze.py   one snapshot of the source -> a partition of each bronze table
    silver   layers/silver.py   new and open images -> the latest valid state of each key, the rest in quarantine
    gold     layers/gold.py     published silver -> six tables in Postgres, changed in one transaction

Each layer opens a run in the ledger, puts back what a dead run left, does its work, passes its gate and moves its
pointers. A layer reads only what the one before has published. Running a day again changes nothing.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from lakehouse import log
from lakehouse.business_date import BusinessDate
from lakehouse.errors import LedgerError
from lakehouse.records import Outcome
from lakehouse.runs import bronze, gold, silver
from lakehouse.wiring import Lakehouse

STEPS: dict[str, Callable[[Lakehouse, BusinessDate], Outcome]] = {
    "bronze": bronze.ingest,
    "silver": silver.transform,
    "gold": gold.aggregate,
}


def run(house: Lakehouse, layer: str, day: BusinessDate) -> list[Outcome]:
    """Runs one layer, or with layer `day` all three in one session. Stops at the first error, which it raises."""
    names = list(STEPS) if layer == "day" else [layer]
    return [_timed(house, name, day, partial(STEPS[name], house, day)) for name in names]


def replace_day(house: Lakehouse, day: BusinessDate) -> Outcome:
    """Reads the recorded window of a published bronze day again; images that the source has overwritten since stay."""
    return _timed(house, "bronze", day, lambda: bronze.ingest(house, day, replaces=True))


def rebuild(house: Lakehouse, layer: str) -> Outcome:
    """Makes silver from the whole of bronze, or gold from silver, as of the last published day.

    Raises LedgerError where the layer has never been published.
    """
    last = house.ledger.last(layer)
    if last is None:
        raise LedgerError(f"{layer} was never published, so there is nothing to rebuild; run it")
    day = BusinessDate(last["as_of"], house.settings.zone)
    remade: Callable[..., Outcome] = {"silver": silver.transform, "gold": gold.aggregate}[layer]
    return _timed(house, layer, day, lambda: remade(house, day, rebuilds=True))


def _timed(house: Lakehouse, layer: str, day: BusinessDate, call: Callable[[], Outcome]) -> Outcome:
    started = time.monotonic()
    log.event("layer.started", layer=layer, business_date=str(day))
    try:
        outcome = replace(call(), seconds=round(time.monotonic() - started, 1))
    finally:
        # Frames lie in reference cycles that Python would leave for hours, and with each lies all that Java keeps for
        # it: a session of many days would run out of memory.
        gc.collect()
    log.event("layer.done", layer=layer, business_date=str(day), run_id=outcome.run_id, state=outcome.state,
              seconds=outcome.seconds)  # fmt: skip
    return outcome

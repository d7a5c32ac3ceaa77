"""READ THIS FIRST. A day of the shop, from its database to gold, as three calls.

    bronze   layers/bronze.py   brings a day: one snapshot of the source -> a partition of each bronze table
    silver   layers/silver.py   catches up: new and open images -> the latest valid state of each key, the rest in quarantine
    gold     layers/gold.py     catches up: published silver -> six tables in Postgres, changed in one transaction

Each of them runs in the frame of frame/run.py: it holds its layer's lock, plans under it, restores what a dead run left,
does its work, passes its gate and publishes in one transaction. A layer reads only what the one before has published.
Running a day again changes nothing.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial

from lakehouse import log
from lakehouse.business_date import BusinessDate
from lakehouse.layers import bronze, gold, silver
from lakehouse.parts import Lakehouse
from lakehouse.records import Outcome

LAYERS: dict[str, Callable[[Lakehouse, BusinessDate], Outcome]] = {
    "bronze": bronze.run,
    "silver": silver.run,
    "gold": gold.run,
}


def run(lakehouse: Lakehouse, layer: str, day: BusinessDate, *, accept: Collection[str] = ()) -> list[Outcome]:
    """Runs one layer, or with layer `day` all three in one session. Stops at the first error, which it raises.

    `accept`: tables of which bronze lets any number of deletes through.
    """
    names = list(LAYERS) if layer == "day" else [layer]
    calls: dict[str, Callable[..., Outcome]] = {**LAYERS, "bronze": partial(bronze.run, accept=accept)}
    return [timed(name, day, partial(calls[name], lakehouse, day)) for name in names]


def replace_day(lakehouse: Lakehouse, day: BusinessDate) -> Outcome:
    """Reads the recorded window of a published bronze day again; images that the source has overwritten since stay."""
    return timed("bronze", day, lambda: bronze.run(lakehouse, day, replaces=True))


def timed(layer: str, day: BusinessDate, call: Callable[[], Outcome]) -> Outcome:
    """Says when a run starts and ends, and how long it took."""
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

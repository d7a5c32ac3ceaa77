"""The events of a lakehouse's runs, told as a run ends, or again by hand."""

from __future__ import annotations

import os
from collections.abc import Mapping

from lakehouse.lineage.ended import Ended, EndedRuns
from lakehouse.lineage.events import lines_of
from lakehouse.lineage.names import Names
from lakehouse.lineage.parent import parent_of
from lakehouse.lineage.receiver import deliver
from lakehouse.parts import Lakehouse


def events_of(lakehouse: Lakehouse, run: Ended, environment: Mapping[str, str]) -> list[str]:
    """The events of a run; `environment`: that of the process that ran it, empty where it is not this one."""
    source = lakehouse.source.database.where if run.layer == "bronze" else ""
    names = Names(lakehouse.settings.lake_root, lakehouse.ledger.database.where, source)
    return lines_of(run, lakehouse.contracts, names, lakehouse.settings.zone, parent_of(environment))


def tell(lakehouse: Lakehouse, run_id: str) -> None:
    """Hands the events of a run of this process to the receiver that is set. Raises NotReceivedError."""
    if run := EndedRuns(lakehouse.ledger.database).run(run_id):
        deliver(lakehouse.settings, run_id, events_of(lakehouse, run, os.environ))

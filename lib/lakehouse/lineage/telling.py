"""The events of a lakehouse's runs, told as a run ends, or again by hand."""

from __future__ import annotations

from lakehouse.lineage.ended import Ended, EndedRuns
from lakehouse.lineage.events import lines_of
from lakehouse.lineage.names import Names
from lakehouse.lineage.parent import parent_of
from lakehouse.lineage.receiver import deliver
from lakehouse.parts import Lakehouse


def events_of(lakehouse: Lakehouse, run: Ended) -> list[str]:
    """The events of a run."""
    source = lakehouse.source.database.where if run.layer == "bronze" else ""
    names = Names(lakehouse.settings.lake_root, lakehouse.ledger.database.where, source)
    return lines_of(run, lakehouse.contracts, names, lakehouse.settings.zone, parent_of(run.started_by or {}))


def tell(lakehouse: Lakehouse, run_id: str) -> None:
    """Hands the events of a run to the receiver that is set. Raises NotReceivedError."""
    if run := EndedRuns(lakehouse.ledger.database).run(run_id):
        deliver(lakehouse.settings, run_id, events_of(lakehouse, run))

"""Whether a version of a lake table can be read: its log is whole, and every data file it names is there.

And versions that a person keeps readable: pinned, they outlive the retention.
"""

from __future__ import annotations

from lakehouse.errors import LedgerError, UsageError
from lakehouse.lake.delta import Lake
from lakehouse.lake.log import Log
from lakehouse.lake.maintain import files_of
from lakehouse.parts import Lakehouse
from lakehouse.records import RUNS_OF
from lakehouse.upkeep.locks import who


def missing_files(lake: Lake, layer: str, table: str, version: int) -> int:
    """How many data files of a version are not there any more. Raises LostError where the version cannot be read."""
    there = {_name(f.path) for f in lake.files.below(lake.path(layer, table))}
    return len(files_of(lake, layer, table, version) - there)


def gaps(log: Log) -> list[int]:
    """Versions missing between a log's oldest entry and its newest: it has one file per version."""
    first, head = min(log.commits, default=0), log.head
    return [] if head is None else [v for v in range(first, head + 1) if v not in log.commits]


def split(name: str) -> tuple[str, str]:
    """The layer and the table of a name as `silver.orders`. Raises UsageError for one that is not of the lake."""
    layer, _, table = name.partition(".")
    if layer not in RUNS_OF or not table:
        raise UsageError(f"{name} is no table of the lake: name layer and table, as in silver.orders; the layers are "
                         f"{', '.join(RUNS_OF)}")  # fmt: skip
    return layer, table


def pin(lakehouse: Lakehouse, layer: str, table: str, version: int, reason: str) -> None:
    """Keeps a version of a table from maintenance, whatever its age, until it is unpinned.

    Raises LedgerError for a version that cannot be read any more, or is pinned, and BusyError where its layer is at work.
    """
    ledger, lake = lakehouse.ledger, lakehouse.lake
    with ledger.alone(RUNS_OF[layer]) as lease, lake.answering():
        ledger.prepare(lakehouse.settings.timezone)
        if not lake.log(layer, table).loadable(version) or missing_files(lake, layer, table, version):
            raise LedgerError(f"version {version} of {layer}.{table} is not there, or not any more: nothing was pinned; "
                              f"lakehouse tables shows the published ones")  # fmt: skip
        if _is_pinned(lakehouse, layer, table, version):
            raise LedgerError(f"version {version} of {layer}.{table} is already pinned: nothing to change")
        with lease.transaction() as cursor:
            ledger.pin(cursor, layer, table, version, reason)
            ledger.record_action(cursor, "pin", reason, {"layer": layer, "table": table, "version": version}, who())


def unpin(lakehouse: Lakehouse, layer: str, table: str, version: int, reason: str) -> None:
    """Lets maintenance treat a version as any other. Raises LedgerError for one that is not pinned, and names those that are."""
    ledger = lakehouse.ledger
    if not _is_pinned(lakehouse, layer, table, version):
        pinned = ", ".join(f"{p['layer']}.{p['table']} {p['version']}" for p in ledger.pins()) or "none"
        raise LedgerError(f"version {version} of {layer}.{table} is not pinned; pinned are: {pinned}")
    with ledger.database.connection() as connection, connection.cursor() as cursor:
        ledger.unpin(cursor, layer, table, version)
        ledger.record_action(cursor, "unpin", reason, {"layer": layer, "table": table, "version": version}, who())


def _is_pinned(lakehouse: Lakehouse, layer: str, table: str, version: int) -> bool:
    return (layer, table, version) in {(p["layer"], p["table"], p["version"]) for p in lakehouse.ledger.pins()}


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]

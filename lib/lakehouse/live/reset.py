"""After a night: what it has brought is deleted from the live tables.

What a night has seen is told by its snapshot of the source, as the ledger keeps it with each window: the transactions
that it saw. An LSN would not tell it, as a change lies in the source's log before its transaction commits. Rows that were
stamped after the window's end stay, since the night saw them and left them to the next day. So do rows that are gone where
the night did not compare keys: it has not seen them go.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from delta.tables import DeltaTable
from pyspark.sql import SparkSession

from lakehouse import log
from lakehouse.live import LAYER
from lakehouse.parts import Lakehouse
from lakehouse.records import Extracted, Published
from lakehouse.source.position import TWO_32, Position


def seen(snapshot: str, end: datetime, *, keys_compared: bool) -> str:
    """The condition on rows of a live table that a window of bronze, read in that snapshot up to its end, has brought.

    Events know the low 32 bits of a transaction's number, which is taken for the nearest one to the snapshot's.
    """
    position = Position.parse(snapshot)
    was_open = sorted(xid % TWO_32 for xid in position.running)
    before = f"pmod(_tx - {position.next % TWO_32}L, {TWO_32}L) >= {TWO_32 // 2}L"
    apart = f" and _tx not in ({', '.join(f'{xid}L' for xid in was_open)})" if was_open else ""
    in_window = f"(updated_at is null or updated_at < timestamp'{end.isoformat()}')"
    gone = f"(_deleted or {in_window})" if keys_compared else f"not _deleted and {in_window}"
    return f"{before}{apart} and {gone}"


class Resets:
    """Resets live tables by the newest windows of published bronze.

    Again with each version of a table: the stream may bring after a night what that night has seen.
    """

    def __init__(self, lakehouse: Lakehouse, path: Mapping[str, str]) -> None:
        self._lakehouse, self._path = lakehouse, path
        self._looked = dict[str, tuple[str, int | None]]()

    def carry_out(self, *, dry_run: bool = False) -> dict[str, int]:
        """Deletes what has been brought; returns how many rows of each table in which something is new.

        With `dry_run` it only counts them.
        """
        ledger, lake = self._lakehouse.ledger, self._lakehouse.lake
        marks, pointers, deleted = ledger.marks(self._path), ledger.published("bronze"), dict[str, int]()
        for table, window in marks.items():
            if not window.snapshot:
                continue
            compared = _compared(window, pointers.get(table))
            where = seen(window.snapshot, window.window_end, keys_compared=compared)
            with lake.answering():
                if self._looked.get(table) == (where, lake.head(LAYER, table)):
                    continue
                deleted[table] = _delete(self._lakehouse.spark, self._path[table], where, dry_run=dry_run)
                if not dry_run:
                    self._looked[table] = where, lake.head(LAYER, table)
        if any(deleted.values()) and not dry_run:
            log.event("live.reset", **deleted)
        return deleted


def clear(lakehouse: Lakehouse, folder: Path, tables: Mapping[str, str]) -> None:
    """Deletes the live tables and how far the stream was; the next run begins with what Kafka still has.

    How far it was goes first, by a rename. Cut off after that, what is left of the tables takes the same events again and
    keeps its rows; the other way round a stream would go on behind tables that are empty.
    """
    for checkpoint in folder.glob("checkpoint-*"):
        checkpoint.rename(folder / f"gone-{checkpoint.name}")
    with lakehouse.lake.answering():
        for path in tables.values():
            lakehouse.lake.files.delete_folder(path)
    for gone in folder.glob("gone-*"):
        shutil.rmtree(gone)
    log.event(f"{LAYER}.cleared", tables=len(tables))


def _compared(window: Extracted, pointer: Published | None) -> bool:
    """Whether the run of a window held the table's keys against the source's, of which its pointer then tells."""
    return pointer is not None and pointer.run_id == window.run_id and pointer.keys_seen is not None


def _delete(spark: SparkSession, path: str, where: str, *, dry_run: bool) -> int:
    if not DeltaTable.isDeltaTable(spark, path):
        return 0
    table = DeltaTable.forPath(spark, path)
    rows = table.toDF().where(where).count()
    if rows and not dry_run:
        table.delete(where)
        table.optimize().executeCompaction()
        # Files of rows that were deleted or forgotten go after a day, as PROPERTIES say.
        table.vacuum()
    return rows

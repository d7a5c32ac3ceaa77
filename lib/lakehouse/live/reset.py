"""After a night: what it has brought is deleted from the live tables.

What a night has seen is told by its snapshot of the source, as the ledger keeps it with each window: the transactions
that it saw. An LSN would not tell it, as a change lies in the source's log before its transaction commits. Rows that were
stamped after the window's end stay, since the night saw them and left them to the next day.
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
from lakehouse.source.position import Position

TWO_32 = 1 << 32


def seen(snapshot: str, end: datetime) -> str:
    """The condition on rows of a live table that a window of bronze, read in that snapshot up to its end, has brought.

    Events know the low 32 bits of a transaction's number, which is taken for the nearest one to the snapshot's.
    """
    position = Position.parse(snapshot)
    was_open = [int(xid) % TWO_32 for xid in position.transactions.split(":")[2].split(",") if xid]
    before = f"pmod(_tx - {position.next % TWO_32}L, {TWO_32}L) >= {TWO_32 // 2}L"
    apart = f" and _tx not in ({', '.join(f'{xid}L' for xid in was_open)})" if was_open else ""
    in_window = f"(_deleted or updated_at is null or updated_at < timestamp'{end.isoformat()}')"
    return f"{before}{apart} and {in_window}"


class Resets:
    """Resets live tables by the newest windows of published bronze, each window once."""

    def __init__(self, lakehouse: Lakehouse, path: Mapping[str, str]) -> None:
        self._lakehouse, self._path, self._done = lakehouse, path, dict[str, str]()

    def carry_out(self) -> dict[str, int]:
        """Deletes what has been brought; returns how many rows of each table that a new night has read."""
        marks = self._lakehouse.ledger.marks(self._path)
        deleted = {}
        for table, window in marks.items():
            where = f"{window.snapshot}|{window.window_end}"
            if not window.snapshot or self._done.get(table) == where:
                continue
            deleted[table] = _delete(self._lakehouse.spark, self._path[table], seen(window.snapshot, window.window_end))
            self._done[table] = where
        if deleted:
            log.event("live.reset", **deleted)
        return deleted


def clear(lakehouse: Lakehouse, folder: Path, tables: Mapping[str, str]) -> None:
    """Deletes the live tables and how far the stream was; the next run begins with what Kafka still has."""
    for path in tables.values():
        lakehouse.lake.files.delete_folder(path)
    for checkpoint in folder.glob("checkpoint-*"):
        shutil.rmtree(checkpoint)
    log.event(f"{LAYER}.cleared", tables=len(tables))


def _delete(spark: SparkSession, path: str, where: str) -> int:
    if not DeltaTable.isDeltaTable(spark, path):
        return 0
    table = DeltaTable.forPath(spark, path)
    rows = table.toDF().where(where).count()
    if rows:
        table.delete(where)
        table.optimize().executeCompaction()
        # Files of rows that were deleted or forgotten go after a day, as PROPERTIES say.
        table.vacuum()
    return rows

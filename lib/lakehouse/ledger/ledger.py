"""The ledger as runs, commands and notebooks know it: all its questions and answers in one object."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager

from psycopg2.extensions import cursor as Cursor

from lakehouse.ledger import lease
from lakehouse.ledger.pointers import Pointers
from lakehouse.ledger.quality import Quality
from lakehouse.ledger.repairs import Repairs
from lakehouse.ledger.runs import Runs
from lakehouse.ledger.windows import Windows
from lakehouse.records import Run, Shapes, TableRun


class Ledger(Runs, Windows, Pointers, Quality, Repairs):
    """Schema `ops` of the gold database. Reads ask what they need; a publish is one transaction of its run's own lease."""

    def alone(self, layer: str) -> AbstractContextManager[lease.Lease]:
        """Holds the layer's lock. Raises BusyError where another run has it."""
        return lease.held(self.database, layer)

    def publish(
        self,
        cursor: Cursor,
        run: Run,
        tables: Mapping[str, Iterable[TableRun]],
        shapes: Shapes,
        inputs: Mapping[str, int] | None = None,
    ) -> None:
        """Closes the run as published, then moves its pointers and records its tables (by lake layer).

        In the caller's transaction, on the lock's own connection. Raises RightLostError where the run lost its right.
        """
        self.close(cursor, run, "published", None, inputs)
        self._record_tables(cursor, run, tables, shapes)

"""The ledger: schema `ops` of the gold database, the only memory between runs.

migrations   the schema, numbered (schema/0001.sql …), applied once by a run under a lock
lease        a layer's lock, the connection that holds it, its heartbeat
runs         runs and how they end; backups
published    published versions and running sums, the windows that bronze brought, versions by date
quality      results of rules, quarantine by reason, the words of a failure
repairs      what commands of repair ask and change
past         the values they hand on, and the customers who were forgotten
questions    how the ledger is asked
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager

from psycopg2.extensions import cursor as Cursor

from lakehouse.ledger import lease
from lakehouse.ledger.past import Forgotten
from lakehouse.ledger.published import Pointers, Windows
from lakehouse.ledger.quality import Quality
from lakehouse.ledger.repairs import Repairs
from lakehouse.ledger.runs import Backups, Runs
from lakehouse.records import Run, Shapes, TableRun


class Ledger(Runs, Windows, Pointers, Quality, Repairs, Backups, Forgotten):
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

"""Published versions: one pointer per table, moved only by a publish, and the running sums that go with each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from psycopg2.extensions import cursor as Cursor

from lakehouse.ledger.questions import Questions
from lakehouse.records import Changes, Published, Run, Shapes, TableRun, Totals

# Sums go on from what was there; a rebuild begins them again, and gold counts what its last run held.
TOTALS = """
    insert into ops.totals as o (layer, table_name, run_id, rows_read, rows_gone, rows_held, rows_open)
    values (%(layer)s, %(table)s, %(run)s, %(read)s, %(gone)s, %(held)s, %(open)s)
    on conflict (layer, table_name) do update set
        run_id = excluded.run_id,
        rows_read = excluded.rows_read + case when %(fresh)s then 0 else o.rows_read end,
        rows_gone = excluded.rows_gone + case when %(fresh)s then 0 else o.rows_gone end,
        rows_held = excluded.rows_held + case when %(fresh)s then 0 else o.rows_held end,
        rows_open = excluded.rows_open
"""


class Pointers(Questions):
    """The published version of each table, and its sums."""

    def published(self, layer: str) -> dict[str, Published]:
        """The published version of each table of a layer."""
        rows = self._rows(
            "select table_name, version, run_id, business_date, shape from ops.published where layer = %s", (layer,)
        )
        return {
            r["table_name"]: Published(r["table_name"], r["version"], r["run_id"], r["business_date"], r["shape"])
            for r in rows
        }

    def totals(self, layer: str) -> dict[str, Totals]:
        """The sums of each table of a layer since its last rebuild; a table without a run has none."""
        rows = self._rows(
            "select table_name, rows_read, rows_gone, rows_held, rows_open from ops.totals where layer = %s", (layer,)
        )
        return {r["table_name"]: Totals(r["rows_read"], r["rows_gone"], r["rows_held"], r["rows_open"]) for r in rows}

    def table_rows(self, layer: str) -> dict[str, int]:
        """Rows each published table of a layer holds, by the ledger's own sums."""
        return {table: totals.held for table, totals in self.totals(layer).items()}

    def archive(self) -> dict[str, tuple[int, int]]:
        """Version and rows of each bronze table, of one moment: bronze may publish while silver is at work."""
        rows = self._rows(
            "select table_name, version, rows_held from ops.published join ops.totals using (layer, table_name) "
            "where layer = 'bronze'"
        )
        return {r["table_name"]: (r["version"], r["rows_held"]) for r in rows}

    def point_at(self, cursor: Cursor, layer: str, table: str, version: int) -> None:
        """Points at a commit with the published content under a new number: a restore, or a property that was set."""
        cursor.execute(
            "update ops.published set version = %s where layer = %s and table_name = %s", (version, layer, table)
        )

    def count_changes(self, cursor: Cursor, run: Run, changes: Mapping[str, Changes]) -> None:
        """How many rows of each gold table gave way in a publish, in its transaction."""
        for table, change in changes.items():
            cursor.execute(
                "update ops.run_tables set rows_displaced = %s where run_id = %s and layer = 'gold' and table_name = %s",
                (change.updated + change.deleted, run.run_id, table),
            )

    def _record_tables(
        self, cursor: Cursor, run: Run, tables: Mapping[str, Iterable[TableRun]], shapes: Shapes
    ) -> None:
        """What a run did to each table (by lake layer): its row, its reasons, its pointer, its sums."""
        for layer, done in tables.items():
            for t in done:
                cursor.execute(
                    "insert into ops.run_tables (run_id, layer, table_name, version, rows_read, rows_kept, rows_deduplicated, "
                    "rows_quarantined, rows_displaced, bytes_written, window_start, window_end, snapshot) "
                    "values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                    (run.run_id, layer, t.table, t.version, t.rows_read, t.rows_kept, t.rows_deduplicated,
                     t.rows_quarantined, t.rows_displaced, t.bytes_written, t.window_start, t.window_end, t.snapshot),
                )  # fmt: skip
                for reason, rows in t.reasons.items():
                    cursor.execute(
                        "insert into ops.quarantine_counts (run_id, table_name, reason, rows) values (%s, %s, %s, %s)",
                        (run.run_id, t.table, reason, rows),
                    )
                if t.version is not None:
                    self._move(cursor, run, layer, t, shapes[layer][t.table])
                self._add_up(cursor, run, layer, t)

    @staticmethod
    def _move(cursor: Cursor, run: Run, layer: str, t: TableRun, shape: Mapping[str, str]) -> None:
        cursor.execute(
            "insert into ops.published as o (layer, table_name, version, run_id, business_date, shape, published_at) "
            "values (%s, %s, %s, %s, %s, %s, now()) on conflict (layer, table_name) do update set "
            "version = excluded.version, run_id = excluded.run_id, shape = excluded.shape, "
            "published_at = excluded.published_at, "
            # An older day that is read again does not make the table older.
            "business_date = greatest(excluded.business_date, o.business_date)",
            (layer, t.table, t.version, run.run_id, run.business_date, json.dumps(shape)),
        )

    @staticmethod
    def _add_up(cursor: Cursor, run: Run, layer: str, t: TableRun) -> None:
        whole = layer in ("gold", "quarantine")
        if layer == "quarantine" and t.version is None:
            return
        cursor.execute(
            TOTALS,
            {
                "layer": layer, "table": t.table, "run": run.run_id, "read": t.rows_read,
                "gone": t.rows_deduplicated + t.rows_displaced,
                "held": t.rows_kept if whole else t.rows_kept - t.rows_displaced,
                "open": t.rows_quarantined, "fresh": whole or run.rebuilds,
            },
        )  # fmt: skip

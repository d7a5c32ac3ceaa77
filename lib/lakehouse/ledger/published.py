"""What is published: one pointer per table and its running sums, the windows that bronze brought, versions by date.

As of a date D a table is what it was after the last run whose date is at most D. A run's date is the greatest business
date published up to it, in the order of runs: a day that is run again, late, does not turn the clock back.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

from psycopg2.errors import UndefinedTable
from psycopg2.extensions import cursor as Cursor

from lakehouse.database import Database
from lakehouse.ledger.questions import Questions
from lakehouse.records import RUNS_OF, Changes, Extracted, Published, Run, Shapes, TableRun, Totals, Version

# Sums go on from what was there; a rebuild begins them again, and gold counts what its last run held.
TOTALS = """
    insert into ops.totals as o (layer, table_name, run_id, rows_read, rows_gone, rows_held, rows_open, rows_removed, has_ties)
    values (%(layer)s, %(table)s, %(run)s, %(read)s, %(gone)s, %(held)s, %(open)s, %(removed)s, %(has_ties)s)
    on conflict (layer, table_name) do update set
        run_id = excluded.run_id,
        rows_read = excluded.rows_read + case when %(fresh)s then 0 else o.rows_read end,
        rows_gone = excluded.rows_gone + case when %(fresh)s then 0 else o.rows_gone end,
        rows_held = excluded.rows_held + case when %(fresh)s then 0 else o.rows_held end,
        rows_removed = excluded.rows_removed + case when %(fresh)s then 0 else o.rows_removed end,
        rows_open = excluded.rows_open,
        has_ties = excluded.has_ties or not %(fresh)s and o.has_ties
"""

POINTER = "p.table_name as table, p.version, p.run_id, p.business_date, p.shape, p.keys_seen"


class Pointers(Questions):
    """The published version of each table, and its sums."""

    def published(self, layer: str) -> dict[str, Published]:
        """The published version of each table of a layer."""
        rows = self._rows(f"select {POINTER} from ops.published p where layer = %s", (layer,))
        return {r["table"]: Published(**r) for r in rows}

    def silver_and_open(self, table: str) -> tuple[Published | None, Published | None]:
        """A table of silver, and its quarantine where rows are open in it, as of one moment.

        By two answers a row that a publish moves in between, from one to the other, would be in neither.
        """
        rows = self._rows(
            f"select p.layer, {POINTER} from ops.published p left join ops.totals t on t.layer = 'silver' "
            "and t.table_name = p.table_name where p.table_name = %s "
            "and (p.layer = 'silver' or p.layer = 'quarantine' and coalesce(t.rows_open, 1) > 0)",
            (table,),
        )
        found = {row.pop("layer"): Published(**row) for row in rows}
        return found.get("silver"), found.get("quarantine")

    def totals(self, layer: str) -> dict[str, Totals]:
        """The sums of each table of a layer since its last rebuild; a table without a run has none."""
        rows = self._rows(
            "select table_name, rows_read as read, rows_gone as gone, rows_held as held, rows_open as open, "
            "rows_removed as removed, has_ties from ops.totals where layer = %s",
            (layer,),
        )
        return {row.pop("table_name"): Totals(**row) for row in rows}

    def removed_since_gold(self) -> dict[str, int]:
        """Images of each table that tombstones voided in silver's runs since the last run of gold."""
        rows = self._rows(
            "select t.table_name, sum(t.rows_removed)::bigint as rows from ops.runs r join ops.run_tables t using (run_id) "
            "where r.layer = 'silver' and t.layer = 'silver' and r.state = 'published' and r.seq > (select seq from ops.runs "
            "where layer = 'gold' and state = 'published' order by seq desc limit 1) group by 1"
        )
        return {r["table_name"]: r["rows"] for r in rows}

    def table_rows(self, layer: str) -> dict[str, int]:
        """Rows each published table of a layer holds, by the ledger's own sums."""
        return {table: totals.held for table, totals in self.totals(layer).items()}

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
                    "rows_quarantined, rows_displaced, rows_removed, rows_recalled, rows_reopened, has_ties, bytes_written, "
                    "window_start, window_end, snapshot) "
                    "values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                    (run.run_id, layer, t.table, t.version, t.rows_read, t.rows_kept, t.rows_deduplicated,
                     t.rows_quarantined, t.rows_displaced, t.rows_removed, t.rows_recalled, t.rows_reopened,
                     t.has_ties, t.bytes_written, t.window_start, t.window_end, t.snapshot),
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
            "insert into ops.published as o (layer, table_name, version, run_id, business_date, shape, keys_seen, published_at) "
            "values (%s, %s, %s, %s, %s, %s, %s, now()) on conflict (layer, table_name) do update set "
            "version = excluded.version, run_id = excluded.run_id, shape = excluded.shape, "
            "keys_seen = excluded.keys_seen, published_at = excluded.published_at, "
            # An older day that is read again does not make the table older.
            "business_date = greatest(excluded.business_date, o.business_date)",
            (layer, t.table, t.version, run.run_id, run.business_date, json.dumps(shape), t.keys_seen),
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
                "gone": t.rows_deduplicated + t.rows_displaced - t.rows_reopened,
                "held": t.rows_kept if whole else t.rows_kept - t.rows_displaced - t.rows_recalled,
                "open": t.rows_quarantined, "removed": t.rows_removed, "has_ties": t.has_ties, "fresh": whole or run.rebuilds,
            },
        )  # fmt: skip


COLUMNS = "t.run_id, t.table_name, r.business_date, t.window_start, t.window_end, t.snapshot, t.rows_read, t.rows_removed, r.seq"
FROM = (
    "from ops.run_tables t join ops.runs r using (run_id) "
    "where t.layer = 'bronze' and r.state = 'published' and t.window_end is not null"
)
# From the runs above the lowest mark to their tables, one by one: a join would read the tables of all runs there ever were.
# A table that silver has never published has the mark 0.
PENDING = """
    with marks as (
        select n.table_name, case when %(whole)s then 0 else coalesce(c.consumed_seq, 0) end as seq
        from unnest(%(tables)s) as n (table_name)
        left join ops.totals c on c.layer = 'silver' and c.table_name = n.table_name
    )
    select t.*, r.business_date, r.seq
    from ops.runs r
    cross join lateral (
        select run_id, table_name, window_start, window_end, snapshot, rows_read, rows_removed from ops.run_tables
        where run_id = r.run_id and layer = 'bronze' and window_end is not null offset 0
    ) t
    join marks m on m.table_name = t.table_name and r.seq > m.seq
    where r.layer = 'bronze' and r.state = 'published' and r.seq > (select min(seq) from marks)
    order by r.seq
"""


class Windows(Questions):
    """Windows of published bronze runs."""

    def marks(self, tables: Iterable[str]) -> dict[str, Extracted]:
        """The window of each table that reaches furthest: its end is the table's mark."""
        return self._each(tables, "and t.table_name = n.table_name order by t.window_end desc, r.seq desc limit 1")

    def covering(self, tables: Iterable[str], end: datetime) -> dict[str, Extracted]:
        """The first window of each table that reaches a day's end."""
        return self._each(
            tables,
            "and t.table_name = n.table_name and t.window_end >= %(end)s order by t.window_end, r.seq limit 1",
            end=end,
        )

    def first_covering(self, end: datetime) -> Extracted | None:
        """The first window of any table that reaches a day's end."""
        found = self._extracted(
            f"select {COLUMNS} {FROM} and t.window_end >= %(end)s order by t.window_end, r.seq limit 1", {"end": end}
        )
        return found[0] if found else None

    def windows_of(self, day: date) -> list[Extracted]:
        """The windows that the runs for a business date had read, oldest first."""
        return self._extracted(f"select {COLUMNS} {FROM} and r.business_date = %(day)s order by r.seq", {"day": day})

    def windows_between(self, first: date, last: date) -> list[Extracted]:
        """The windows of all runs for a range of business dates, both ends within, oldest first."""
        return self._extracted(
            f"select {COLUMNS} {FROM} and r.business_date between %(first)s and %(last)s order by r.seq",
            {"first": first, "last": last},
        )

    def pending(self, tables: Iterable[str], *, whole: bool = False) -> dict[str, list[Extracted]]:
        """Windows of each table that silver has not judged yet, oldest first; `whole`: all there ever were."""
        names = list(tables)
        rows = self._rows(PENDING, {"tables": names, "whole": whole})
        found: dict[str, list[Extracted]] = {name: [] for name in names}
        for row in rows:
            found[row["table_name"]].append(_extracted(row))
        return found

    def consume(self, cursor: Cursor, run: Run, windows: Mapping[str, Iterable[Extracted]]) -> None:
        """Records, in the caller's transaction, which bronze runs a silver run has judged, by table."""
        for table, extracts in windows.items():
            for e in extracts:
                cursor.execute(
                    "insert into ops.consumed (table_name, bronze_run_id, silver_run_id) values (%s, %s, %s) "
                    "on conflict (table_name, bronze_run_id, silver_run_id) do nothing",
                    (table, e.run_id, run.run_id),
                )
                cursor.execute(
                    "update ops.totals set consumed_seq = greatest(consumed_seq, (select seq from ops.runs where run_id = %s)) "
                    "where layer = 'silver' and table_name = %s",
                    (e.run_id, table),
                )

    def _each(self, tables: Iterable[str], which: str, **parameters: object) -> dict[str, Extracted]:
        """One window of each table, found by the index on table and end."""
        rows = self._rows(
            f"select w.* from unnest(%(tables)s) as n (table_name) cross join lateral (select {COLUMNS} {FROM} {which}) w",
            {"tables": list(tables), **parameters},
        )
        return {row["table_name"]: _extracted(row) for row in rows}

    def _extracted(self, sql: str, parameters: Mapping[str, object]) -> list[Extracted]:
        return [_extracted(row) for row in self._rows(sql, parameters)]


def _extracted(row: dict[str, Any]) -> Extracted:
    return Extracted(
        row["run_id"], row["table_name"], row["business_date"], row["window_start"], row["window_end"],
        row["snapshot"], row["rows_read"], row["rows_removed"],
    )  # fmt: skip


VERSIONS = """
    select distinct on (as_of) as_of, version, run_id, finished_at
    from (
        select r.seq, r.run_id, r.finished_at,
               max(r.business_date) over (order by r.seq) as as_of,
               max(t.version) over (order by r.seq) as version
        from ops.runs r
        left join ops.run_tables t on t.run_id = r.run_id and t.layer = %s and t.table_name = %s
        where r.layer = %s and r.state = 'published'
    ) as published
    where version is not null
    order by as_of, seq desc
"""


def versions(database: Database, layer: str, table: str) -> list[Version]:
    """The state of a table as of each date that a run was published for, oldest first; none where nothing was yet.

    A run that changes nothing of a table writes no version: the one before it stands for that date too.
    """
    run_layer = RUNS_OF[layer]
    with database.connection() as connection, connection.cursor() as cursor:
        try:
            cursor.execute(VERSIONS, (layer, table, run_layer))
        except UndefinedTable:  # the ledger is made by the first run
            connection.rollback()
            return []
        return [Version(*row) for row in cursor.fetchall()]

"""What bronze has brought: windows of the source, by table and run, and which of them silver has judged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

from psycopg2.extensions import cursor as Cursor

from lakehouse.ledger.questions import Questions
from lakehouse.records import Extracted, Run

COLUMNS = "t.run_id, t.table_name, r.business_date, t.window_start, t.window_end, t.snapshot, t.rows_read, r.seq"
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
        select run_id, table_name, window_start, window_end, snapshot, rows_read from ops.run_tables
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
        row["snapshot"], row["rows_read"],
    )  # fmt: skip

"""What commands of repair ask and change: cuts in the order of runs, runs set aside, runs taken in, waivers, versions kept.

A cut is a place in the order of a layer's runs: what was published up to it is one state of the layer. A run's date is the
greatest business date published up to it, so the cut for a date is the last run whose date is at most that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from itertools import takewhile
from typing import Any

from psycopg2.extensions import cursor as Cursor

from lakehouse.ledger.past import Adopted, Aside, Cut, Undone
from lakehouse.ledger.questions import Questions

# As the migration that made the table added them up: over the published runs since each layer's last rebuild.
TOTALS = """
    insert into ops.totals (layer, table_name, run_id, rows_read, rows_removed, rows_gone, rows_held, rows_open, has_ties, consumed_seq)
    select t.layer, t.table_name, (array_agg(t.run_id order by r.seq desc))[1], sum(t.rows_read), sum(t.rows_removed),
           sum(t.rows_deduplicated + t.rows_displaced - t.rows_reopened),
           case when t.layer in ('gold', 'quarantine') then (array_agg(t.rows_kept order by r.seq desc))[1]
                else sum(t.rows_kept - t.rows_displaced - t.rows_recalled) end,
           (array_agg(t.rows_quarantined order by r.seq desc))[1], bool_or(t.has_ties),
           coalesce((select max(b.seq) from ops.consumed c join ops.runs b on b.run_id = c.bronze_run_id
                     join ops.runs s on s.run_id = c.silver_run_id
                     where c.table_name = t.table_name and t.layer = 'silver' and s.state = 'published'), 0)
    from ops.run_tables t join ops.runs r using (run_id)
    where r.state = 'published' and t.layer = any(%(layers)s) and (t.layer <> 'quarantine' or t.version is not null)
      and r.seq >= (select coalesce(max(n.seq), 0) from ops.runs n
                    where n.layer = r.layer and n.rebuilds and n.state = 'published' and r.layer <> 'gold')
    group by t.layer, t.table_name
"""
CUT = """
    select seq, run_id, as_of, inputs from (
        select seq, run_id, inputs, max(business_date) over (order by seq) as as_of
        from ops.runs where layer = %s and state = 'published'
    ) as published
    where as_of <= %s order by seq desc limit 1
"""


class Repairs(Questions):
    """Questions and changes of `lakehouse rewind`, `adopt`, `quarantine waive` and `maintain`."""

    def cut(self, layer: str, day: date) -> Cut | None:
        """The last published run of a layer as of a day; None where there was none yet."""
        rows = self._rows(CUT, (layer, day))
        return Cut(**rows[0]) if rows else None

    def first_day(self, layer: str) -> date | None:
        """The date of a layer's first published run, which is as far back as it goes."""
        query = "select business_date from ops.runs where layer = %s and state = 'published' order by seq limit 1"
        rows = self._rows(query, (layer,))
        return rows[0]["business_date"] if rows else None

    def judged_up_to(self, silver_seq: int) -> int:
        """The newest bronze run that silver had judged by a cut; 0 where none."""
        rows = self._rows(
            "select coalesce(max(b.seq), 0) as seq from ops.consumed c join ops.runs b on b.run_id = c.bronze_run_id "
            "join ops.runs s on s.run_id = c.silver_run_id "
            "where s.state = 'published' and b.state = 'published' and s.seq <= %s",
            (silver_seq,),
        )
        return int(rows[0]["seq"])

    def unaccounted(self, silver_seq: int) -> list[str]:
        """Tables whose rows judged by a cut are not those of the bronze runs that the ledger says were judged by then.

        So it is before a rebuild by an earlier release, which kept only the newest judging of each bronze run.
        """
        rows = self._rows(
            "with judged as (select table_name, sum(rows_read) as rows from ops.run_tables t join ops.runs r using (run_id) "
            "  where t.layer = 'silver' and r.state = 'published' and r.seq <= %(cut)s and r.seq >= (select coalesce(max(seq), 0) "
            "  from ops.runs where layer = 'silver' and rebuilds and state = 'published' and seq <= %(cut)s) group by 1), "
            "known as (select table_name, sum(t.rows_read) as rows from ops.run_tables t where t.layer = 'bronze' and exists ("
            "  select from ops.consumed c join ops.runs s on s.run_id = c.silver_run_id where c.table_name = t.table_name "
            "  and c.bronze_run_id = t.run_id and s.state = 'published' and s.seq <= %(cut)s) group by 1) "
            "select table_name from judged left join known using (table_name) "
            "where judged.rows <> coalesce(known.rows, 0) order by 1",
            {"cut": silver_seq},
        )
        return [r["table_name"] for r in rows]

    def runs_after(self, layer: str, seq: int) -> list[str]:
        """The published runs of a layer after a cut, oldest first."""
        query = "select run_id from ops.runs where layer = %s and state = 'published' and seq > %s order by seq"
        return [r["run_id"] for r in self._rows(query, (layer, seq))]

    def versions_at(self, layer: str, of_runs: str, seq: int) -> dict[str, int]:
        """The version of each lake table of a layer that its runs (`of_runs`: silver's for quarantine) had made by a cut."""
        rows = self._rows(
            "select table_name, max(t.version) as version from ops.run_tables t join ops.runs r using (run_id) "
            "where t.layer = %s and r.layer = %s and r.state = 'published' and r.seq <= %s and t.version is not null group by 1",
            (layer, of_runs, seq),
        )
        return {r["table_name"]: r["version"] for r in rows}

    def open_at(self, silver_seq: int) -> dict[str, tuple[int, dict[str, int]]]:
        """Rows open of each table after the run of a cut, and how many by each reason."""
        rows = self._rows(
            "select t.table_name, t.rows_quarantined as rows, q.reason, q.rows as of_reason "
            "from ops.run_tables t join ops.runs r using (run_id) left join ops.quarantine_counts q using (run_id, table_name) "
            "where t.layer = 'silver' and r.seq = %s",
            (silver_seq,),
        )
        found: dict[str, tuple[int, dict[str, int]]] = {}
        for r in rows:
            reasons = found.setdefault(r["table_name"], (r["rows"], {}))[1]
            if r["reason"]:
                reasons[r["reason"]] = r["of_reason"]
        return found

    def set_back(self, cursor: Cursor, runs: Mapping[str, list[str]]) -> None:
        """Calls published runs rewound, by layer. Of bronze's the published version still holds all rows, and is kept.

        Bronze runs that an earlier rewind set aside, and that no run has needed since, come behind them in their order.
        """
        for layer, ids in runs.items():
            if layer == "bronze" and ids:
                cursor.execute("select run_id from ops.runs where layer = 'bronze' and state = 'rewound' order by seq")
                for (run_id,) in cursor.fetchall():
                    cursor.execute("update ops.runs set seq = default where run_id = %s", (run_id,))
            cursor.execute(
                "update ops.runs set state = 'rewound' where run_id = any(%s) and state = 'published'", (ids,)
            )
            if layer == "bronze":
                cursor.execute(
                    "update ops.run_tables t set version = p.version from ops.published p where t.run_id = any(%s) "
                    "and t.layer = 'bronze' and p.layer = 'bronze' and p.table_name = t.table_name",
                    (ids,),
                )

    def forget_aside(self, cursor: Cursor, newest: Mapping[str, int]) -> None:
        """Bronze that was set aside in versions above the newest of its table is lost: a run reads its windows again."""
        for table, version in newest.items():
            cursor.execute(
                "delete from ops.run_tables t using ops.runs r where r.run_id = t.run_id and r.state = 'rewound' "
                "and t.layer = 'bronze' and r.layer = 'bronze' and t.table_name = %s and t.version > %s",
                (table, version),
            )

    def date_pointers(self, cursor: Cursor, layers: Iterable[str], day: date, run_ids: Iterable[str]) -> None:
        """After a rewind: the pointers that its runs moved are of the day they stand for; tables younger than it have none."""
        cursor.execute("delete from ops.published where layer = any(%s) and not run_id = any(%s)",
                       (list(layers), list(run_ids)))  # fmt: skip
        cursor.execute("update ops.published set business_date = %s where layer = any(%s)", (day, list(layers)))

    def add_up(self, cursor: Cursor, layers: Iterable[str]) -> None:
        """Adds the sums of layers up again, from their published runs."""
        parameters = {"layers": list(layers)}
        cursor.execute("delete from ops.totals where layer = any(%(layers)s)", parameters)
        cursor.execute(TOTALS, parameters)

    def aside(self, day: date, end: datetime) -> list[Aside]:
        """Bronze runs that a rewind set aside and that a run for a day needs again, oldest first, table by table.

        A run is needed where it was for that day or an earlier one, or where a window of it begins before the day ends. None
        comes back before those that it followed: which images a tombstone voids is a matter of their order.
        """
        rows = self._rows(
            "select r.run_id, r.business_date, t.table_name as table, t.version, t.rows_kept as rows, r.business_date <= %(day)s "
            "or exists (select from ops.run_tables w where w.run_id = r.run_id and w.layer = 'bronze' and w.window_start < %(end)s) "
            "as is_needed from ops.runs r join ops.run_tables t using (run_id) where r.layer = 'bronze' and r.state = 'rewound' "
            "and t.window_end is not null order by r.seq, t.table_name",
            {"day": day, "end": end},
        )
        return [Aside(**r) for r in takewhile(lambda r: r.pop("is_needed"), rows)]

    def put_back(self, cursor: Cursor, run_ids: Iterable[str]) -> None:
        """Publishes bronze runs that were set aside, as the newest in the order of runs; in the order given."""
        published = "update ops.runs set state = 'published', seq = default where run_id = %s and state = 'rewound'"
        for run_id in run_ids:
            cursor.execute(published, (run_id,))
            cursor.execute(
                "update ops.run_tables t set version = p.version from ops.published p where t.run_id = %s "
                "and t.layer = 'bronze' and p.layer = 'bronze' and p.table_name = t.table_name",
                (run_id,),
            )

    def kept_versions(self, layer: str, since: timedelta) -> dict[str, set[int]]:
        """Versions of each table of a lake layer that readers or commands may still ask for.

        The published one, those that were published within a time, those pinned, and those that hold runs set aside.
        """
        rows = self._rows(
            "select table_name, version from ops.published where layer = %(layer)s "
            "union select table_name, version from ops.pins where layer = %(layer)s "
            "union select t.table_name, t.version from ops.run_tables t join ops.runs r using (run_id) "
            "where t.layer = %(layer)s and t.version is not null and "
            "(r.state = 'published' and r.finished_at >= now() - %(since)s or r.state = 'rewound' and t.window_end is not null) "
            # What stood when the time began is what readers saw in its first days.
            "union select table_name, max(version) from ops.run_tables t join ops.runs r using (run_id) "
            "where t.layer = %(layer)s and r.state = 'published' and r.finished_at < now() - %(since)s "
            "and t.version is not null group by 1",
            {"layer": layer, "since": since},
        )
        found: dict[str, set[int]] = {}
        for r in rows:
            found.setdefault(r["table_name"], set()).add(r["version"])
        return found

    def renumber(self, cursor: Cursor, layer: str, table: str, old: int, new: int) -> None:
        """The published content of a table under another number: for readers of now and of the date it was published for."""
        cursor.execute("update ops.published set version = %s where layer = %s and table_name = %s and version = %s",
                       (new, layer, table, old))  # fmt: skip
        cursor.execute("update ops.run_tables set version = %s where layer = %s and table_name = %s and version = %s "
                       "and run_id in (select run_id from ops.runs where state = 'published')", (new, layer, table, old))  # fmt: skip

    def forget_quality(self, cursor: Cursor, since: timedelta) -> int:
        """Deletes results of rules older than a time; how many. Runs, and rows by reason, stay."""
        cursor.execute("delete from ops.quality_results where checked_at < now() - %s", (since,))
        return cursor.rowcount

    def old_results(self, since: timedelta) -> int:
        """How many results of rules are older than a time."""
        return int(
            self._rows("select count(*) as n from ops.quality_results where checked_at < now() - %s", (since,))[0]["n"]
        )

    def ever_published(self) -> bool:
        """Whether any run of this ledger was ever published."""
        return bool(self._rows("select 1 from ops.runs where state in ('published', 'rewound') limit 1"))

    def take_identity(self, cursor: Cursor, ledger_id: str) -> None:
        """The ledger goes on as the one that a lake belongs to."""
        cursor.execute("update ops.settings set value = %s where name = 'ledger_id'", (ledger_id,))

    def take_in(self, cursor: Cursor, runs: Iterable[Adopted]) -> None:
        """Writes bronze runs that the ledger did not know as published, as their commits tell of them; oldest first.

        One that stands there otherwise was at work, or set aside, when the backup was made that the ledger comes from.
        """
        for run in runs:
            cursor.execute(
                "insert into ops.runs (run_id, layer, business_date, state, started_at, finished_at, message) "
                "values (%s, 'bronze', %s, 'published', %s, %s, 'taken in from the lake by lakehouse adopt') "
                "on conflict (run_id) do update set state = excluded.state, seq = default, finished_at = excluded.finished_at, "
                "message = excluded.message, error_code = null",
                (run.run_id, run.business_date, run.started_at, run.started_at),
            )
            for t in run.tables:
                cursor.execute(
                    "insert into ops.run_tables as t (run_id, layer, table_name, version, rows_read, rows_kept, "
                    "rows_deduplicated, rows_quarantined, rows_displaced, rows_removed, bytes_written, window_start, window_end, "
                    "snapshot) values (%s, 'bronze', %s, %s, %s, %s, 0, 0, 0, %s, 0, %s, %s, %s) "
                    "on conflict (run_id, layer, table_name) do update set version = excluded.version, "
                    "rows_read = excluded.rows_read, rows_kept = excluded.rows_kept, rows_removed = excluded.rows_removed",
                    (run.run_id, t.table, t.version, t.rows - t.tombstones, t.rows, t.tombstones, t.window_start,
                     t.window_end, t.snapshot),
                )  # fmt: skip

    def note_undone(self, cursor: Cursor, runs: Iterable[Undone]) -> None:
        """Writes bronze runs that nobody knows to have been published; the next run restores away what they left."""
        for run in runs:
            cursor.execute(
                "insert into ops.runs (run_id, layer, business_date, state, started_at, finished_at, message) "
                "values (%s, 'bronze', %s, 'abandoned', %s, %s, 'undone by lakehouse adopt: the lake was not told that it was "
                "published') on conflict (run_id) do nothing",
                (run.run_id, run.business_date, run.at, run.at),
            )

    def known_runs(self, layer: str) -> set[str]:
        """Every published run of a layer."""
        return {
            r["run_id"]
            for r in self._rows("select run_id from ops.runs where layer = %s and state = 'published'", (layer,))
        }

    def actions(self, limit: int = 50) -> list[dict[str, Any]]:
        """What people did by command, the newest first."""
        return self._rows(
            "select at, action, by_whom, reason, plan from ops.actions order by seq desc limit %s", (limit,)
        )

    def waived(self) -> dict[str, list[str]]:
        """Rules that hold no row back, by table."""
        rows = self._rows(
            "select table_name, array_agg(rule order by rule) as rules from ops.waivers where ended_at is null group by 1"
        )
        return {r["table_name"]: r["rules"] for r in rows}

    def waivers(self) -> list[dict[str, Any]]:
        """Every waiver there ever was, the newest first."""
        return self._rows(
            "select table_name as table, rule, reason, by_whom, at, ended_at from ops.waivers order by seq desc"
        )

    def waive(self, cursor: Cursor, table: str, rule: str, reason: str, by_whom: str) -> None:
        """From the next run of silver on a rule holds no row of a table back."""
        cursor.execute("insert into ops.waivers (table_name, rule, reason, by_whom) values (%s, %s, %s, %s)",
                       (table, rule, reason, by_whom))  # fmt: skip

    def end_waiver(self, cursor: Cursor, table: str, rule: str) -> None:
        """From the next run of silver on a rule holds rows of a table back again."""
        cursor.execute("update ops.waivers set ended_at = clock_timestamp() where table_name = %s and rule = %s "
                       "and ended_at is null", (table, rule))  # fmt: skip

"""What gates found: quality results, open quarantine by reason, what an alert says of a failed run; and pins of versions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

from psycopg2.extensions import cursor as Cursor
from psycopg2.extras import RealDictCursor, execute_values

from lakehouse.database import Database
from lakehouse.ledger.questions import Questions
from lakehouse.records import BrokenRule, Failure, Finding, KeptTotals, ListedRun, Run

RUN = """
    select run_id, error_code, message from ops.runs
    where layer = %s and business_date = %s and state = 'failed' and finished_at >= %s
    -- That another run was at work (10) says less than any failure of this one.
    order by error_code is not distinct from 10, seq desc limit 1
"""
RULES = """
    select layer || '.' || table_name as table, rule, unexpected, rows from ops.quality_results
    where run_id = %s and severity = 'critical' and not success order by 1, 2
"""
LISTED = """
    select r.run_id, r.layer, r.business_date, r.state, r.started_at, r.finished_at, r.message,
           f.rules, f.critical, f.warnings
    from ops.runs r
    cross join lateral (
        select count(*) as rules,
               count(*) filter (where not success and severity = 'critical') as critical,
               count(*) filter (where not success and severity = 'warning') as warnings
        from ops.quality_results q where q.run_id = r.run_id
    ) f
"""


class Quality(Questions):
    """Results of rules, what was counted of gold, the rows open in quarantine, and versions that a person keeps."""

    def keep_totals(self, cursor: Cursor, totals: Mapping[str, KeptTotals]) -> None:
        """What was counted of each gold table that is published, in the transaction that publishes it."""
        for table, held in totals.items():
            cursor.execute(
                "insert into ops.gold_totals (table_name, version, meaning, totals) values (%s, %s, %s, %s) "
                "on conflict (table_name) do update set version = excluded.version, meaning = excluded.meaning, "
                "totals = excluded.totals",
                (table, held.version, held.meaning, json.dumps(dict(held.totals))),
            )

    def kept_totals(self) -> dict[str, KeptTotals]:
        """What was counted of each gold table when it was last published."""
        rows = self._rows("select table_name, version, meaning, totals from ops.gold_totals")
        return {r["table_name"]: KeptTotals(r["version"], r["meaning"], r["totals"]) for r in rows}

    def rebuilt_since_gold(self) -> bool:
        """Whether silver was rebuilt since the last run of gold: a version of its number may not be what gold was made of."""
        rows = self._rows(
            "select exists (select from ops.runs where layer = 'silver' and state = 'published' and rebuilds and seq > "
            "(select seq from ops.runs where layer = 'gold' and state = 'published' order by seq desc limit 1)) as rebuilt"
        )
        return bool(rows[0]["rebuilt"])

    def record_findings(self, run: Run, findings: Iterable[Finding]) -> None:
        """Writes what the gates of a run found, whatever becomes of the run."""
        with self.database.connection() as connection, connection.cursor() as cursor:
            execute_values(
                cursor,
                "insert into ops.quality_results (run_id, layer, table_name, rule, severity, success, unexpected, rows) "
                "values %s",
                [(run.run_id, f.layer, f.table, f.rule, f.severity, f.success, f.unexpected, f.rows) for f in findings],
            )

    def quarantined(self) -> list[dict[str, Any]]:
        """Rows open in quarantine by table and reason, after each table's last silver run."""
        return self._rows(
            "select q.table_name as table, q.reason, q.rows from ops.totals t join ops.quarantine_counts q "
            "using (run_id, table_name) where t.layer = 'silver' order by 1, 2"
        )

    def listed_run(self, run_id: str) -> ListedRun:
        """One run, with the rules of its gate by outcome, as its page shows it."""
        return ListedRun(**self._rows(f"{LISTED} where r.run_id = %s", (run_id,))[0])

    def listed_runs(self, limit: int) -> tuple[list[ListedRun], int]:
        """The newest runs, newest first, and how many there were in all."""
        rows = self._rows(f"{LISTED} order by r.seq desc limit %s", (limit,))
        # By the newest number: a count would read all of history.
        total = self._rows("select coalesce(max(seq), 0) as n from ops.runs")[0]["n"]
        return [ListedRun(**row) for row in rows], max(total, len(rows))

    def needed_versions(self, layer: str) -> dict[str, set[int]]:
        """Versions of each table of a lake layer, beside the published one, without which something would be lost.

        Those pinned, and those that hold runs of bronze which a rewind set aside.
        """
        rows = self._rows(
            "select table_name, version from ops.pins where layer = %(layer)s "
            "union select t.table_name, t.version from ops.run_tables t join ops.runs r using (run_id) where t.layer = %(layer)s "
            "and r.layer = 'bronze' and r.state = 'rewound' and t.version is not null and t.window_end is not null",
            {"layer": layer},
        )
        found: dict[str, set[int]] = {}
        for r in rows:
            found.setdefault(r["table_name"], set()).add(r["version"])
        return found

    def pins(self) -> list[dict[str, Any]]:
        """Versions of lake tables that maintenance keeps because a person asked for it, and why."""
        return self._rows(
            "select layer, table_name as table, version, reason, pinned_at from ops.pins order by layer, table_name, version"
        )

    def pin(self, cursor: Cursor, layer: str, table: str, version: int, reason: str) -> None:
        """From now on maintenance keeps a version of a table."""
        cursor.execute("insert into ops.pins (layer, table_name, version, reason) values (%s, %s, %s, %s)",
                       (layer, table, version, reason))  # fmt: skip

    def unpin(self, cursor: Cursor, layer: str, table: str, version: int) -> None:
        """From now on maintenance keeps a version of a table no longer than others."""
        cursor.execute(
            "delete from ops.pins where layer = %s and table_name = %s and version = %s", (layer, table, version)
        )


def last_failure(database: Database, layer: str, business_date: date, since: datetime) -> Failure | None:
    """The newest failed run of a layer and day that ended at `since` or later; None where there is none."""
    with database.connection() as connection, connection.cursor(cursor_factory=RealDictCursor) as cursor:
        cursor.execute("select to_regclass('ops.runs') as ledger")
        if cursor.fetchall()[0]["ledger"] is None:
            return None
        cursor.execute(RUN, (layer, business_date, since))
        run = cursor.fetchone()
        if run is None:
            return None
        cursor.execute(RULES, (run["run_id"],))
        rules = tuple(BrokenRule(**row) for row in cursor.fetchall())
    return Failure(run["run_id"], run["error_code"], run["message"] or "", rules)

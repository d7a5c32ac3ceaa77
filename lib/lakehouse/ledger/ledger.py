"""The ledger: schema `ops` of the gold database, the only memory between runs.

It holds every run, what each run did to each table, and the published versions: a pointer a table, by which readers and
the next layer find the version that passed its gate. All pointers of a layer move in one transaction.
"""

from __future__ import annotations

import json
import os
import socket
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any

from psycopg2.extensions import cursor as Cursor
from psycopg2.extras import RealDictCursor, execute_values

from lakehouse import log
from lakehouse.contracts import resource_folder
from lakehouse.database import Database
from lakehouse.errors import LakehouseError, LedgerError, safe_words
from lakehouse.records import Extracted, Published, Run, TableRun

# One advisory lock a layer, held for the life of a run: two numbers, ours and the layer's.
LOCK_SPACE = 0x1A4E
LOCK_OF = {"bronze": 1, "silver": 2, "gold": 3}


class Ledger:
    """Reads and writes schema `ops`. Every write that publishes is given the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def prepare(self, timezone: str) -> None:
        """Makes the schema on first use; refuses another zone than the one the lake was built in, as dates would move."""
        ddl = (resource_folder("ledger") / "schema" / "0001.sql").read_text(encoding="utf-8")
        with self.database.connection() as connection, connection.cursor() as cursor:
            cursor.execute("select pg_advisory_xact_lock(%s, 0)", (LOCK_SPACE,))
            cursor.execute(ddl)
            # Whoever only looked, or failed, has built nothing yet.
            cursor.execute(
                "insert into ops.settings values ('timezone', %s) on conflict (name) do update set value = excluded.value "
                "where not exists (select from ops.runs where state = 'published')", (timezone,)
            )  # fmt: skip
            cursor.execute("select value from ops.settings where name = 'timezone'")
            kept = str(self._one(cursor)[0])
        if kept != timezone:
            raise LedgerError(f"this lakehouse was built in the zone {kept}; LAKEHOUSE_TIMEZONE={timezone} would move "
                              f"dates: set it back, or start a new lake and gold database")  # fmt: skip

    @contextmanager
    def run(self, layer: str, business_date: date, *, rebuilds: bool = False) -> Iterator[Run]:
        """Opens a run: alone in its layer, its row written; a failure is recorded with its code and words.

        Raises LedgerError when another run of the layer is at work.
        """
        run_id = f"{layer}-{business_date.isoformat()}-{uuid.uuid4().hex[:12]}"
        with self._alone(layer), self.database.connection() as connection, connection.cursor() as cursor:
            cursor.execute(
                "update ops.runs set state = 'abandoned', finished_at = now() where layer = %s and state = 'running'",
                (layer,),
            )
            cursor.execute(
                "insert into ops.runs (run_id, layer, business_date, rebuilds, host, pid) "
                "values (%s, %s, %s, %s, %s, %s) returning started_at",
                (run_id, layer, business_date, rebuilds, socket.gethostname(), os.getpid()),
            )
            started_at = self._one(cursor)[0]
            connection.commit()
            try:
                yield Run(run_id, layer, business_date, started_at)
            except BaseException as e:
                self.fail(run_id, e)
                raise

    def published(self, layer: str) -> dict[str, Published]:
        """The published version of each table of a layer."""
        rows = self._rows("select * from ops.published where layer = %s", (layer,))
        return {
            r["table_name"]: Published(r["table_name"], r["version"], r["run_id"], r["business_date"], r["shape"])
            for r in rows
        }

    def publish(
        self,
        cursor: Cursor,
        run: Run,
        tables: Mapping[str, Iterable[TableRun]],
        shapes: Mapping[str, Mapping[str, Mapping[str, str]]],
        state: str = "published",
        inputs: Mapping[str, int] | None = None,
        message: str | None = None,
    ) -> None:
        """Moves the pointers of a layer (tables by lake layer), records the tables and closes the run, in the caller's transaction."""
        for layer, done in tables.items():
            for t in done:
                cursor.execute(
                    "insert into ops.run_tables values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                    (run.run_id, layer, t.table, t.version, t.rows_read, t.rows_kept, t.rows_deduplicated,
                     t.rows_quarantined, t.rows_displaced, t.bytes_written, t.window_start, t.window_end, t.snapshot),
                )  # fmt: skip
                for reason, rows in t.reasons.items():
                    cursor.execute(
                        "insert into ops.quarantine_counts values (%s, %s, %s, %s)", (run.run_id, t.table, reason, rows)
                    )
                if t.version is not None:
                    cursor.execute(
                        "insert into ops.published values (%s, %s, %s, %s, %s, %s, now()) "
                        "on conflict (layer, table_name) do update set version = excluded.version, "
                        "run_id = excluded.run_id, business_date = excluded.business_date, shape = excluded.shape, "
                        "published_at = excluded.published_at",
                        (layer, t.table, t.version, run.run_id, run.business_date, json.dumps(shapes[layer][t.table])),
                    )
        cursor.execute(
            "update ops.runs set state = %s, finished_at = clock_timestamp(), inputs = %s, message = %s where run_id = %s",
            (state, json.dumps(inputs or {}), message, run.run_id),
        )

    def put_back(self, layer: str, table: str, version: int) -> None:
        """Points at the commit that restored the published version: same content, new number."""
        with self.database.connection() as connection, connection.cursor() as cursor:
            cursor.execute(
                "update ops.published set version = %s where layer = %s and table_name = %s", (version, layer, table)
            )

    def extracts(self, table: str | None = None) -> list[Extracted]:
        """Every published bronze window, oldest first; of one table or of all."""
        return [
            Extracted(r["run_id"], r["table_name"], r["business_date"], r["window_start"], r["window_end"],
                      r["snapshot"], r["rows_read"])
            for r in self._rows(
                "select t.*, r.business_date from ops.run_tables t join ops.runs r using (run_id) where t.layer = 'bronze' "
                "and r.state = 'published' and t.window_end is not null "
                "and (%(table)s is null or t.table_name = %(table)s) order by r.seq", {"table": table})
        ]  # fmt: skip

    def consumed(self, table: str) -> set[str]:
        """Bronze runs whose rows of the table silver has judged."""
        return {r["bronze_run_id"] for r in self._rows("select * from ops.consumed where table_name = %s", (table,))}

    def consume(self, cursor: Cursor, run: Run, runs: Mapping[str, Iterable[str]]) -> None:
        """Records, in the caller's transaction, which bronze runs a silver run has judged, by table."""
        for table, bronze_runs in runs.items():
            for bronze_run in bronze_runs:
                cursor.execute(
                    "insert into ops.consumed values (%s, %s, %s) on conflict (table_name, bronze_run_id) "
                    "do update set silver_run_id = excluded.silver_run_id",
                    (table, bronze_run, run.run_id),
                )

    def open_rows(self, table: str) -> int:
        """Rows of a table in quarantine after the last published silver run."""
        return self._last_tables("silver").get(table, {}).get("rows_quarantined", 0)

    def last_rows(self, layer: str) -> dict[str, int]:
        """Rows kept by the last published run of each table."""
        return {table: row["rows_kept"] for table, row in self._last_tables(layer).items()}

    def table_rows(self, layer: str) -> dict[str, int]:
        """Rows each published table of a layer holds, by the ledger's own sums."""
        if layer == "gold":
            return self.last_rows(layer)
        rows = self._rows(
            "select table_name, sum(rows_kept - rows_displaced)::bigint n from ops.run_tables t join ops.runs r using (run_id) "
            "where t.layer = %(l)s and r.state = 'published' and r.seq >= (select coalesce(max(seq), 0) from ops.runs "
            "where layer = %(l)s and rebuilds and state = 'published') group by table_name", {"l": layer})  # fmt: skip
        return {r["table_name"]: r["n"] for r in rows}

    def quarantined(self) -> list[dict[str, Any]]:
        """Rows open in quarantine by table and reason, after each table's last silver run."""
        return self._rows(
            "select q.table_name as table, q.reason, q.rows from ops.quarantine_counts q join (select distinct on "
            "(t.table_name) t.table_name, t.run_id from ops.run_tables t join ops.runs r using (run_id) "
            "where t.layer = 'silver' and r.state = 'published' order by t.table_name, r.seq desc) l "
            "using (run_id, table_name) order by 1, 2"
        )

    def silver_totals(self, table: str) -> tuple[int, int]:
        """Rows ever judged, and rows ever deduplicated or displaced, since the table was last rebuilt."""
        row = self._rows(
            "select coalesce(sum(rows_read), 0) read, coalesce(sum(rows_deduplicated + rows_displaced), 0) gone "
            "from ops.run_tables t join ops.runs r using (run_id) where t.layer = 'silver' and t.table_name = %s "
            "and r.seq >= (select coalesce(max(seq), 0) from ops.runs where layer = 'silver' and rebuilds and state = 'published')",
            (table,),
        )[0]
        return int(row["read"]), int(row["gone"])

    def last(self, layer: str) -> dict[str, Any] | None:
        """The last published run of a layer: run_id, business_date, inputs, and as_of, the greatest date published."""
        rows = self._rows(
            "select *, (select max(business_date) from ops.runs where layer = %(l)s and state = 'published') as as_of "
            "from ops.runs where layer = %(l)s and state = 'published' order by seq desc limit 1",
            {"l": layer},
        )
        return dict(rows[0]) if rows else None

    def runs_of(self, layer: str) -> int:
        """How many runs of a layer have ended, however they did."""
        return int(
            self._rows("select count(*) n from ops.runs where layer = %s and state <> 'running'", (layer,))[0]["n"]
        )

    def recent(self, limit: int = 20) -> list[dict[str, Any]]:
        """The newest runs, with rows over their tables: what `lakehouse status` shows."""
        return self._rows(
            "select r.run_id, r.layer, r.business_date, r.state, r.started_at, r.finished_at, r.error_code, r.message, "
            "sum(t.rows_read)::bigint rows_read, sum(t.rows_kept)::bigint rows_kept, "
            "sum(t.rows_quarantined)::bigint rows_quarantined "
            "from ops.runs r left join ops.run_tables t on t.run_id = r.run_id and t.layer = r.layer "
            "group by r.seq, r.run_id order by r.seq desc limit %s",
            (limit,),
        )

    def record_findings(self, run: Run, findings: Iterable[tuple[object, ...]]) -> None:
        """Writes quality results (layer, table, rule, severity, success, unexpected, rows), whatever becomes of the run."""
        with self.database.connection() as connection, connection.cursor() as cursor:
            execute_values(
                cursor,
                "insert into ops.quality_results (run_id, layer, table_name, rule, severity, success, unexpected, rows) "
                "values %s",
                [(run.run_id, *f) for f in findings],
            )

    @contextmanager
    def _alone(self, layer: str) -> Iterator[None]:
        with self.database.connection() as connection, connection.cursor() as cursor:
            cursor.execute("select pg_try_advisory_lock(%s, %s)", (LOCK_SPACE, LOCK_OF[layer]))
            if not self._one(cursor)[0]:
                raise LedgerError(f"another run of {layer} is at work; wait for it, or see `lakehouse status`")
            connection.commit()
            try:
                yield
            finally:
                if not connection.closed:
                    cursor.execute("select pg_advisory_unlock(%s, %s)", (LOCK_SPACE, LOCK_OF[layer]))

    def fail(self, run_id: str, error: BaseException) -> None:
        """Records that a run failed, with code and words; of a run that has ended already nothing changes."""
        code, words = getattr(error, "exit_code", 1), safe_words(error)
        try:
            with self.database.connection() as connection, connection.cursor() as cursor:
                cursor.execute(
                    "update ops.runs set state = 'failed', finished_at = now(), error_code = %s, message = %s "
                    # What failed after the publish (a page, a view) must not unsay it.
                    "where run_id = %s and state = 'running'",
                    (code, words, run_id),
                )
        except LakehouseError as e:
            # The ledger is away: the next run of the layer finds the row and calls it abandoned.
            log.warning("ledger.failure_not_recorded", run_id=run_id, message=safe_words(e))

    def _last_tables(self, layer: str) -> dict[str, dict[str, int]]:
        rows = self._rows(
            "select distinct on (t.table_name) t.table_name, t.rows_kept, t.rows_quarantined from ops.run_tables t "
            "join ops.runs r using (run_id) where t.layer = %s and r.state = 'published' order by t.table_name, r.seq desc",
            (layer,),
        )
        return {r["table_name"]: {"rows_kept": r["rows_kept"], "rows_quarantined": r["rows_quarantined"]} for r in rows}

    def _rows(
        self, sql: str, parameters: Sequence[object] | Mapping[str, object] | None = None
    ) -> list[dict[str, Any]]:
        with self.database.connection() as connection, connection.cursor(cursor_factory=RealDictCursor) as cursor:
            cursor.execute(sql, parameters)
            return [dict(r) for r in cursor.fetchall()]

    @staticmethod
    def _one(cursor: Cursor) -> tuple[Any, ...]:
        row = cursor.fetchone()
        if row is None:
            raise LedgerError("the ledger answered nothing where a row was due")
        return tuple(row)

"""Runs: each is opened under its layer's lock, and ends published, covered or failed; a dead one is called abandoned.

And backups, which are made under a lock of their own.
"""

from __future__ import annotations

import json
import os
import socket
import uuid
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import psycopg2
from psycopg2.extensions import cursor as Cursor

from lakehouse import log
from lakehouse.errors import LakehouseError, LedgerError, RightLostError, safe_words
from lakehouse.ledger.migrations import files, migrate
from lakehouse.ledger.questions import Questions
from lakehouse.records import Last, Run

# By which a scheduler names the task that started a process: names and times, and no secret.
STARTED_BY = (
    "OPENLINEAGE_PARENT_ID",
    "OPENLINEAGE_NAMESPACE",
    "AIRFLOW__OPENLINEAGE__NAMESPACE",
    *(f"AIRFLOW_CTX_{name}" for name in ("DAG_ID", "TASK_ID", "TRY_NUMBER", "DAG_RUN_ID", "LOGICAL_DATE")),
)
CLOSE = """
    update ops.runs set state = %s, finished_at = clock_timestamp(), inputs = %s, message = %s, rebuilds = %s
    where run_id = %s and state = 'running'
"""
REFUSED_AGAIN = """
    update ops.runs set finished_at = clock_timestamp()
    where seq = (select max(seq) from ops.runs where layer = %s) and business_date = %s and state = 'failed'
          and error_code = %s and message = %s and started_at > now() - interval '1 day'
          and run_id not in (select run_id from ops.leases)
          -- A ledger of a newer release is not ours to write to.
          and (select max(number) from ops.migrations) <= %s
"""


class Runs(Questions):
    """The rows of `ops.runs`. Every write of a run at work is given a cursor on the connection that holds its lock."""

    def prepare(self, timezone: str) -> None:
        """Before a run: brings the schema up to date, and fixes the zone with the first publish.

        Raises LedgerError for another zone than the one the lake was built in, as dates would move.
        """
        migrate(self.database)
        with self.database.connection() as connection, connection.cursor() as cursor:
            # Who failed, or only looked, has built nothing yet.
            cursor.execute(
                "insert into ops.settings (name, value) values ('timezone', %s) on conflict (name) do update "
                "set value = excluded.value where ops.settings.value <> excluded.value "
                "and not exists (select from ops.runs where state = 'published')",
                (timezone,),
            )
        self.check_zone(timezone)

    def check_zone(self, timezone: str) -> None:
        """Raises LedgerError where the lakehouse was built in another zone."""
        rows = self._rows("select value from ops.settings where name = 'timezone'")
        kept = str(rows[0]["value"]) if rows else timezone
        if kept != timezone:
            raise LedgerError(f"this lakehouse was built in the zone {kept}; LAKEHOUSE_TIMEZONE={timezone} would move "
                              f"dates: set it back, or start a new lake and gold database")  # fmt: skip

    def identity(self) -> str:
        """The id of this ledger, which its lake and every commit of its runs bear."""
        rows = self._rows("select value from ops.settings where name = 'ledger_id'")
        if not rows:
            raise LedgerError(
                f"there is no ledger at {self.database.where} yet: run a day first, or check LAKEHOUSE_GOLD_DSN"
            )
        return str(rows[0]["value"])

    def open(self, cursor: Cursor, layer: str, business_date: date, reason: str | None = None) -> Run:
        """Writes the row of a run, on the lock's connection; what was found running is dead, as the lock was free."""
        run_id = f"{layer}-{business_date.isoformat()}-{uuid.uuid4().hex[:12]}"
        cursor.execute(
            "update ops.runs set state = 'abandoned', finished_at = now() where layer = %s and state = 'running'",
            (layer,),
        )
        cursor.execute(
            "insert into ops.runs (run_id, layer, business_date, host, pid, reason, started_by) "
            "values (%s, %s, %s, %s, %s, %s, %s) returning started_at",
            (run_id, layer, business_date, socket.gethostname(), os.getpid(), reason, _started_by()),
        )
        started_at = self._one(cursor)[0]
        cursor.execute(
            "insert into ops.leases (layer, run_id, backend_pid) values (%s, %s, pg_backend_pid()) "
            "on conflict (layer) do update set run_id = excluded.run_id, backend_pid = excluded.backend_pid, "
            "seen_at = clock_timestamp()",
            (layer, run_id),
        )
        return Run(run_id, layer, business_date, started_at)

    def close(
        self, cursor: Cursor, run: Run, state: str, message: str | None, inputs: Mapping[str, int] | None = None
    ) -> None:
        """Ends a run that is still at work, in the caller's transaction; the first statement of a publish.

        Raises RightLostError where it is not at work any more: another run has called it abandoned.
        """
        cursor.execute(CLOSE, (state, json.dumps(inputs or {}), message, run.rebuilds, run.run_id))
        if cursor.rowcount != 1:
            raise RightLostError(
                f"the run {run.run_id} is not at work any more in the ledger at {self.database.where}: another run has taken "
                f"over. Nothing was published; run it again"
            )

    def state(self, run_id: str) -> str | None:
        """How a run stands; None where the ledger has no such run."""
        rows = self._rows("select state from ops.runs where run_id = %s", (run_id,))
        return str(rows[0]["state"]) if rows else None

    def known(self, run_ids: list[str]) -> set[str]:
        """Those of the runs that the ledger knows, however they ended."""
        return {r["run_id"] for r in self._rows("select run_id from ops.runs where run_id = any(%s)", (run_ids,))}

    def fail(self, run_id: str, error: BaseException) -> None:
        """Records that a run failed, with code and words; of a run that has ended already nothing changes."""
        code, words = getattr(error, "exit_code", 1), safe_words(error)
        try:
            with self.database.connection() as connection, connection.cursor() as cursor:
                cursor.execute(
                    "update ops.runs set state = 'failed', finished_at = now(), error_code = %s, message = %s "
                    "where run_id = %s and state = 'running'",
                    (code, words, run_id),
                )
        except (LakehouseError, psycopg2.Error) as e:
            # The ledger is away: the next run of the layer finds the row and calls it abandoned.
            log.warning("ledger.failure_not_recorded", run_id=run_id, message=safe_words(e))

    def refused(self, layer: str, business_date: date, error: LakehouseError) -> None:
        """Leaves a row for a run that was refused before it was opened, so that every failure has one.

        The same refusal again, as of a scheduler that waits for another run, is the same row with a later end.
        """
        run_id = f"{layer}-{business_date.isoformat()}-{uuid.uuid4().hex[:12]}"
        try:
            with self.database.connection() as connection, connection.cursor() as cursor:
                cursor.execute(REFUSED_AGAIN, (layer, business_date, error.exit_code, str(error), max(files())))
                if cursor.rowcount:
                    return
                cursor.execute(
                    "insert into ops.runs (run_id, layer, business_date, state, finished_at, error_code, message, host, pid) "
                    "select %s, %s, %s, 'failed', clock_timestamp(), %s, %s, %s, %s "
                    # A ledger of a newer release is not ours to write to.
                    "where (select max(number) from ops.migrations) <= %s",
                    (
                        run_id,
                        layer,
                        business_date,
                        error.exit_code,
                        str(error),
                        socket.gethostname(),
                        os.getpid(),
                        max(files()),
                    ),
                )
        except (LakehouseError, psycopg2.Error) as e:
            log.warning("ledger.failure_not_recorded", run_id=run_id, message=safe_words(e))

    def last(self, layer: str) -> Last | None:
        """The newest published run of a layer; None where it never published."""
        rows = self._rows(
            "select run_id, business_date, inputs, (select max(business_date) from ops.runs "
            "where layer = %(l)s and state = 'published') as as_of "
            "from ops.runs where layer = %(l)s and state = 'published' order by seq desc limit 1",
            {"l": layer},
        )
        return Last(**{k: rows[0][k] for k in ("run_id", "business_date", "as_of", "inputs")}) if rows else None

    def recent(self, limit: int = 20) -> list[dict[str, Any]]:
        """The newest runs, with rows over their tables: what `lakehouse status` shows."""
        return self._rows(
            "select r.run_id, r.layer, r.business_date, r.state, r.started_at, r.finished_at, r.error_code, r.message, "
            "t.* from (select * from ops.runs order by seq desc limit %s) r cross join lateral "
            "(select sum(rows_read)::bigint rows_read, sum(rows_kept)::bigint rows_kept, "
            "sum(rows_quarantined)::bigint rows_quarantined from ops.run_tables where run_id = r.run_id and layer = r.layer) t "
            "order by r.seq desc",
            (limit,),
        )

    def record_action(self, cursor: Cursor, action: str, reason: str, plan: object, by_whom: str) -> None:
        """What a person did by command, and why, in the caller's transaction."""
        cursor.execute(
            "insert into ops.actions (action, reason, plan, by_whom) values (%s, %s, %s, %s)",
            (action, reason, json.dumps(plan, default=str), by_whom),
        )


class Backups(Questions):
    """The rows of `ops.backups`. A backup is made under the lock `backup`, and writes on its connection."""

    def begin_backup(self, cursor: Cursor, backup_id: str, kind: str, location: str) -> None:
        """Writes the row of a backup; what was found running is dead, as the lock was free."""
        cursor.execute(
            "update ops.backups set state = 'abandoned', finished_at = clock_timestamp() where state = 'running'"
        )
        cursor.execute("insert into ops.backups (id, kind, location) values (%s, %s, %s)", (backup_id, kind, location))

    def end_backup(
        self, cursor: Cursor, backup_id: str, state: str, size: int | None = None, covers_until: datetime | None = None
    ) -> None:
        """How a backup ended: done, with its bytes and the moment it reaches, or failed."""
        cursor.execute(
            "update ops.backups set state = %s, finished_at = clock_timestamp(), bytes = %s, covers_until = %s where id = %s",
            (state, size, covers_until, backup_id),
        )

    def forget_backups(self, cursor: Cursor, backup_ids: list[str]) -> None:
        """Calls backups pruned that are not there any more."""
        cursor.execute("update ops.backups set state = 'pruned', covers_until = null where id = any(%s)", (backup_ids,))

    def backups(self, limit: int = 50) -> list[dict[str, Any]]:
        """The newest backups."""
        return self._rows(
            "select id, kind, started_at, finished_at, state, bytes, covers_until, location from ops.backups "
            "order by started_at desc limit %s",
            (limit,),
        )


def _started_by() -> str | None:
    told = {name: value for name in STARTED_BY if (value := os.environ.get(name))}
    return json.dumps(told) if told else None

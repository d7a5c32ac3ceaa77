"""What the front page of Data Docs lists: runs and the counts of what their gates found, read from the ledger.

Machines that share a ledger make the same page of it, whichever of them ran what.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from psycopg2.extras import RealDictCursor

from lakehouse.database import Database
from lakehouse.ledger.ledger import LOCK_SPACE

# Beside the locks of the layers: whoever writes a front page holds it.
FRONT_PAGE_LOCK = 9
RUNS = """
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


def listed_run(database: Database, run_id: str) -> dict[str, Any]:
    """One run: id, layer, business date, state, times, words of a failure, and rules by outcome."""
    with database.connection() as connection, connection.cursor(cursor_factory=RealDictCursor) as cursor:
        cursor.execute(f"{RUNS} where r.run_id = %s", (run_id,))
        row = cursor.fetchone()
    assert row is not None  # noqa: S101 - who asks has opened the run
    return dict(row)


@contextmanager
def listed_runs(database: Database, limit: int) -> Iterator[tuple[list[dict[str, Any]], int]]:
    """The newest runs, newest first, and how many there are in all; nobody else's `with` runs meanwhile.

    So two runs that end at once write their front pages one after the other, and the second knows of the first.
    """
    with database.connection() as connection, connection.cursor(cursor_factory=RealDictCursor) as cursor:
        cursor.execute("select pg_advisory_xact_lock(%s, %s)", (LOCK_SPACE, FRONT_PAGE_LOCK))
        # A statement of its own: it sees what was committed while this one waited.
        cursor.execute(f"{RUNS} order by r.seq desc limit %s", (limit,))
        runs = [dict(r) for r in cursor.fetchall()]
        cursor.execute("select count(*) as n from ops.runs")
        total = cursor.fetchall()[0]["n"]
        yield runs, total

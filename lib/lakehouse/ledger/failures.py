"""What an alert says of a failed run: its words and the critical rules that were not met, read from the ledger."""

from __future__ import annotations

from datetime import date, datetime

from psycopg2.extras import RealDictCursor

from lakehouse.database import Database
from lakehouse.records import BrokenRule, Failure

RUN = """
    select run_id, error_code, message from ops.runs
    where layer = %s and business_date = %s and state = 'failed' and started_at >= %s
    order by seq desc limit 1
"""
RULES = """
    select layer || '.' || table_name as table, rule, unexpected, rows from ops.quality_results
    where run_id = %s and severity = 'critical' and not success order by 1, 2
"""


def last_failure(database: Database, layer: str, business_date: date, since: datetime) -> Failure | None:
    """The newest failed run of a layer and day that began at `since` or later; None where none was opened."""
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

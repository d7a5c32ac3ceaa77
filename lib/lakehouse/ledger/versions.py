"""Which version of a lake table was published for which business date: what `as_of` means.

A run's date is the greatest business date published up to it, in the order of runs: a day that is run again, late, does
not turn the clock back. As of a date D a table is what it was after the last run whose date is at most D.
"""

from __future__ import annotations

from psycopg2.errors import UndefinedTable

from lakehouse.database import Database
from lakehouse.records import Version

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
    run_layer = "silver" if layer == "quarantine" else layer
    with database.connection() as connection, connection.cursor() as cursor:
        try:
            cursor.execute(VERSIONS, (layer, table, run_layer))
        except UndefinedTable:  # the ledger is made by the first run
            connection.rollback()
            return []
        return [Version(*row) for row in cursor.fetchall()]

"""How builds of dbt went: a row each in analytics.builds, beside the marts, for who asks whether they are up to date."""

from __future__ import annotations

from datetime import timedelta

from psycopg2.extensions import cursor as Cursor

from lakehouse.records import Last
from lakehouse.warehouse.ddl import quoted
from tools.dbt.access import SCHEMA
from tools.dbt.project import BAD, Built

TABLE = f"{SCHEMA}.builds"
ABOUT = "Builds of dbt: on which gold, and how many nodes (models, snapshots, tests) ended how"


def record(cursor: Cursor, gold: Last, built: Built, kept: timedelta) -> None:
    """Notes a build, and forgets those from before `kept`."""
    cursor.execute("select to_regclass(%s) is null", (TABLE,))
    if cursor.fetchone() == (True,):
        cursor.execute(
            f"create table {TABLE} (finished_at timestamptz primary key default clock_timestamp(), state text not null, "
            "gold_run_id text not null, business_date date not null, good integer not null, warned integer not null, "
            "failed integer not null, skipped integer not null)"
        )
        cursor.execute(f"comment on table {TABLE} is {quoted(ABOUT)}")
    bad, warned, skipped = (len(built.of(*states)) for states in (BAD, ("warn",), ("skipped",)))
    cursor.execute(
        f"insert into {TABLE} (state, gold_run_id, business_date, good, warned, failed, skipped) "
        "values (%s, %s, %s, %s, %s, %s, %s)",
        (
            "failed" if bad else "built",
            gold.run_id,
            gold.as_of,
            len(built.nodes) - bad - warned - skipped,
            warned,
            bad,
            skipped,
        ),
    )
    cursor.execute(f"delete from {TABLE} where finished_at < clock_timestamp() - %s", (kept,))

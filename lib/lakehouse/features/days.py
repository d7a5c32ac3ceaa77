"""Days of features: which are due, and a day made again from the gold that is published now.

A day is replaced in one transaction that sees one gold. Of what happened, only what is dated until the day goes in. Gold
itself may have learned of it later: `gold_date` says by when (docs/features.md).
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from psycopg2.extensions import cursor as Cursor

from lakehouse.business_date import BusinessDate
from lakehouse.database import Database
from lakehouse.errors import LedgerError, NotYetError
from lakehouse.features.tables import DAYS, OF_THE_DAY, Table, columns_of

MAKE, REPLACE, REMOVE = "make", "replace", "remove"
PUBLISHED = (
    "select run_id, (select max(business_date) from ops.runs where layer = 'gold' and state = 'published') "
    "from ops.runs where layer = 'gold' and state = 'published' order by seq desc limit 1"
)
# A day whose gold was taken back since: what it held may not have happened.
TAKEN_BACK = f"select feature_date from {DAYS} d where not exists (select from ops.runs r where r.run_id = d.gold_run_id and r.state = 'published')"


@dataclass(frozen=True)
class Step:
    """A day, what is to become of it, and the date of the gold that it was made of until now."""

    day: date
    would: str
    gold_date: date | None = None


def due(database: Database, zone: ZoneInfo) -> list[Step]:
    """Days since the last that was made, through gold's; the first time gold's alone. Days of a gold that was taken back
    are made again, or removed where gold has not come to them again."""
    with database.connection() as connection, connection.cursor() as cursor:
        as_of, made = _published(database, cursor)[1], _made(cursor)
        back = set[date]()
        if made:
            cursor.execute(TAKEN_BACK)
            back = {day for (day,) in cursor.fetchall()}
    kept = made.keys() - back
    begin = max(kept) + timedelta(days=1) if kept else min(back | {as_of})
    wanted = {begin + timedelta(days=n) for n in range((as_of - begin).days + 1)} | {d for d in back if d <= as_of}
    removed = [Step(day, REMOVE, made[day]) for day in sorted(made) if day > as_of]
    return removed + [_step(day, made) for day in sorted(wanted) if exists(day, zone)]


def between(database: Database, first: BusinessDate, last: BusinessDate) -> list[Step]:
    """The days of a range, both ends within. Raises NotYetError where gold has not come so far."""
    with database.connection() as connection, connection.cursor() as cursor:
        as_of, made = _published(database, cursor)[1], _made(cursor)
    if last.day > as_of:
        raise NotYetError(f"gold at {database.where} is of {as_of}: it has not published {last} yet")
    days = (first.day + timedelta(days=n) for n in range((last.day - first.day).days + 1))
    return [_step(day, made) for day in days if exists(day, first.zone)]


def carry_out(database: Database, tables: list[Table], zone: ZoneInfo, step: Step) -> dict[str, int]:
    """Makes, replaces or removes a day in one transaction; rows by table.

    Raises NotYetError where gold was taken back behind the day meanwhile.
    """
    with database.connection() as connection, connection.cursor() as cursor:
        # All tables, and what is said of the gold that they are made of, are of one moment.
        cursor.execute("set transaction isolation level repeatable read")
        run_id, as_of = _published(database, cursor)
        for name in (DAYS, *(table.name for table in tables)):
            cursor.execute(f"delete from {name} where feature_date = %s", (step.day,))
        if step.would == REMOVE:
            return {table.contract.table: 0 for table in tables}
        if step.day > as_of:
            raise NotYetError(f"gold at {database.where} is of {as_of}: it has not published {step.day} yet")
        values = {"day": step.day, "event_ts": BusinessDate(step.day, zone).end, "gold_date": as_of, "run_id": run_id}
        rows = {table.contract.table: _fill(cursor, table, values) for table in tables}
        cursor.execute(
            f"insert into {DAYS} (feature_date, event_ts, gold_date, gold_run_id) "
            "values (%(day)s, %(event_ts)s, %(gold_date)s, %(run_id)s)",
            values,
        )
    return rows


def alone(database: Database) -> AbstractContextManager[int]:
    """One command at a time makes days. Raises BusyError."""
    refusal = f"features are being made in gold at {database.where} already: wait for it to end"
    return database.alone("lakehouse features", refusal)


def exists(day: date, zone: ZoneInfo) -> bool:
    """Whether the shop's calendar has the day: a zone that crosses the date line leaves one out."""
    return BusinessDate(day, zone).end > BusinessDate(day - timedelta(days=1), zone).end


def _fill(cursor: Cursor, table: Table, values: dict[str, object]) -> int:
    answered = [name for name in table.contract.names if name not in OF_THE_DAY]
    cursor.execute(
        f"insert into {table.name} ({', '.join((*answered, *OF_THE_DAY))}) "
        f"select {', '.join(answered)}, %(event_ts)s, %(day)s, %(gold_date)s from ({table.question}) asked",
        values,
    )
    return int(cursor.rowcount)


def _published(database: Database, cursor: Cursor) -> tuple[str, date]:
    """The run that published gold, and the day that gold is of."""
    row = None
    if columns_of(cursor, "ops.runs"):
        cursor.execute(PUBLISHED)
        row = cursor.fetchone()
    if row is None:
        raise LedgerError(f"gold at {database.where} has not published anything yet: run a day, or `make demo`")
    return str(row[0]), row[1]


def _made(cursor: Cursor) -> dict[date, date]:
    """The days that were made, with the date of the gold of each."""
    if not columns_of(cursor, DAYS):
        return {}
    cursor.execute(f"select feature_date, gold_date from {DAYS}")
    return dict(cursor.fetchall())


def _step(day: date, made: dict[date, date]) -> Step:
    return Step(day, REPLACE if day in made else MAKE, made.get(day))

"""Adopt: bronze runs that only the lake still knows are taken into the ledger, after it was lost or restored from a backup.

Every commit to bronze bears its run, the ledger it belonged to and its window; the lake keeps a copy of the pointers that
were last published. A run had been published where its rows are in those versions. Of what lies above them nobody knows
whether it was: the plan says that it would be undone. Silver and gold follow by running.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta

from psycopg2.extensions import cursor as Cursor
from pyspark.sql import functions as F

from lakehouse.business_date import BusinessDate, last_over
from lakehouse.errors import LedgerError
from lakehouse.frame.restore import ahead
from lakehouse.frame.run import opened
from lakehouse.judging.tombstones import is_tombstone
from lakehouse.layers.archive import shape_of
from lakehouse.ledger.lease import Lease
from lakehouse.ledger.past import Adopted, AdoptedTable, Undone
from lakehouse.parts import Lakehouse
from lakehouse.records import Outcome, Row, Stamped, TableRun
from lakehouse.upkeep.locks import who

LOST = ("restore the gold database from a backup, or begin a new lake (an empty LAKEHOUSE_LAKE) and bring the source's history "
        "again")  # fmt: skip

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Rows of each run in one version of a table, when the run took the first of them in, and how many are tombstones.
Counted = Mapping[str, tuple[int, datetime, int]]


@dataclass(frozen=True)
class Plan:
    """What the ledger would take in: runs, oldest first, the versions that hold them, and whose ledger it would become.

    `undone`: runs with rows above those versions, which the next run restores away. `kept`: tables of which the ledger holds
    more than the lake was told last.
    """

    runs: tuple[Adopted, ...]
    versions: Mapping[str, int]
    identity: str | None = None
    undone: tuple[Undone, ...] = ()
    kept: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not self.changes and self.identity is None

    @property
    def changes(self) -> bool:
        """Whether bronze is published otherwise than the lake was told, or the ledger knows."""
        return bool(self.runs or self.versions or self.undone or self.kept)

    def rows(self) -> list[Row]:
        """The plan as a table: one row per run; where no run is to be taken in, one for the versions."""
        rows = [
            _row(r.run_id, r.business_date, len(r.tables), sum(t.rows for t in r.tables), "be taken in")
            for r in self.runs
        ]
        if self.versions and not rows:
            rows.append(_row(None, None, len(self.versions), 0, "be published as the lake was told"))
        undone = "be undone: the lake was not told that it was published"
        rows += [_row(u.run_id, u.business_date, len(u.tables), u.rows, undone) for u in self.undone]
        if self.kept and not rows:
            rows.append(
                _row(None, None, len(self.kept), 0, "stay as the ledger has them: the lake was told of a rewind")
            )
        return rows


def plan(lakehouse: Lakehouse, ledger_id: str | None = None) -> Plan:
    """What there is to take in; `ledger_id`: that of the lake, whose ledger is lost and whose place this one takes.

    Raises LedgerError for the lake of another ledger, and for one that does not say what had been published.
    """
    lake, ledger = lakehouse.lake, lakehouse.ledger
    theirs, ours, where = lake.identity(), ledger.identity(), lake.path("bronze", "")
    is_lost = theirs not in (None, ours)
    if is_lost:
        if ledger_id != theirs:
            raise LedgerError(f"the lake at {where} belongs to another ledger ({theirs}; this one is {ours}): check "
                              f"LAKEHOUSE_LAKE and LAKEHOUSE_GOLD_DSN. Only if that ledger is lost for good: "
                              f"lakehouse adopt --ledger-id {theirs}")  # fmt: skip
        if ledger.ever_published():
            raise LedgerError(f"this ledger has published runs of its own, so it cannot take the place of {theirs}: name an empty "
                              "gold database in LAKEHOUSE_GOLD_DSN")  # fmt: skip
    marks = lake.marks("bronze")
    if marks is None and not ledger.ever_published():
        if theirs is None and not _tables(lakehouse):
            return Plan((), {})
        raise LedgerError(f"the lake at {where} does not say which versions of bronze had been published: {LOST}")
    told = marks.versions if marks and is_lost else ahead(lakehouse)
    counted = {table: _counted(lakehouse, table, version) for table, version in told.items()}
    versions = {table: told[table] for table in _whole(lakehouse, counted)}
    runs = _unknown(lakehouse, theirs or ours, versions, counted)
    undone, kept = _undone(lakehouse, theirs or ours, versions), tuple(sorted(told.keys() - versions.keys()))
    return Plan(runs, versions, theirs if is_lost else None, undone, kept)


def _tables(lakehouse: Lakehouse) -> list[str]:
    """The tables of bronze that there are, with or without a contract."""
    lake, marks = lakehouse.lake, lakehouse.lake.marks("bronze")
    named = {*lakehouse.contracts["bronze"], *lakehouse.ledger.published("bronze"), *(marks.versions if marks else ())}
    return [table for table in sorted(named) if lake.head("bronze", table) is not None]


def _counted(lakehouse: Lakehouse, table: str, version: int) -> Counted:
    frame = lakehouse.lake.read("bronze", table, version)
    counted = frame.groupBy("_run_id").agg(
        F.count(F.lit(1)), F.unix_micros(F.min("_ingested_at")), F.count_if(is_tombstone(frame))
    )
    return {
        run_id: (rows, EPOCH + timedelta(microseconds=micros), gone) for run_id, rows, micros, gone in counted.collect()
    }


def _whole(lakehouse: Lakehouse, counted: Mapping[str, Counted]) -> list[str]:
    """Tables of which a version holds every run with rows that the ledger has published.

    Another lacks what a rewind took out after the backup was made: there the older version holds more.
    """
    windows = lakehouse.ledger.windows_between(date.min, date.max)
    return [table for table, runs in counted.items()
            if all(e.run_id in runs for e in windows if e.table == table and (e.rows or e.tombstones))]  # fmt: skip


def _unknown(
    lakehouse: Lakehouse, ledger_id: str, versions: Mapping[str, int], counted: Mapping[str, Counted]
) -> tuple[Adopted, ...]:
    """Runs with rows in published bronze that the ledger does not know, with each table that they brought, or looked at."""
    known = lakehouse.ledger.known_runs("bronze")
    commits = {
        table: {c.run: c for c in lakehouse.lake.commits("bronze", table, -1)
                if c.version <= version and c.ledger == ledger_id and c.run and "window_end" in c.facts}
        for table, version in versions.items()
    }  # fmt: skip
    started: dict[str, datetime] = {}
    for table in versions:
        for run_id, (_, at, _) in counted[table].items():
            if run_id not in known:
                started[run_id] = min(at, started.get(run_id, at))
    found = []
    for run_id in sorted(started, key=lambda r: (started[r], r)):
        day = _day(lakehouse, run_id, [commits[t][run_id] for t in versions if run_id in commits[t]])
        # Where a run brought nothing to a table there may be no commit: the next run reads that window again.
        tables = [_table(t, v, day, counted[t].get(run_id, (0, day.end, 0)), commits[t].get(run_id))
                  for t, v in versions.items() if run_id in counted[t] or run_id in commits[t]]  # fmt: skip
        found.append(Adopted(run_id, day.day, started[run_id], tuple(tables)))
    return tuple(found)


def _day(lakehouse: Lakehouse, run_id: str, commits: list[Stamped]) -> BusinessDate:
    """A run's date by a stamp of it; where all are cleaned up, by its id."""
    stamped = next((c.business_date for c in commits if c.business_date), None)
    return BusinessDate(
        stamped or date.fromisoformat(run_id[len("bronze-") :][: len("2020-01-01")]), lakehouse.settings.zone
    )


def _undone(lakehouse: Lakehouse, ledger_id: str, versions: Mapping[str, int]) -> tuple[Undone, ...]:
    """Runs that the ledger does not know with rows above what is, or would be, published; oldest first."""
    ledger, found = lakehouse.ledger, dict[str, list[tuple[str, Stamped]]]()
    pointers = {table: p.version for table, p in ledger.published("bronze").items()} | dict(versions)
    for table in _tables(lakehouse):
        for c in lakehouse.lake.commits("bronze", table, pointers.get(table, -1)):
            if c.run and c.ledger == ledger_id and c.rows:
                found.setdefault(c.run, []).append((table, c))
    for run_id in ledger.known(sorted(found)):
        del found[run_id]
    undone = []
    for run_id, left in found.items():
        day, at = _day(lakehouse, run_id, [c for _, c in left]).day, min(c.timestamp for _, c in left)
        undone.append(Undone(run_id, day, at, tuple(sorted({t for t, _ in left})), sum(c.rows for _, c in left)))
    return tuple(sorted(undone, key=lambda u: (u.at, u.run_id)))


def _table(
    table: str, published: int, day: BusinessDate, counted: tuple[int, datetime, int], commit: Stamped | None
) -> AdoptedTable:
    """As the commit tells; where it is cleaned up, the window ended with the day, as every window does.

    Raises LedgerError where the day of its window is that of another zone.
    """
    rows, _, tombstones = counted
    if commit is None:
        return AdoptedTable(table, published, rows, None, day.end, None, tombstones)
    start, end = commit.facts["window_start"], datetime.fromisoformat(commit.facts["window_end"])
    if end != day.end:
        raise LedgerError(f"the lake was built in another zone than {day.zone.key}: there {day} ended at {end.isoformat()}. Set "
                          f"LAKEHOUSE_TIMEZONE to the zone of before, as dates would move, then adopt again")  # fmt: skip
    return AdoptedTable(table, commit.version, rows, datetime.fromisoformat(start) if start else None, end,
                        str(commit.facts["snapshot"]), tombstones)  # fmt: skip


def run(lakehouse: Lakehouse, plan: Plan, leases: Mapping[str, Lease], reason: str) -> Outcome:
    """Carries a plan out, made under the same locks."""
    ledger = lakehouse.ledger
    if plan.identity is not None:
        with leases["bronze"].transaction() as cursor:
            ledger.take_identity(cursor, plan.identity)
            ledger.record_action(cursor, "adopt", reason, {"ledger_id": plan.identity}, who())
    before = ledger.last("bronze")
    default = before.as_of if before else last_over(lakehouse.settings.zone)
    day = BusinessDate(max((r.business_date for r in plan.runs), default=default), lakehouse.settings.zone)
    with opened(lakehouse, "bronze", day, reason=reason, lease=leases["bronze"]) as work:
        if not plan.changes:
            return work.cover("the lake held no run that the ledger does not know")
        work.enter_lake()
        tables = [TableRun(table, _head(lakehouse, table, version)) for table, version in plan.versions.items()]

        def also(cursor: Cursor) -> None:
            ledger.take_in(cursor, plan.runs)
            ledger.note_undone(cursor, plan.undone)
            ledger.add_up(cursor, ["bronze"])
            ledger.record_action(cursor, "adopt", reason, asdict(plan), who())

        rows = sum(t.rows for r in plan.runs for t in r.tables)
        published = ledger.published("bronze")
        shapes = {"bronze": {t: shape_of(lakehouse, published, t) for t in plan.versions}}
        message = f"{rows:,} rows of {len(plan.runs)} runs taken in"
        if plan.undone:
            message += f", {sum(u.rows for u in plan.undone):,} of {len(plan.undone)} undone"
        return work.publish({"bronze": tables}, shapes, message, also=also)


def _head(lakehouse: Lakehouse, table: str, version: int) -> int:
    """The head with the content that was published; what came after it and was not published is undone."""
    lake = lakehouse.lake
    restored = version if lake.head("bronze", table) == version else lake.restore("bronze", table, version)
    return lake.keep_log("bronze", table, restored) or restored


def _row(run_id: str | None, day: date | None, tables: int, rows: int, would: str) -> Row:
    return {
        "run_id": run_id,
        "business_date": str(day) if day else None,
        "tables": tables,
        "rows": rows,
        "would": would,
    }

"""Adopt: bronze runs that only the lake still knows are taken into the ledger, after it was lost or restored from a backup.

Every commit to bronze bears its run, the ledger it belonged to and its window; the lake keeps a copy of the pointers that
were last published. A run had been published where its rows are in those versions. Silver and gold follow by running.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta

from psycopg2.extensions import cursor as Cursor
from pyspark.sql import functions as F

from lakehouse.business_date import BusinessDate
from lakehouse.errors import LedgerError
from lakehouse.frame.run import opened
from lakehouse.ledger.lease import Lease
from lakehouse.ledger.past import Adopted, AdoptedTable
from lakehouse.parts import Lakehouse
from lakehouse.records import Outcome, Row, Stamped, TableRun
from lakehouse.upkeep.locks import who

LOST = ("restore the gold database from a backup, or begin a new lake (an empty LAKEHOUSE_LAKE) and bring the source's history "
        "again")  # fmt: skip

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Plan:
    """What the ledger would take in: runs, oldest first, the versions that hold them, and whose ledger it would become."""

    runs: tuple[Adopted, ...]
    versions: Mapping[str, int]
    identity: str | None = None

    @property
    def is_empty(self) -> bool:
        return not self.runs and self.identity is None

    def rows(self) -> list[Row]:
        """The plan as a table: one row per run."""
        return [{"run_id": r.run_id, "business_date": str(r.business_date), "tables": len(r.tables),
                 "rows": sum(t.rows for t in r.tables), "would": "be taken in"} for r in self.runs]  # fmt: skip


def plan(lakehouse: Lakehouse, ledger_id: str | None = None) -> Plan:
    """What there is to take in; `ledger_id`: that of the lake, whose ledger is lost and whose place this one takes.

    Raises LedgerError for the lake of another ledger, and for one whose commits do not say which run made them.
    """
    lake, ledger = lakehouse.lake, lakehouse.ledger
    theirs, ours, where = lake.identity(), ledger.identity(), lake.path("bronze", "")
    if theirs is None:
        if not ledger.ever_published() and lake.tables("bronze"):
            raise LedgerError(
                f"the lake at {where} was made by a release whose commits do not say which run made them: {LOST}"
            )
        return Plan((), {})
    if theirs != ours:
        if ledger_id != theirs:
            raise LedgerError(f"the lake at {where} belongs to another ledger ({theirs}; this one is {ours}): check "
                              f"LAKEHOUSE_LAKE and LAKEHOUSE_GOLD_DSN. Only if that ledger is lost for good: "
                              f"lakehouse adopt --ledger-id {theirs}")  # fmt: skip
        if ledger.ever_published():
            raise LedgerError(f"this ledger has published runs of its own, so it cannot take the place of {theirs}: name an empty "
                              "gold database in LAKEHOUSE_GOLD_DSN")  # fmt: skip
    marks = lake.marks("bronze")
    if marks is None:
        raise LedgerError(f"the lake at {where} does not say which versions of bronze had been published: {LOST}")
    runs = _unknown(lakehouse, theirs, marks.versions)
    return Plan(runs, marks.versions if runs else {}, theirs if theirs != ours else None)


def _unknown(lakehouse: Lakehouse, ledger_id: str, versions: Mapping[str, int]) -> tuple[Adopted, ...]:
    """Runs with rows in published bronze that the ledger does not know, with each table that they brought, or looked at."""
    known, started = lakehouse.ledger.known_runs("bronze"), dict[str, datetime]()
    rows: dict[str, dict[str, int]] = {}
    commits: dict[str, dict[str, Stamped]] = {}
    for table, version in versions.items():
        commits[table] = {c.run: c for c in lakehouse.lake.commits("bronze", table, -1)
                          if c.version <= version and c.ledger == ledger_id and c.run and "window_end" in c.facts}  # fmt: skip
        frame = lakehouse.lake.read("bronze", table, version)
        counted = frame.groupBy("_run_id").agg(F.count(F.lit(1)), F.unix_micros(F.min("_ingested_at")))
        for run_id, count, micros in counted.collect():
            if run_id not in known:
                rows.setdefault(run_id, {})[table] = count
                started[run_id] = EPOCH + timedelta(microseconds=micros)
    found = []
    for run_id in sorted(rows, key=lambda r: (started[r], r)):
        day = BusinessDate(date.fromisoformat(run_id[len("bronze-") :][: len("2020-01-01")]), lakehouse.settings.zone)
        # Where a run brought nothing to a table there may be no commit: the next run reads that window again.
        tables = [_table(t, v, day, rows[run_id].get(t, 0), commits[t].get(run_id)) for t, v in versions.items()
                  if t in rows[run_id] or run_id in commits[t]]  # fmt: skip
        found.append(Adopted(run_id, day.day, started[run_id], tuple(tables)))
    return tuple(found)


def _table(table: str, published: int, day: BusinessDate, rows: int, commit: Stamped | None) -> AdoptedTable:
    """As the commit tells; where it is cleaned up, the window ended with the day, as every window does."""
    if commit is None:
        return AdoptedTable(table, published, rows, None, day.end, None)
    start, end = commit.facts["window_start"], datetime.fromisoformat(commit.facts["window_end"])
    return AdoptedTable(table, commit.version, rows, datetime.fromisoformat(start) if start else None, end,
                        str(commit.facts["snapshot"]))  # fmt: skip


def run(lakehouse: Lakehouse, plan: Plan, leases: Mapping[str, Lease], reason: str) -> Outcome:
    """Carries a plan out, made under the same locks."""
    ledger = lakehouse.ledger
    if plan.identity is not None:
        with leases["bronze"].transaction() as cursor:
            ledger.take_identity(cursor, plan.identity)
            ledger.record_action(cursor, "adopt", reason, {"ledger_id": plan.identity}, who())
    last = max((r.business_date for r in plan.runs), default=date.today())
    day = BusinessDate(last, lakehouse.settings.zone)
    with opened(lakehouse, "bronze", day, reason=reason, lease=leases["bronze"]) as work:
        if not plan.runs:
            return work.cover("the lake held no run that the ledger does not know")
        work.enter_lake()
        tables = [TableRun(table, _head(lakehouse, table, version)) for table, version in plan.versions.items()]

        def also(cursor: Cursor) -> None:
            ledger.take_in(cursor, plan.runs)
            ledger.add_up(cursor, ["bronze"])
            ledger.record_action(cursor, "adopt", reason, asdict(plan), who())

        rows = sum(t.rows for r in plan.runs for t in r.tables)
        shapes = {"bronze": {t: lakehouse.contracts["bronze"][t].shape for t in plan.versions}}
        return work.publish({"bronze": tables}, shapes, f"{rows:,} rows of {len(plan.runs)} runs taken in", also=also)


def _head(lakehouse: Lakehouse, table: str, version: int) -> int:
    """The head with the content that was published; what came after it and was not published is undone."""
    lake = lakehouse.lake
    restored = version if lake.head("bronze", table) == version else lake.restore("bronze", table, version)
    return lake.keep_log("bronze", table) or restored

"""Bronze: what the source said, unchanged, a business date a partition.

One snapshot of the source serves all tables. A day that passed its gate is an archive: a rerun leaves it alone, and a
replacement reads its recorded window again and keeps the union, so images the source has overwritten since stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date, datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse import log
from lakehouse.business_date import BusinessDate, last_over
from lakehouse.contracts import Contract
from lakehouse.contracts.types import spark_type
from lakehouse.errors import DriftError, LedgerError
from lakehouse.frame.published import frame, published_frame
from lakehouse.frame.run import opened
from lakehouse.lake.published import check_shape
from lakehouse.layers import bronze_gate
from lakehouse.layers.archive import bring_back
from lakehouse.parts import Lakehouse
from lakehouse.records import Commit, Counts, Extracted, Finding, Outcome, Published, Run, TableRun, Window
from lakehouse.source.drift import PARTITION, brought, contract_type
from lakehouse.source.postgres import Snapshot

# Tables read at once: while one is planned, others are read. How many are best was not measured by itself.
READERS = 3


@dataclass(frozen=True)
class Due:
    """What a run brings: a window per table that is due; or, where none is, the run that covers the day."""

    windows: Mapping[str, Window]
    covered_by: Extracted | None = None


@dataclass(frozen=True)
class Plan:
    """One table of a run: its window, columns beyond the contract and those held too narrow, the version it is written on."""

    contract: Contract
    window: Window
    extra: dict[str, str]
    widened: dict[str, str]
    head: int | None  # a commit above it is of a driver that lost its lock


def plan(lakehouse: Lakehouse, day: BusinessDate, *, replaces: bool = False) -> Due:
    """What a run for a business date would bring; `replaces`: the recorded windows of the day's own runs again.

    Raises LedgerError where there is nothing to replace.
    """
    ledger, contracts = lakehouse.ledger, lakehouse.contracts["bronze"]
    covering = ledger.covering(contracts, day.end)
    first = min(covering.values(), key=lambda e: e.window_end, default=None)
    if replaces:
        windows: dict[str, Window] = {}
        for e in (e for e in ledger.windows_of(day.day) if e.table in contracts):
            windows.setdefault(e.table, Window(e.window_start, e.window_end, again=e.snapshot))
        if not windows:
            how = covered(day, first) if first else "run bronze for it first"
            raise LedgerError(f"no run has published {day} by itself, so there is nothing to replace; {how}")
        return Due(windows)
    windows, marks = {}, ledger.marks(contracts)
    for table, contract in contracts.items():
        last = marks.get(table)
        if last is None:
            windows[table] = Window(None, day.end)
        elif last.window_end < day.end:
            whole = contract.extraction is not None and contract.extraction.mode == "snapshot"
            windows[table] = Window(
                None if whole else last.window_end, day.end, last.snapshot, lakehouse.settings.extract_lookback
            )
    return Due(windows, None if windows else first)


def run(lakehouse: Lakehouse, day: BusinessDate, *, replaces: bool = False, reason: str | None = None) -> Outcome:
    """Brings a business date. Succeeds without change for a day that an earlier run covered.

    Raises SourceError, DriftError, GateError, LedgerError, RightLostError; then nothing is published.
    """
    brought_back = None if replaces else bring_back(lakehouse, day, reason=reason)
    if brought_back and not plan(lakehouse, day).windows:
        return brought_back
    with opened(lakehouse, "bronze", day, reason=reason) as run:
        due = plan(lakehouse, day, replaces=replaces)
        if not due.windows:
            return run.cover(covered(day, due.covered_by))
        lakehouse.source.database.check()
        published = run.restore("bronze", lakehouse.contracts["bronze"])
        for table in due.windows:
            check_shape(lakehouse.contracts["bronze"][table], published.get(table))
        with lakehouse.source.snapshot() as snapshot:
            plans = _plans(lakehouse, snapshot, due.windows, run.findings)
            written = _extract(lakehouse, run.record, day, snapshot, plans, replaces=replaces)
        # The shop's vacuum waits for its oldest snapshot: it is closed as soon as every row is read.
        run.findings.extend(_gated(lakehouse, run.record, day, written, exact=not replaces))
        tables = sorted((w.table for w in written), key=lambda table: table.table)
        shapes = {"bronze": {p.contract.table: p.contract.shape for p in plans}}
        rows = sum(t.rows_read for t in tables)
        return run.publish({"bronze": tables}, shapes, f"{rows:,} rows of {len(tables)} tables")


def covered(day: BusinessDate, first: Extracted | None) -> str:
    """Which run covers a day, in words."""
    if first is None or first.business_date == day.day:
        return f"{day} was already published" + (f" ({first.run_id})" if first else "")
    return f"{day} was already covered by the run of {first.business_date} ({first.run_id})"


@dataclass(frozen=True)
class Written:
    """What a run wrote of one table, and what the source counts of it."""

    plan: Plan
    table: TableRun
    counts: Counts
    late: int


def _plans(
    lakehouse: Lakehouse, snapshot: Snapshot, windows: Mapping[str, Window], findings: list[Finding]
) -> list[Plan]:
    """Holds every table's schema against its contract; raises DriftError with all that the policies forbid."""
    snapshot.require_over(max(w.end for w in windows.values()))
    newest = BusinessDate(last_over(lakehouse.settings.zone, snapshot.standing.clock), lakehouse.settings.zone).end
    published, forbidden, plans = lakehouse.ledger.published("bronze"), [], []
    for table, window in windows.items():
        contract = lakehouse.contracts["bronze"][table]
        found = brought(contract, snapshot.schema(table), _held_types(lakehouse, contract, published.get(table)))
        forbidden += [f"{table}.{words}" for words in found.forbidden]
        findings += [Finding("bronze", table, f"schema_{d.kind}_{d.shown}", "critical" if d in found.serious else "warning",
                             False, None, None) for d in found.drift]  # fmt: skip
        window = replace(window, touched_since=window.again is None and window.end == newest)
        head = published[table].version if table in published else lakehouse.lake.head("bronze", table)
        plans.append(Plan(contract, window, found.extra, found.widened, head))
    if forbidden:
        raise DriftError(f"the source differs from its contracts: {'; '.join(forbidden)}. Nothing was written; change the "
                         f"source, or conf/contracts/bronze")  # fmt: skip
    return plans


def _held_types(lakehouse: Lakehouse, contract: Contract, published: Published | None) -> dict[str, str]:
    """What bronze holds of a table: column names and types in the contract's words.

    Not asked where it cannot differ: nothing but a policy of evolving, or a contract that changed, brings another type.
    """
    if published is None or (contract.drift_policy != "evolve" and published.shape == contract.shape):
        return {}
    held = frame(lakehouse, "bronze", contract.table, published)
    return {f.name: contract_type(f.dataType.simpleString()) for f in held.schema}


def _extract(
    lakehouse: Lakehouse, run: Run, day: BusinessDate, snapshot: Snapshot, plans: list[Plan], *, replaces: bool
) -> list[Written]:
    """Writes each table's rows into the day's partition, several tables at a time."""

    def bring(job: tuple[Plan, Counts, DataFrame, int]) -> Written:
        plan, counts, rows, late = job
        table, window = plan.contract.table, plan.window
        # A replacement looks for nothing below its window, so the next run looks from where the first reading stood.
        position = window.again if replaces else str(snapshot.position(table))
        # What a lost ledger would need to know of this run.
        facts = {"window_start": window.mark and window.mark.isoformat(), "window_end": window.end.isoformat(),
                 "snapshot": position}  # fmt: skip
        with lakehouse.source.read(table):
            commit, kept_before = _write(lakehouse, run, day, plan, rows, facts, replaces=replaces)
        added = commit.rows - kept_before
        log.event("bronze.extracted", table=table, rows=added, late=late)
        table_run = TableRun(table, commit.version, added, added, bytes_written=commit.bytes, window_start=window.mark,
                             window_end=window.end, snapshot=position)  # fmt: skip
        return Written(plan, table_run, counts, late)

    with ExitStack() as kept:
        jobs = [_job(lakehouse, snapshot, plan, kept) for plan in plans]
        # The biggest first, so that no core is idle while it is the last.
        jobs.sort(key=lambda job: job[1].rows, reverse=True)
        with ThreadPoolExecutor(READERS) as pool:
            return list(pool.map(bring, jobs))


def _gated(lakehouse: Lakehouse, run: Run, day: BusinessDate, written: list[Written], *, exact: bool) -> list[Finding]:
    """The gates of all tables, several at a time."""

    def check(one: Written) -> list[Finding]:
        table, version, counts = one.table.table, one.table.version, one.counts
        assert version is not None  # noqa: S101 - a table that was written has a version
        rows = _partition(lakehouse, day, table, version).where(F.col("_run_id") == run.run_id)
        expected = counts.rows + one.late if exact else None
        return bronze_gate.check(lakehouse, day, one.plan.contract, one.plan.window, rows, expected, counts.outside)

    with ThreadPoolExecutor(READERS) as pool:
        return [finding for found in pool.map(check, written) for finding in found]


def _job(lakehouse: Lakehouse, snapshot: Snapshot, plan: Plan, kept: ExitStack) -> tuple[Plan, Counts, DataFrame, int]:
    """A table's rows, as counted in the snapshot; late ones are kept in memory until `kept` is closed."""
    table = plan.contract.table
    if gained := snapshot.gained(plan.contract, plan.window):
        log.event("bronze.relations_gained", table=table, relations=len(gained))
    with lakehouse.source.read(table):
        counts = snapshot.counts(plan.contract, plan.window)
        rows = snapshot.frame(lakehouse.spark, plan.contract, plan.extra, plan.window)
        if not counts.late:
            return plan, counts, rows, 0
        unseen = _unseen(lakehouse, snapshot, plan).persist()
        kept.callback(unseen.unpersist)
        return plan, counts, rows.unionByName(unseen), unseen.count()


def _unseen(lakehouse: Lakehouse, snapshot: Snapshot, plan: Plan) -> DataFrame:
    """Late rows that bronze does not hold yet."""
    candidates = snapshot.late(lakehouse.spark, plan.contract, plan.extra, plan.window)
    published = published_frame(lakehouse, "bronze", plan.contract.table)
    return _not_in(candidates, _held(lakehouse, plan, published, snapshot.conditions(plan.contract, plan.window).since))


def _held(lakehouse: Lakehouse, plan: Plan, bronze: DataFrame, since: datetime | None) -> DataFrame:
    """Rows of published runs below a window's end and, where it is given, not stamped before `since`.

    A row lies in no partition before its stamp's day, but for one that was touched after its window's end, and that one
    its own day brings again. Stamps have no statistics, partitions have.
    """
    found = bronze.where(_mark(plan.contract) < F.lit(plan.window.end))
    first = date.min
    if since is not None:
        first = since.astimezone(lakehouse.settings.zone).date()
        found = found.where(_mark(plan.contract) >= F.lit(since))
        found = found.where(F.concat_ws("-", *PARTITION) >= first.isoformat())
    runs = {e.run_id for e in lakehouse.ledger.windows_between(first, date.max) if e.table == plan.contract.table}
    return found.where(F.col("_run_id").isin(sorted(runs)))


def _mark(contract: Contract) -> Column:
    assert contract.extraction is not None, "bronze contracts say how they are extracted"  # noqa: S101
    return F.col(contract.extraction.column)


def _not_in(rows: DataFrame, held: DataFrame) -> DataFrame:
    """The rows that bronze does not hold yet; a column that bronze gained since is null in what it holds."""
    gained = {f.name: F.lit(None).cast(f.dataType) for f in rows.schema if f.name not in held.columns}
    return rows.exceptAll(held.withColumns(gained).select(rows.columns))


def _write(
    lakehouse: Lakehouse, run: Run, day: BusinessDate, plan: Plan, rows: DataFrame, facts: Mapping[str, object],
    *, replaces: bool,
) -> tuple[Commit, int]:  # fmt: skip
    """Writes the partition; returns the commit and how many of its rows were there before."""
    lake, table, head = lakehouse.lake, plan.contract.table, _widen(lakehouse, plan)
    if not replaces:
        # The head is the published version and the day is not in it, so its partition holds nothing.
        return lake.add_partition(_stamped(lakehouse, run, rows), "bronze", table, day.partition, head, facts), 0
    assert head is not None  # noqa: S101 - a recorded day has a table
    before = _partition(lakehouse, day, table, head).drop(*day.partition).persist()
    # Held against all of bronze: what came late is in a later day's partition.
    missing = _not_in(rows, _held(lakehouse, plan, lake.read("bronze", table, head), plan.window.mark))
    union = before.unionByName(_stamped(lakehouse, run, missing), allowMissingColumns=True)
    try:
        return lake.replace_partition(union, "bronze", table, day.partition, head, facts), before.count()
    finally:
        before.unpersist()


def _widen(lakehouse: Lakehouse, plan: Plan) -> int | None:
    """Writes a table again where columns of it are too narrow for what the source has now; returns its head.

    Delta could widen without writing again, but what reads the lake without Spark could not read such a table.
    """
    table, head = plan.contract.table, plan.head
    if head is None or not plan.widened:
        return head
    wide = {n: F.col(n).cast(spark_type(kind)) for n, kind in plan.widened.items()}
    frame = lakehouse.lake.read("bronze", table, head).withColumns(wide)
    log.event("bronze.widened", table=table, columns=sorted(wide))
    return lakehouse.lake.overwrite(frame, "bronze", table, PARTITION, head).version


def _stamped(lakehouse: Lakehouse, run: Run, rows: DataFrame) -> DataFrame:
    return rows.withColumns({
        "_ingested_at": F.lit(run.started_at),
        "_source_system": F.lit(lakehouse.source.database.name),
        "_run_id": F.lit(run.run_id),
    })  # fmt: skip


def _partition(lakehouse: Lakehouse, day: BusinessDate, table: str, version: int) -> DataFrame:
    frame = lakehouse.lake.read("bronze", table, version)
    for name, value in day.partition.items():
        frame = frame.where(F.col(name) == value)
    return frame

"""Bronze: what the source said, unchanged, a business date a partition.

One snapshot of the source serves all tables. A day that passed its gate is an archive: a rerun leaves it alone, and a
replacement reads its recorded window again and keeps the union, so images the source has overwritten since stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse import log
from lakehouse.business_date import BusinessDate
from lakehouse.contracts import Contract
from lakehouse.errors import DriftError, LedgerError
from lakehouse.lake.published import check_shape
from lakehouse.parts import Lakehouse
from lakehouse.records import Commit, Counts, Extracted, Finding, Outcome, Run, Severity, TableRun, Window
from lakehouse.runs.archive import bring_back
from lakehouse.runs.published import published_frame
from lakehouse.runs.run import opened
from lakehouse.source.drift import drifts, evolvable
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
    """One table of a run: its window, and the columns it brings beyond the contract."""

    contract: Contract
    window: Window
    extra: dict[str, str]


def plan(lakehouse: Lakehouse, day: BusinessDate, *, replaces: bool = False) -> Due:
    """What a run for a business date would bring; `replaces`: the recorded windows of the day's own runs again.

    Raises LedgerError where there is nothing to replace.
    """
    ledger, contracts = lakehouse.ledger, lakehouse.contracts["bronze"]
    covering = ledger.covering(contracts, day.end)
    first = min(covering.values(), key=lambda e: e.window_end, default=None)
    if replaces:
        windows: dict[str, Window] = {}
        for e in ledger.windows_of(day.day):
            windows.setdefault(e.table, Window(e.window_start, e.window_end))
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
        with lakehouse.source.snapshot() as snapshot:
            plans = _plans(lakehouse, snapshot, due.windows, run.findings)
            for one in plans:
                check_shape(one.contract, published.get(one.contract.table))
            done = _extract(lakehouse, run.record, day, snapshot, plans, run.findings, replaces=replaces)
        shapes = {"bronze": {p.contract.table: p.contract.shape for p in plans}}
        rows = sum(t.rows_read for t in done)
        return run.publish({"bronze": done}, shapes, f"{rows:,} rows of {len(done)} tables")


def covered(day: BusinessDate, first: Extracted | None) -> str:
    """Which run covers a day, in words."""
    if first is None or first.business_date == day.day:
        return f"{day} was already published" + (f" ({first.run_id})" if first else "")
    return f"{day} was already covered by the run of {first.business_date} ({first.run_id})"


def _plans(house: Lakehouse, snapshot: Snapshot, windows: Mapping[str, Window], findings: list[Finding]) -> list[Plan]:
    """Holds every table's schema against its contract; raises DriftError with all that the policies forbid."""
    forbidden, plans = [], []
    for table, window in windows.items():
        contract = house.contracts["bronze"][table]
        drift = drifts(contract, snapshot.schema(table))
        new = [d for d in drift if d.kind == "new"]
        serious = drift if contract.drift_policy == "fail" else [d for d in drift if d.kind != "new"]
        forbidden += [f"{table}.{d.column} {d.words}" for d in serious]
        findings += [Finding("bronze", table, f"schema_{d.kind}_{d.column}", "critical" if d in serious else "warning",
                             False, None, None) for d in drift]  # fmt: skip
        evolves = contract.drift_policy == "evolve"
        extra = {d.column: kind for d in new if evolves and (kind := evolvable(d.column, d.type))}
        plans.append(Plan(contract, window, extra))
    if forbidden:
        raise DriftError(f"the source differs from its contracts: {'; '.join(forbidden)}. Nothing was written; mend the "
                         f"source, or change conf/contracts/bronze")  # fmt: skip
    return plans


def _extract(
    house: Lakehouse, run: Run, day: BusinessDate, snapshot: Snapshot, plans: list[Plan], findings: list[Finding],
    *, replaces: bool,
) -> list[TableRun]:  # fmt: skip
    """Writes each table's rows into the day's partition, several tables at a time, and gates what was written."""

    def bring(job: tuple[Plan, Counts, DataFrame, int]) -> tuple[TableRun, list[Finding]]:
        plan, counts, rows, late = job
        table, window = plan.contract.table, plan.window
        commit, kept_before = _write(house, run, day, plan, rows, snapshot.transactions, replaces=replaces)
        frame = _partition(house, day, table, commit.version).where(F.col("_run_id") == run.run_id)
        found = _checked(house, day, plan.contract, frame, counts.rows + late, counts.outside, exact=not replaces)
        added = commit.rows - kept_before
        log.event("bronze.extracted", table=table, rows=added, late=late)
        return TableRun(table, commit.version, added, added, bytes_written=commit.bytes, window_start=window.mark,
                        window_end=window.end, snapshot=snapshot.transactions), found  # fmt: skip

    with ExitStack() as kept:
        jobs = [_job(house, snapshot, plan, kept) for plan in plans]
        # The biggest first, so that no core is idle while it is the last.
        jobs.sort(key=lambda job: job[1].rows, reverse=True)
        with house.source.read(), ThreadPoolExecutor(READERS) as pool:
            brought = list(pool.map(bring, jobs))
    for _, found in brought:
        findings += found
    return sorted((table for table, _ in brought), key=lambda table: table.table)


def _job(house: Lakehouse, snapshot: Snapshot, plan: Plan, kept: ExitStack) -> tuple[Plan, Counts, DataFrame, int]:
    """A table's rows, as counted in the snapshot; late ones are kept in memory until `kept` is closed."""
    counts = snapshot.counts(plan.contract, plan.window)
    rows = snapshot.frame(house.spark, plan.contract, plan.extra, plan.window)
    if not counts.late:
        return plan, counts, rows, 0
    unseen = _unseen(house, snapshot, plan).persist()
    kept.callback(unseen.unpersist)
    return plan, counts, rows.unionByName(unseen), unseen.count()


def _unseen(house: Lakehouse, snapshot: Snapshot, plan: Plan) -> DataFrame:
    """Late rows of the look-back that bronze does not hold yet."""
    table, window = plan.contract.table, plan.window
    candidates = snapshot.late(house.spark, plan.contract, plan.extra, window)
    assert window.mark is not None  # noqa: S101 - without a mark nothing is late
    held = published_frame(house, "bronze", table).where(_mark(plan.contract) >= F.lit(window.mark - window.lookback))
    return _not_in(candidates, held)


def _mark(contract: Contract) -> Column:
    assert contract.extraction is not None, "bronze contracts say how they are extracted"  # noqa: S101
    return F.col(contract.extraction.column)


def _not_in(rows: DataFrame, held: DataFrame) -> DataFrame:
    """The rows that bronze does not hold yet; a column that bronze gained since is null in what it holds."""
    gained = {f.name: F.lit(None).cast(f.dataType) for f in rows.schema if f.name not in held.columns}
    return rows.exceptAll(held.withColumns(gained).select(rows.columns))


def _write(
    house: Lakehouse, run: Run, day: BusinessDate, plan: Plan, rows: DataFrame, snapshot: str, *, replaces: bool
) -> tuple[Commit, int]:
    """Writes the partition; returns the commit and how many of its rows were there before.

    The commit bears what the ledger keeps of the window, so that a lost ledger can be made of the lake again.
    """
    table, head = plan.contract.table, house.lake.head("bronze", plan.contract.table)
    facts = {"window_start": plan.window.mark.isoformat() if plan.window.mark else None,
             "window_end": plan.window.end.isoformat(), "snapshot": snapshot}  # fmt: skip
    if not replaces:
        # The head is the published version and the day is not in it, so its partition holds nothing.
        return house.lake.add_partition(_stamped(house, run, rows), "bronze", table, day.partition, head, facts), 0
    assert head is not None  # noqa: S101 - a recorded day has a table
    before = _partition(house, day, table, head).drop(*day.partition).persist()
    # Held against all of bronze: what came late is in a later day's partition.
    held = house.lake.read("bronze", table, head).where(_mark(plan.contract) < F.lit(plan.window.end))
    missing = _not_in(rows, held)
    union = before.unionByName(_stamped(house, run, missing), allowMissingColumns=True)
    try:
        return house.lake.replace_partition(union, "bronze", table, day.partition, head, facts), before.count()
    finally:
        before.unpersist()


def _stamped(house: Lakehouse, run: Run, rows: DataFrame) -> DataFrame:
    return rows.withColumns({
        "_ingested_at": F.lit(run.started_at),
        "_source_system": F.lit(house.source.database.name),
        "_run_id": F.lit(run.run_id),
    })  # fmt: skip


def _partition(house: Lakehouse, day: BusinessDate, table: str, version: int) -> DataFrame:
    frame = house.lake.read("bronze", table, version)
    for name, value in day.partition.items():
        frame = frame.where(F.col(name) == value)
    return frame


def _checked(
    house: Lakehouse,
    day: BusinessDate,
    contract: Contract,
    frame: DataFrame,
    expected: int,
    outside: int,
    *,
    exact: bool,
) -> list[Finding]:
    """The gate of one table: counts against the source, keys, and the suite."""
    null_key = F.greatest(*(F.col(k).isNull().cast("int") for k in contract.key), F.lit(0))
    row = frame.agg(
        F.count(F.lit(1)).alias("rows"),
        F.sum(null_key).alias("null_keys"),
        F.countDistinct(*contract.key).alias("keys"),
        F.count("_not_representable").alias("unfit"),
    ).first()
    assert row is not None  # noqa: S101 - an aggregate has one row
    rows, null_keys = row["rows"], row["null_keys"] or 0
    keys: Severity = "critical" if contract.key_enforced else "warning"

    def finding(rule: str, severity: Severity, unexpected: int) -> Finding:
        return Finding("bronze", contract.table, rule, severity, unexpected == 0, unexpected, rows)

    return [
        *([finding("row_count_matches_source", "critical", abs(rows - expected))] if exact else []),
        finding("key_not_null", keys, null_keys),
        finding("key_unique", keys, rows - null_keys - row["keys"]),
        finding("values_representable", "warning", row["unfit"]),
        finding("updated_at_in_a_window", "warning", outside),
        *house.gate.check(contract, house.suites["bronze"][contract.table], frame, rows, {"next_date": day.next}),
    ]

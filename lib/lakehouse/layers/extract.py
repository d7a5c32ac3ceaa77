"""Brings the rows of bronze's tables: each into the day's partition, counted on its way, several tables at a time."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date, datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse import log
from lakehouse.business_date import BusinessDate
from lakehouse.columns import clean_identifier
from lakehouse.contracts import Contract
from lakehouse.contracts.types import spark_type
from lakehouse.frame.door import Door
from lakehouse.frame.held import NOTHING, Gone
from lakehouse.frame.published import published_frame
from lakehouse.judging.tombstones import DELETED, VOID, by_key, in_order, voided
from lakehouse.layers import bronze_gate
from lakehouse.layers.bronze_gate import Seen
from lakehouse.parts import Lakehouse
from lakehouse.records import PARTITION, Commit, Counts, Run, TableRun, Totals, Window
from lakehouse.source.drift import contract_type
from lakehouse.source.postgres import Snapshot
from lakehouse.source.windows import mark_column

# Tables read at once: while one is planned, others are read. How many are best was not measured by itself.
READERS = 3


@dataclass(frozen=True)
class Plan:
    """One table of a run: its window, the columns it brings beyond the contract, and those that bronze holds too narrow."""

    contract: Contract
    window: Window
    extra: dict[str, str]
    widened: dict[str, str]
    # By a unique index of the server; without one we count ourselves.
    keys_once: bool
    # The version that it is written on; a commit above it is of a driver that lost its lock.
    head: int | None
    # Keys that are gone from the source: they get a tombstone each.
    gone: Gone = NOTHING


@dataclass(frozen=True)
class Written:
    """What a run wrote of one table, what the source counts of it, and what was counted as it was written."""

    plan: Plan
    table: TableRun
    counts: Counts
    late: int
    seen: Seen
    # Rows of customers who were forgotten: they stay out, and `counts` is without them.
    turned_away: int = 0


def extract(
    lakehouse: Lakehouse, run: Run, day: BusinessDate, snapshot: Snapshot, plans: list[Plan], *, replaces: bool
) -> list[Written]:
    """Writes each table's rows into the day's partition, several tables at a time."""

    door = Door(lakehouse)

    def bring(job: Job) -> Written:
        plan, counts, rows, late, turned_away = job
        table, window = plan.contract.table, plan.window
        # A replacement looks for nothing below its window, so the next run looks from where the first reading stood.
        position = window.again if replaces else str(snapshot.position(table))
        # What a lost ledger would need to know of this run.
        facts = {"window_start": window.mark and window.mark.isoformat(), "window_end": window.end.isoformat(),
                 "snapshot": position}  # fmt: skip
        with lakehouse.source.read(table):
            if plan.head is not None and not (counts.rows or late or plan.gone.count or replaces or plan.widened):
                # The version that is there holds the day as it is. No commit means that adopt reads the window again.
                stamped = _stamped(lakehouse, run, day, rows)
                seen = bronze_gate.of_no_rows(lakehouse, day, plan.contract, window, stamped)
                commit, kept_before = Commit(plan.head, 0, 0), 0
            else:
                commit, kept_before, seen = _write(lakehouse, run, day, plan, rows, facts, replaces=replaces)
        written = commit.rows - kept_before
        added = written - plan.gone.count
        log.event("bronze.extracted", table=table, rows=added, late=late, gone=plan.gone.count)
        table_run = TableRun(table, commit.version, added, written, rows_removed=plan.gone.count, bytes_written=commit.bytes,
                             window_start=window.mark, window_end=window.end, snapshot=position,
                             keys_seen=plan.gone.seen)  # fmt: skip
        return Written(plan, table_run, counts, late, seen, turned_away)

    with ExitStack() as kept, ThreadPoolExecutor(READERS) as pool:
        jobs = list(pool.map(lambda plan: _job(lakehouse, snapshot, plan, door, kept), plans))
        # The biggest first, so that no core is idle while it is the last.
        jobs.sort(key=lambda job: job[1].rows, reverse=True)
        return list(pool.map(bring, jobs))


# What is to be written of a table: its rows, as the source counts them, late ones among them, and how many stay out.
Job = tuple[Plan, Counts, DataFrame, int, int]


def _job(lakehouse: Lakehouse, snapshot: Snapshot, plan: Plan, door: Door, kept: ExitStack) -> Job:
    """A table's rows, as counted in the snapshot; late ones are kept in memory until `kept` is closed."""
    table = plan.contract.table
    if gained := snapshot.gained(plan.contract, plan.window):
        log.event("bronze.relations_gained", table=table, relations=len(gained))
    with lakehouse.source.read(table):
        counts = snapshot.counts(plan.contract, plan.window)
        rows = snapshot.frame(lakehouse.spark, plan.contract, plan.extra, plan.window)
        turned_away = door.turned_away(table, rows) if counts.rows else 0
        counts, rows = replace(counts, rows=counts.rows - turned_away), door.through(table, rows)
        if turned_away:
            log.event("bronze.turned_away", table=table, rows=turned_away)
        if not counts.late:
            return plan, counts, rows, 0, turned_away
        unseen = _unseen(lakehouse, snapshot, plan, door).persist()
        kept.callback(unseen.unpersist)
        return plan, counts, rows.unionByName(unseen), unseen.count(), turned_away


def _unseen(lakehouse: Lakehouse, snapshot: Snapshot, plan: Plan, door: Door) -> DataFrame:
    """Late rows that bronze does not hold yet, in the form in which it holds them."""
    candidates = door.through(
        plan.contract.table, snapshot.late(lakehouse.spark, plan.contract, plan.extra, plan.window)
    )
    published = published_frame(lakehouse, "bronze", plan.contract.table)
    since = snapshot.conditions(plan.contract, plan.window).since or snapshot.oldest_late(plan.contract, plan.window)
    return _not_in(candidates, _held(lakehouse, plan, published, since))


def _held(lakehouse: Lakehouse, plan: Plan, bronze: DataFrame, since: datetime | None) -> DataFrame:
    """Rows of published runs below a window's end that no tombstone voids and, where it is given, not stamped before `since`.

    A row lies in no partition before its stamp's day, but for one that was touched after its window's end, and that one
    its own day brings again. Stamps have no statistics, partitions have.
    """
    mark = F.col(mark_column(plan.contract))
    found = bronze.where(mark < F.lit(plan.window.end))
    first = date.min
    if since is not None:
        first = since.astimezone(lakehouse.settings.zone).date()
        found = found.where(mark >= F.lit(since))
        found = found.where(F.concat_ws("-", *PARTITION) >= first.isoformat())
    table = plan.contract.table
    runs = {e.run_id for e in lakehouse.ledger.windows_between(first, date.max) if e.table == table}
    found = found.where(F.col("_run_id").isin(sorted(runs)))
    if not lakehouse.ledger.totals("bronze").get(table, Totals()).removed:
        return found
    # What was gone and is there again is held no more: its images are void, however equal.
    key = plan.contract.key
    order = in_order(lakehouse.spark, lakehouse.ledger.pending([table], whole=True)[table])
    names = {k: f"_identifier_{k}" for k in key}
    dead = by_key(bronze, order, key).withColumnsRenamed(names)
    placed = found.join(F.broadcast(order), "_run_id", how="inner")
    placed = placed.withColumns({name: clean_identifier(k) for k, name in names.items()})
    return voided(placed, dead, list(names.values())).where(F.col(VOID).isNull())


def _not_in(rows: DataFrame, held: DataFrame) -> DataFrame:
    """The rows that bronze does not hold yet; a column that bronze gained since is null in what it holds."""
    gained = {f.name: F.lit(None).cast(f.dataType) for f in rows.schema if f.name not in held.columns}
    return rows.exceptAll(held.withColumns(gained).select(rows.columns))


def _write(
    lakehouse: Lakehouse, run: Run, day: BusinessDate, plan: Plan, rows: DataFrame, facts: Mapping[str, object],
    *, replaces: bool,
) -> tuple[Commit, int, Seen]:  # fmt: skip
    """Writes the partition; the commit, how many of its rows were there before, and what was seen of the others."""
    lake, table = lakehouse.lake, plan.contract.table
    head = None if plan.head is None else widen(lakehouse, table, plan.head, plan.widened)
    if not replaces:

        def add(rows: DataFrame) -> Commit:
            # The head is the published version and the day is not in it, so its partition holds nothing. Tombstones
            # join what was counted: no rule is about them.
            return lake.append(
                rows if dead is None else rows.unionByName(dead), "bronze", table, PARTITION, head, facts
            )

        stamped = _stamped(lakehouse, run, day, rows)
        dead = _tombstones(lakehouse, run, day, plan, stamped)
        commit, seen = bronze_gate.counted_write(lakehouse, day, plan.contract, plan.window, stamped, add)
        return commit, 0, seen
    assert head is not None  # noqa: S101 - a recorded day has a table
    before = partition(lakehouse, day, table, head).persist()
    # Held against all of bronze: what came late is in a later day's partition.
    missing = _not_in(rows, _held(lakehouse, plan, lake.read("bronze", table, head), plan.window.mark))

    def replace_day(rows: DataFrame) -> Commit:
        union = before.unionByName(rows, allowMissingColumns=True)
        return lake.replace_partition(union, "bronze", table, day.partition, head, facts)

    try:
        stamped = _stamped(lakehouse, run, day, missing)
        commit, seen = bronze_gate.counted_write(lakehouse, day, plan.contract, plan.window, stamped, replace_day)
        return commit, before.count(), seen
    finally:
        before.unpersist()


def types_of(rows: DataFrame) -> dict[str, str]:
    """The types of a frame of bronze, in the contract's words."""
    return {f.name: contract_type(f.dataType.simpleString()) for f in rows.schema}


def widen(lakehouse: Lakehouse, table: str, head: int, kinds: Mapping[str, str]) -> int:
    """Writes a table again where columns of it are too narrow for what is to come; returns its head.

    Delta could widen without writing again, but what reads the lake without Spark could not read such a table.
    """
    if not kinds:
        return head
    wide = {n: F.col(n).cast(spark_type(kind)) for n, kind in kinds.items()}
    frame = lakehouse.lake.read("bronze", table, head).withColumns(wide)
    log.event("bronze.widened", table=table, columns=sorted(wide))
    return lakehouse.lake.overwrite(frame, "bronze", table, PARTITION, head).version


def _tombstones(lakehouse: Lakehouse, run: Run, day: BusinessDate, plan: Plan, rows: DataFrame) -> DataFrame | None:
    """A row for each key that is gone, with the columns of the others: its key, its lineage, and no value."""
    if plan.gone.keys is None:
        return None
    key = plan.contract.key
    nothing = {f.name: F.lit(None).cast(f.dataType) for f in rows.schema if f.name not in key}
    dead = _stamped(lakehouse, run, day, plan.gone.keys.select(*key).withColumns(nothing))
    return dead.withColumn(DELETED, F.lit(True)).select(rows.columns)


def _stamped(lakehouse: Lakehouse, run: Run, day: BusinessDate, rows: DataFrame) -> DataFrame:
    return rows.withColumns({
        DELETED: F.lit(False),
        "_ingested_at": F.lit(run.started_at),
        "_source_system": F.lit(lakehouse.source.database.name),
        "_run_id": F.lit(run.run_id),
        **{name: F.lit(value) for name, value in day.partition.items()},
    })  # fmt: skip


def partition(lakehouse: Lakehouse, day: BusinessDate, table: str, version: int) -> DataFrame:
    """The rows of a business date, in a version of a table of bronze."""
    frame = lakehouse.lake.read("bronze", table, version, [day.partition])
    for name, value in day.partition.items():
        frame = frame.where(F.col(name) == value)
    return frame

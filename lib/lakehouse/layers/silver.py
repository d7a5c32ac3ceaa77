"""Silver: one row per key, the latest valid state; what breaks a rule waits in quarantine with its reasons.

Silver is a function of all images in bronze. A run judges the images it has not seen and those still open, parents first,
so a line, its order and its customer come in together whenever the last of them arrives. Where a key is gone from the
source, its row and those that refer to it are judged again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from zlib import crc32

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse import log
from lakehouse.business_date import BusinessDate
from lakehouse.contracts import Contract
from lakehouse.errors import NotYetError
from lakehouse.frame.held import MISSED_AT
from lakehouse.frame.run import OpenRun, opened
from lakehouse.frame.transforms import digest
from lakehouse.judging.rules import quarantine_rules
from lakehouse.judging.tombstones import END, VOID
from lakehouse.judging.verdicts import DEDUPLICATED, KEPT, LEAVES, OPEN, REMOVED, SOURCE, TIE_BREAKERS, TIED
from lakehouse.lake.reading import check_shape
from lakehouse.layers import silver_gate
from lakehouse.layers.candidates import FEW_CANDIDATES, judged_candidates
from lakehouse.layers.silver_gate import Silver
from lakehouse.ledger.lease import Lease
from lakehouse.parts import Lakehouse
from lakehouse.records import PARTITION, Commit, Extracted, Finding, Last, Outcome, TableRun, Totals

GATES = 2


@dataclass(frozen=True)
class Plan:
    """What a run catches up with: windows of bronze by table, judged again from the beginning where `rebuilds`.

    `again`: every row that is open is judged, whatever has changed.
    """

    pending: Mapping[str, list[Extracted]]
    rebuilds: bool
    again: bool
    inputs: Mapping[str, int]
    waived: Mapping[str, list[str]]
    covered_by: Last | None = None


def plan(lakehouse: Lakehouse, day: BusinessDate, *, rebuilds: bool = False, again: bool = False) -> Plan:
    """What a run through a business date would judge; `rebuilds`: the whole of bronze, as if for the first time.

    A transform, rule, waiver or contract that changed since the last run means another silver: everything is judged again.
    `again`: what is open in quarantine is judged even where nothing else is due.
    Raises NotYetError where bronze has not published the day.
    """
    ledger, tables = lakehouse.ledger, lakehouse.contracts["silver"]
    if not ledger.covering(tables, day.end):
        raise NotYetError(f"bronze has not published {day} yet; run: lakehouse run bronze --date {day}")
    last, waived = ledger.last("silver"), ledger.waived()
    inputs = {"transforms": digest(lakehouse, "silver"), "waivers": crc32(json.dumps(waived).encode()) if waived else 0}
    # The first release kept none of them, and knew no waivers.
    if last and {**inputs, "waivers": 0, **last.inputs} != {**last.inputs, **inputs}:
        log.event("silver.transforms_changed", run_id=last.run_id)
        rebuilds = True
    pending = ledger.pending(tables, whole=rebuilds)
    is_covered = last and last.as_of >= day.day and not any(pending.values()) and not rebuilds and not again
    return Plan(pending, rebuilds, again, inputs, waived, last if is_covered else None)


def run(
    lakehouse: Lakehouse, day: BusinessDate, *, rebuilds: bool = False, again: bool = False, reason: str | None = None,
    lease: Lease | None = None,
) -> Outcome:  # fmt: skip
    """Judges every published bronze day not judged yet; `rebuilds`: the whole of bronze; `again`: open rows at least.

    `lease`: silver's lock, where the caller holds it. Raises NotYetError where bronze has not published the day, GateError
    where a critical rule fails.
    """
    with opened(lakehouse, "silver", day, reason=reason, lease=lease) as run:
        due = plan(lakehouse, day, rebuilds=rebuilds, again=again)
        if due.covered_by:
            return run.cover(f"{day} was already published ({due.covered_by.run_id})", due.inputs)
        run.record = replace(run.record, rebuilds=due.rebuilds)
        silver = _entered(lakehouse, day, run, due)
        kept, quarantined, findings = _tables(silver, due.pending)
        run.find(findings)
        shapes = {
            "silver": {t: c.shape for t, c in lakehouse.contracts["silver"].items()},
            "quarantine": {t: c.shape for t, c in lakehouse.contracts["bronze"].items()},
        }
        message = (
            f"{sum(t.rows_read for t in kept):,} rows read, {sum(t.rows_kept for t in kept):,} kept, "
            f"{sum(t.rows_quarantined for t in kept):,} in quarantine"
        )
        return run.publish(
            {"silver": kept, "quarantine": quarantined},
            shapes,
            message,
            inputs=due.inputs,
            also=lambda cursor: lakehouse.ledger.consume(cursor, run.record, due.pending),
        )


def _entered(lakehouse: Lakehouse, day: BusinessDate, run: OpenRun, due: Plan) -> Silver:
    """The tables as published; what is replaced whole needs no restore."""
    ledger, tables = lakehouse.ledger, lakehouse.contracts["silver"]
    if due.rebuilds:
        run.enter_lake()
        published, quarantine = ledger.published("silver"), ledger.published("quarantine")
    else:
        published, quarantine = run.restore("silver", tables), run.restore("quarantine", tables)
    heads, reasons = {t: p.version for t, p in published.items()}, dict[str, dict[str, int]]()
    for row in ledger.quarantined():
        reasons.setdefault(row["table"], {})[row["reason"]] = row["rows"]
    return Silver(lakehouse, day, run.record, due.rebuilds, ledger.published("bronze"), published, quarantine,
                  ledger.totals("silver"), due.waived, heads, reasons, due.again)  # fmt: skip


def _tables(
    silver: Silver, pending: Mapping[str, list[Extracted]]
) -> tuple[list[TableRun], list[TableRun], list[Finding]]:
    """Every table, several at a time: each begins when the tables it refers to are written, gates run meanwhile.

    What became of the tables, of their quarantines, and what the gates found.
    """
    # A table that was deployed after bronze's run is judged once bronze has brought it.
    contracts = [c for c in silver.lakehouse.contracts.parents_first("silver") if c.table in silver.bronze]
    with ThreadPoolExecutor(len(contracts)) as tables, ThreadPoolExecutor(GATES) as gates:
        written: dict[str, Future[tuple[TableRun, TableRun, Future[list[Finding]] | None]]] = {}

        def table(contract: Contract) -> tuple[TableRun, TableRun, Future[list[Finding]] | None]:
            for parent in set(contract.parents) - {contract.table}:
                if parent in written:
                    written[parent].result()
            return _table(silver, contract, pending[contract.table], gates)

        for contract in contracts:
            written[contract.table] = tables.submit(table, contract)
        results = [written[c.table].result() for c in contracts]
        findings = [finding for _, _, gate in results if gate for finding in gate.result()]
    return [kept for kept, _, _ in results], [waiting for _, waiting, _ in results], findings


def _table(
    silver: Silver, contract: Contract, pending: list[Extracted], gates: Executor
) -> tuple[TableRun, TableRun, Future[list[Finding]] | None]:
    """Judges and writes one table; returns what became of it and of its quarantine, and its gate, still at work."""
    lakehouse, name, is_new = (
        silver.lakehouse,
        contract.table,
        silver.rebuilds or contract.table not in silver.published,
    )
    check_shape(contract, None if silver.rebuilds else silver.published.get(name))
    batch_rows = sum(e.rows for e in pending)
    before = Totals() if silver.rebuilds else silver.totals.get(name, Totals())
    open_before = 0 if is_new else before.open
    kept, waiting = TableRun(name, rows_read=batch_rows), TableRun(name)
    buried = sum(e.tombstones for e in pending)
    orphans = not silver.left.keys().isdisjoint(contract.parents)
    if not is_new and batch_rows + buried == 0 and not orphans and not (open_before and silver.may_free(contract)):
        kept.rows_quarantined, kept.reasons = open_before, {**silver.reasons.get(name, {})}
        return kept, waiting, None
    waived = silver.waived.get(name, ())
    rules = [r for r in quarantine_rules(contract, lakehouse.suites["silver"][name]) if r.name not in waived]
    candidates = judged_candidates(silver, contract, rules, pending, open_before, is_new=is_new)
    measures = silver_gate.measures(silver, contract, candidates)
    frame, counts = silver_gate.checkpointed(candidates, rules, measures)
    kept.rows_kept, kept.rows_deduplicated = counts[KEPT], counts[DEDUPLICATED]
    kept.rows_quarantined = waiting.rows_kept = counts[OPEN]
    kept.rows_displaced, kept.rows_removed = counts["displaced"], counts[REMOVED]
    kept.rows_recalled, kept.rows_reopened = counts["recalled"], counts["reopened"]
    kept.has_ties = counts[TIED] > 0
    kept.reasons = {r.name: counts[f"open_{r.name}"] for r in rules if counts[f"open_{r.name}"]}
    commit = None
    if counts[KEPT] or counts["left"] or is_new:
        commit = _write_kept(silver, contract, frame, counts, is_new=is_new)
        kept.version, kept.bytes_written = commit.version, commit.bytes
    if counts["left"]:
        silver.left[name] = frame.where(LEAVES).select(contract.key[0])
    log.event("silver.transformed", table=name, rows=batch_rows, kept=kept.rows_kept, deduplicated=kept.rows_deduplicated,
              removed=kept.rows_removed, quarantined=kept.rows_quarantined)  # fmt: skip

    def gate() -> list[Finding]:
        # No child reads a quarantine, so none waits for it.
        if counts[OPEN] + open_before or is_new:
            _write_open(silver, contract, frame, waiting)
        return [
            *silver_gate.balances(name, before, batch_rows, open_before, counts, commit),
            *silver_gate.quality(silver, contract, frame, rules, batch_rows, counts, measures),
        ]

    return kept, waiting, gates.submit(gate)


def _write_kept(
    silver: Silver, contract: Contract, frame: DataFrame, counts: Mapping[str, int], *, is_new: bool
) -> Commit:
    """Writes the winners: a new table whole, new keys as an append, anything else in the place of what had their keys.

    A row that leaves silver is gone with the same commit.
    """
    lake, table = silver.lakehouse.lake, contract.table
    levels = contract.partitioning.levels if contract.partitioning else ()
    recalls = counts["recalled"] > 0
    winners = frame.where((F.col("_verdict") == KEPT) | F.col(LEAVES) if recalls else F.col("_verdict") == KEPT)
    columns = [F.col(c) for c in (*contract.names, *TIE_BREAKERS)]
    if silver.lakehouse.contracts["bronze"][table].deletes == "keep":
        missed = F.col(f"{VOID}.{END}") if VOID in frame.columns else F.lit(None).cast("timestamp")
        columns.append(missed.alias(MISSED_AT))
    rows = winners.select(
        *columns,
        F.lit(silver.run.started_at).alias("_transformed_at"),
        F.lit(silver.run.run_id).alias("_run_id"),
        *([F.col(LEAVES)] if recalls else []),
    )
    if contract.partitioning:
        formats = dict(zip(PARTITION, ("yyyy", "MM", "dd"), strict=True))
        rows = rows.withColumns({p: F.date_format(contract.partitioning.column, formats[p]) for p in levels})
    if is_new:
        # A file a core and partition: a shuffle for fewer files would cost more than half of the write.
        rows = rows.coalesce(silver.lakehouse.spark.sparkContext.defaultParallelism)
        head = lake.head("silver", table)
        commit = lake.overwrite(rows, "silver", table, levels, head)
    elif not counts["displaced"] and not recalls:
        rows = rows.repartition(*levels) if levels else rows.coalesce(1)
        commit = lake.append(rows, "silver", table, levels, silver.heads[table])
    else:
        commit = _replaced(silver, contract, winners, rows, counts, LEAVES if recalls else None)
    silver.heads[table] = commit.version
    return commit


def _replaced(
    silver: Silver,
    contract: Contract,
    winners: DataFrame,
    rows: DataFrame,
    counts: Mapping[str, int],
    leaves: str | None,
) -> Commit:
    """Replaces rows by key: a few by writing the partitions again that they lie in, many by a merge."""
    lake, table, head = silver.lakehouse.lake, contract.table, silver.heads[contract.table]
    levels = contract.partitioning.levels if contract.partitioning else ()
    old, new = list[dict[str, str]](), list[dict[str, str]]()
    if levels:
        before = winners.where(F.col("_current_updated_at").isNotNull()).select(
            F.lit(True).alias("_is_old"), *(F.col(f"_current_{p}").alias(p) for p in levels)
        )
        for is_old, *place in before.union(rows.select(F.lit(False), *levels)).distinct().collect():
            (old if is_old else new).append(dict(zip(levels, place, strict=True)))
    if counts[KEPT] + counts["left"] > FEW_CANDIDATES:
        return lake.merge(rows.coalesce(2), "silver", table, contract.key, old, head, leaves)
    rows, changed = rows.coalesce(1), counts["displaced"] + counts["recalled"] - counts["left"]
    places = [*old, *(p for p in new if p not in old)]
    written = lake.rewrite(rows, "silver", table, contract.key, places, head,
                           updated=changed, deleted=counts["left"], leaves=leaves)  # fmt: skip
    return written or lake.merge(F.broadcast(rows), "silver", table, contract.key, old, head, leaves)


def _write_open(silver: Silver, contract: Contract, frame: DataFrame, waiting: TableRun) -> None:
    """Writes the rows open after this run: as the source wrote them, why, and since when."""
    lake, now = silver.lakehouse.lake, F.lit(silver.run.started_at)
    rows = frame.where(F.col("_verdict") == OPEN).select(
        f"{SOURCE}.*",
        "_not_representable",
        F.col("_reasons"),
        F.lit(silver.run.run_id).alias("_run_id"),
        F.coalesce("_first_seen_at", now).alias("_first_seen_at"),
        now.alias("_last_seen_at"),
    )
    head = lake.head("quarantine", contract.table)
    if head is None and not waiting.rows_kept:
        commit = lake.create(rows.schema, "quarantine", contract.table)
    else:
        commit = lake.overwrite(rows.coalesce(1), "quarantine", contract.table, (), head)
    waiting.version, waiting.bytes_written = commit.version, commit.bytes

"""Bronze: what the source said, unchanged, a business date a partition.

One snapshot of the source serves all tables. A day that passed its gate is an archive: a rerun leaves it alone, and a
replacement reads its recorded window again and keeps the union, so images the source has overwritten since stay.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

from pyspark.sql import functions as F

from lakehouse import log
from lakehouse.business_date import BusinessDate, last_over
from lakehouse.contracts import Contract
from lakehouse.errors import DriftError, GateError, LedgerError, UsageError
from lakehouse.frame.held import Gone, ask_for_keys, gone_keys
from lakehouse.frame.published import frame
from lakehouse.frame.run import opened
from lakehouse.lake.reading import check_shape
from lakehouse.layers import bronze_gate
from lakehouse.layers.archive import bring_back
from lakehouse.layers.extract import READERS, Plan, Written, extract, partition, types_of
from lakehouse.parts import Lakehouse
from lakehouse.records import Extracted, Finding, Outcome, Published, Run, Window
from lakehouse.source.cdc.pgoutput import MOST_WRITTEN
from lakehouse.source.cdc.slot import Drained, confirm, drain
from lakehouse.source.drift import brought
from lakehouse.source.position import Position
from lakehouse.source.postgres import Snapshot


@dataclass(frozen=True)
class Due:
    """What a run brings: a window per table that is due; or, where none is, the run that covers the day."""

    windows: Mapping[str, Window]
    covered_by: Extracted | None = None


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


def run(
    lakehouse: Lakehouse,
    day: BusinessDate,
    *,
    replaces: bool = False,
    reason: str | None = None,
    accept: Collection[str] = (),
) -> Outcome:
    """Brings a business date. Succeeds without change for a day that an earlier run covered.

    `accept`: tables of which any number of keys may be gone. Raises SourceError, DriftError, GateError, LedgerError,
    RightLostError; then nothing is published. Raises UsageError for a table of which deletes are not looked for.
    """
    reason = _accepted(lakehouse, accept, reason)
    brought_back = None if replaces else bring_back(lakehouse, day, reason=reason)
    if brought_back and not plan(lakehouse, day).windows:
        return brought_back
    with opened(lakehouse, "bronze", day, reason=reason) as run:
        due = plan(lakehouse, day, replaces=replaces)
        if not due.windows:
            return run.cover(covered(day, due.covered_by))
        lakehouse.source.database.check()
        # Nobody else moves them while the lock is held.
        pointers = lakehouse.ledger.published("bronze")
        with lakehouse.source.snapshot() as snapshot, ExitStack() as kept:
            if any(_may_hold_other_types(lakehouse.contracts["bronze"][t], pointers.get(t)) for t in due.windows):
                run.enter_lake()
            plans, drifted, forbidden = _plans(lakehouse, snapshot, due.windows, pointers)
            run.find(drifted)
            if forbidden:
                raise DriftError(f"the source differs from its contracts: {'; '.join(forbidden)}. Nothing was written; change "
                                 f"the source, or conf/contracts/bronze")  # fmt: skip
            compared = {} if replaces else _compared(lakehouse, snapshot, day, plans, pointers)
            drained = _drained(lakehouse, snapshot, day, compared)
            # The server looks while Java starts: what looks into the lake comes after.
            asked = ask_for_keys(lakehouse, snapshot, compared, pointers, kept, drained)
            published = run.restore("bronze", lakehouse.contracts["bronze"])
            for table in due.windows:
                check_shape(lakehouse.contracts["bronze"][table], published.get(table))
            plans = [replace(p, head=_head(lakehouse, p.contract.table, published)) for p in plans]
            gone = {} if replaces else gone_keys(lakehouse, snapshot, compared, asked, kept)
            findings, refused = _shares(lakehouse, gone, accept)
            run.find(findings)
            if refused:
                raise GateError(_refusal(day, gone, refused))
            plans = [replace(p, gone=gone[t]) if (t := p.contract.table) in gone else p for p in plans]
            written = extract(lakehouse, run.record, day, snapshot, plans, replaces=replaces)
        # The shop's vacuum waits for its oldest snapshot: it is closed as soon as every row is read.
        run.find(_gated(lakehouse, run.record, day, written, exact=not replaces))
        tables = sorted((w.table for w in written), key=lambda table: table.table)
        shapes = {"bronze": {p.contract.table: p.contract.shape for p in plans}}
        rows, buried = sum(t.rows_read for t in tables), sum(t.rows_removed for t in tables)
        message = f"{rows:,} rows of {len(tables)} tables" + (
            f", {buried:,} keys gone from the source" if buried else ""
        )
        outcome = run.publish({"bronze": tables}, shapes, message)
        if drained:
            run.after(partial(confirm, lakehouse.source.database, lakehouse.settings.cdc_slot, drained.end))
        return outcome


def _accepted(lakehouse: Lakehouse, accept: Collection[str], reason: str | None) -> str | None:
    """The reason of a run that lets deletes through, as the ledger keeps it. Raises UsageError, all tables at once."""
    looked_for = [t for t, c in lakehouse.contracts["bronze"].items() if c.deletes != "none"]
    if unknown := sorted(set(accept) - set(looked_for)):
        raise UsageError(
            f"deletes of {', '.join(unknown)} are not looked for: --accept-deletes takes {', '.join(looked_for)}"
        )
    words = " ".join(f"--accept-deletes {table}" for table in sorted(set(accept)))
    return f"{reason} ({words})" if reason and words else reason or words or None


def _compared(
    lakehouse: Lakehouse, snapshot: Snapshot, day: BusinessDate, plans: list[Plan], pointers: Mapping[str, Published]
) -> dict[str, tuple[Contract, Window]]:
    """The tables whose keys are compared, each with its window.

    Not of a table that is brought for the first time: nothing of it is held. Nor of one of which a policy hides rows: they
    are not gone.
    """
    if lakehouse.settings.cdc != "slot" and not lakehouse.settings.compares_keys(day.day):
        return {}
    contracts = [p for p in plans if p.contract.deletes != "none" and p.contract.table in pointers]
    return {p.contract.table: (p.contract, p.window) for p in contracts if not snapshot.hides_rows(p.contract.table)}


def _drained(
    lakehouse: Lakehouse, snapshot: Snapshot, day: BusinessDate, compared: Mapping[str, tuple[Contract, Window]]
) -> Drained | None:
    """What the shop's replication slot told of tables, where it has one; from now on the snapshot knows what was written.

    Nothing is taken for known of a table that lost or gained a partition, as the log says nothing of the rows that went with
    it, and on the days of the proof.
    """
    settings = lakehouse.settings
    if settings.cdc != "slot" or not compared:
        return None
    names = {table: contract.key for table, (contract, _) in compared.items()}
    drained = drain(lakehouse.source.database, settings.cdc_slot, snapshot, names)
    for table, keys in drained.keys.items():
        contract, window = compared[table]
        moved = window.snapshot and Position.parse(window.snapshot).relations != snapshot.position(table).relations
        keys.is_known &= not moved and not settings.compares_keys(day.day)
        if len(keys.written) <= MOST_WRITTEN:
            snapshot.know_written(contract, keys.written)
        log.event("bronze.drained", table=table, written=len(keys.written), gone=len(keys.gone), is_known=keys.is_known)
    return drained


def _shares(lakehouse: Lakehouse, gone: Mapping[str, Gone], accept: Collection[str]) -> tuple[list[Finding], list[str]]:
    """What the gate says of keys that are gone, and the tables of which a person must let them through."""
    over = [t for t, g in gone.items() if bronze_gate.too_many_gone(lakehouse, g.count, g.held)]
    refused = [t for t in over if t not in accept]
    return [bronze_gate.deleted_share(t, g.count, g.held, refused=t in refused) for t, g in gone.items()], refused


def _refusal(day: BusinessDate, gone: Mapping[str, Gone], refused: list[str]) -> str:
    parts = (f"{gone[t].count:,} of {gone[t].held:,} keys of {t}" if gone[t].count < gone[t].held else
             f"every key of {t} ({gone[t].held:,})" for t in refused)  # fmt: skip
    accept = " ".join(f"--accept-deletes {t}" for t in refused)
    return (f"gone from the source: {', '.join(parts)}, more than LAKEHOUSE_MAX_DELETED_SHARE lets through. Nothing was "
            f"written. Where a table was emptied or cut by mistake, restore it, then run the day again; where its rows are "
            f"meant to be gone: lakehouse run bronze --date {day} {accept}")  # fmt: skip


def covered(day: BusinessDate, first: Extracted | None) -> str:
    """Which run covers a day, in words."""
    if first is None or first.business_date == day.day:
        return f"{day} was already published" + (f" ({first.run_id})" if first else "")
    return f"{day} was already covered by the run of {first.business_date} ({first.run_id})"


def _plans(
    lakehouse: Lakehouse, snapshot: Snapshot, windows: Mapping[str, Window], pointers: Mapping[str, Published]
) -> tuple[list[Plan], list[Finding], list[str]]:
    """Holds every table's schema against its contract: what each brings, all drift, and the drift that policies forbid."""
    snapshot.require_over(max(w.end for w in windows.values()))
    snapshot.require_readable(windows)
    newest = BusinessDate(last_over(lakehouse.settings.zone, snapshot.standing.clock), lakehouse.settings.zone).end
    plans, findings, forbidden = list[Plan](), list[Finding](), list[str]()
    for table, window in windows.items():
        contract = lakehouse.contracts["bronze"][table]
        found = brought(contract, snapshot.schema(table), _held_types(lakehouse, contract, pointers.get(table)))
        forbidden += [f"{table}.{words}" for words in found.forbidden]
        findings += [Finding("bronze", table, f"schema_{d.kind}_{d.shown}", "critical" if d in found.serious else "warning",
                             False, None, None) for d in found.drift]  # fmt: skip
        if snapshot.hides_rows(table):
            findings.append(Finding("bronze", table, "rows_hidden_by_policy", "warning", False, None, None))
        window = replace(window, touched_since=window.again is None and window.end == newest)
        plans.append(Plan(contract, window, found.extra, found.widened, snapshot.keeps_keys_once(contract), None))
    return plans, findings, forbidden


def _head(lakehouse: Lakehouse, table: str, published: Mapping[str, Published]) -> int | None:
    """The version that a table is written on: the published one, or what a run left that never published it."""
    return published[table].version if table in published else lakehouse.lake.head("bronze", table)


def _held_types(lakehouse: Lakehouse, contract: Contract, published: Published | None) -> dict[str, str]:
    """What bronze holds of a table, where it may differ: column names and types in the contract's words."""
    if not _may_hold_other_types(contract, published):
        return {}
    return types_of(frame(lakehouse, "bronze", contract.table, published))


def _may_hold_other_types(contract: Contract, published: Published | None) -> bool:
    """Whether bronze may hold a table in other types than its contract's: by a policy of evolving, or of an earlier contract."""
    return published is not None and (contract.drift_policy == "evolve" or published.shape != contract.shape)


def _gated(lakehouse: Lakehouse, run: Run, day: BusinessDate, written: list[Written], *, exact: bool) -> list[Finding]:
    """The gates of all tables, several at a time."""

    def check(one: Written) -> list[Finding]:
        plan, table, counts = one.plan, one.table, one.counts
        expected = counts.rows + one.late if exact else None
        doubled = 0
        if table.rows_read and not plan.keys_once:
            assert table.version is not None  # noqa: S101 - a table that was written has a version
            rows = partition(lakehouse, day, table.table, table.version).where(F.col("_run_id") == run.run_id)
            doubled = bronze_gate.doubled(plan.contract, rows)
        found = bronze_gate.check(
            lakehouse, plan.contract, plan.window, one.seen, table.rows_read, expected, counts.outside, doubled
        )
        # No fault, and still told: the source has rows that the lake does not.
        away = [one.turned_away] if one.turned_away else []
        return [
            *found,
            *(Finding("bronze", table.table, "forgotten_stay_out", "warning", True, n, counts.rows + n) for n in away),
        ]

    with ThreadPoolExecutor(READERS) as pool:
        return [finding for found in pool.map(check, written) for finding in found]

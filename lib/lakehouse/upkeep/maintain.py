"""Maintain: small files are joined, and what nobody needs any more is deleted: data files, log entries, results, pages.

Kept is what is published, was published within LAKEHOUSE_RETENTION, is pinned, or holds bronze that a rewind set aside.
Rows of runs stay for good.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime

from lakehouse import log
from lakehouse.business_date import BusinessDate
from lakehouse.errors import LakehouseError, StoreError
from lakehouse.frame.restore import mark
from lakehouse.frame.run import OpenRun, opened
from lakehouse.lake.maintain import clean_log, vacuum
from lakehouse.ledger.lease import Lease
from lakehouse.parts import Lakehouse
from lakehouse.records import Published, Row
from lakehouse.upkeep.locks import locked, who

# Lake layers by the layer whose lock and runs they belong to.
LAKE_LAYERS = {"bronze": ("bronze",), "silver": ("silver", "quarantine")}
# More files than this in one partition are joined; fewer cost a reader less than joining them each night.
FEW_FILES = 8


def maintain(lakehouse: Lakehouse, *, dry_run: bool = False, reason: str = "maintenance") -> list[Row]:
    """Does, or with `dry_run` tells, what there is to do: a row per table, with bytes before and after.

    Raises BusyError where a run is at work, and StoreError at the end for tables of which a file that is needed is missing.
    """
    with locked(lakehouse) as leases:
        last = lakehouse.ledger.last("bronze")
        if last is None:
            return []
        day = BusinessDate(last.as_of, lakehouse.settings.zone)
        rows = _planned(lakehouse) if dry_run else _done(lakehouse, leases, day, reason)
        return rows + _results_and_pages(lakehouse, reason, rows, dry_run=dry_run)


def _planned(lakehouse: Lakehouse) -> list[Row]:
    return [_cleaned(lakehouse, layer, p, p.version, dry_run=True)
            for layers in LAKE_LAYERS.values() for layer in layers
            for p in lakehouse.ledger.published(layer).values()]  # fmt: skip


def _done(lakehouse: Lakehouse, leases: Mapping[str, Lease], day: BusinessDate, reason: str) -> list[Row]:
    rows: list[Row] = []
    faults: list[str] = []
    for of, layers in LAKE_LAYERS.items():
        with ExitStack() as frame:
            run = frame.enter_context(opened(lakehouse, of, day, reason=reason, lease=leases[of]))
            for layer in layers:
                for table, published in run.restore(layer, lakehouse.ledger.published(layer)).items():
                    try:
                        rows.append(
                            _cleaned(lakehouse, layer, published, _compacted(run, layer, published), dry_run=False)
                        )
                    except StoreError as e:
                        faults.append(str(e))
                        log.warning("maintain.table", layer=layer, table=table, message=str(e))
            with run.lease.transaction() as cursor:
                lakehouse.ledger.close(cursor, run.record, "maintained", f"{len(rows)} tables looked through")
            mark(lakehouse, run.record, layers)
    if faults:
        raise StoreError("; ".join(faults))
    return rows


def _compacted(run: OpenRun, layer: str, published: Published) -> int:
    """Joins the files of a table where a partition has many; returns the version with the published content."""
    lake, table = run.lakehouse.lake, published.table
    files = lake.read(layer, table, published.version).inputFiles()
    if max(Counter(f.rsplit("/", 1)[0] for f in files).values(), default=0) <= FEW_FILES:
        return published.version
    version = lake.compact(layer, table).version
    if version != published.version:
        with run.lease.transaction() as cursor:
            run.lakehouse.ledger.renumber(cursor, layer, table, published.version, version)
    return version


def _cleaned(lakehouse: Lakehouse, layer: str, published: Published, version: int, *, dry_run: bool) -> Row:
    """Deletes what no version that is kept needs."""
    lake, retention, table = lakehouse.lake, lakehouse.settings.retention, published.table
    held = lake.log(layer, table)
    kept = lakehouse.ledger.kept_versions(layer, retention).get(table, set())
    # What was published once and cannot be loaded any more is not kept by keeping more; the pointer must be loadable.
    keep = {v for v in kept if held.loadable(v)} | {version}
    files = vacuum(lake, layer, table, retention.total_seconds() / 3600, keep, dry_run=dry_run)
    entries = clean_log(lake, layer, table, _oldest(lakehouse, layer, table, keep), dry_run=dry_run)
    return {"layer": layer, "table": table, "files": files.files, "log_entries": entries.files,
            "bytes_before": files.bytes_before + entries.bytes_before,
            "bytes_after": files.bytes_after + entries.bytes_after}  # fmt: skip


def _oldest(lakehouse: Lakehouse, layer: str, table: str, keep: set[int]) -> int:
    """The oldest version that readers may still ask for: kept, or younger than the retention."""
    since = datetime.now(UTC) - lakehouse.settings.retention
    held = lakehouse.lake.log(layer, table)
    recent = [c.version for c in lakehouse.lake.commits(layer, table, -1)
              if c.timestamp >= since and held.loadable(c.version)]  # fmt: skip
    return min([*keep, *(max(v - 1, 0) for v in recent[:1] if held.loadable(max(v - 1, 0))), *recent])


def _results_and_pages(
    lakehouse: Lakehouse, reason: str, rows: list[Row], *, dry_run: bool
) -> list[Row]:  # fmt: skip
    """Results of rules and pages that are older than the retention; why, and what was deleted, is written down."""
    ledger, retention = lakehouse.ledger, lakehouse.settings.retention
    if dry_run:
        results, pages = ledger.old_results(retention), lakehouse.pages.older_than(datetime.now(UTC) - retention)
    else:
        with ledger.database.connection() as connection, connection.cursor() as cursor:
            results = ledger.forget_quality(cursor, retention)
            ledger.record_action(cursor, "maintain", reason, rows, who())
        try:
            pages = lakehouse.pages.forget(datetime.now(UTC) - retention)
        except (LakehouseError, OSError) as e:
            log.warning("maintain.pages", message=str(e) if isinstance(e, LakehouseError) else type(e).__name__)
            pages = 0
    return [_row("ledger", "quality_results", results), _row("pages", "runs", pages)]


def _row(layer: str, table: str, count: int) -> Row:
    return {"layer": layer, "table": table, "files": count, "log_entries": 0, "bytes_before": None, "bytes_after": None}

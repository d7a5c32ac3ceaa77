"""Maintain: small files are joined, and what nobody needs any more is deleted: data files, log entries, results, pages.

Kept is what is published, was published within LAKEHOUSE_RETENTION, is pinned, or holds bronze that a rewind set aside.
Rows of runs stay for good.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from lakehouse import log
from lakehouse.business_date import BusinessDate
from lakehouse.errors import LakehouseError, StoreError
from lakehouse.frame.restore import mark
from lakehouse.frame.run import OpenRun, opened
from lakehouse.lake.maintain import clean_log, reading, recent_versions, vacuum
from lakehouse.ledger.lease import Lease
from lakehouse.parts import Lakehouse
from lakehouse.records import RUNS_OF, Published, Row
from lakehouse.upkeep.locks import locked, who

# More files than this in one partition are joined; fewer cost a reader less than joining them each night.
FEW_FILES = 8


@dataclass(frozen=True)
class Kept:
    """Versions of a layer's tables beside the published ones: what `must` be readable, and what stays if it still is.

    `must`: pinned, or holding what a rewind set aside. `may`: published within the retention.
    """

    must: Mapping[str, set[int]]
    may: Mapping[str, set[int]]


def maintain(lakehouse: Lakehouse, *, dry_run: bool = False, reason: str = "maintenance") -> list[Row]:
    """Does, or with `dry_run` tells, what there is to do: a row per table, with bytes before and after.

    Raises BusyError where a run is at work, and StoreError for tables that could not be looked through, once everything
    else was done and written down. A dry run warns of them.
    """
    with locked(lakehouse) as leases:
        last = lakehouse.ledger.last("bronze")
        if last is None:
            return []
        day = BusinessDate(last.as_of, lakehouse.settings.zone)
        rows, faults, stopped = list[Row](), list[str](), None
        try:
            for found in _planned(lakehouse) if dry_run else _done(lakehouse, leases, day, reason):
                if isinstance(found, StoreError):
                    faults.append(str(found))
                else:
                    rows.append(found)
        except LakehouseError as e:
            # Of no single table: the tables after it wait, and what was deleted before it is written down all the same.
            stopped = e
            if not rows:
                raise
        rows += _results_and_pages(lakehouse, reason, rows, dry_run=dry_run)
        if stopped:
            raise stopped
        if faults and not dry_run:
            raise StoreError("; ".join(faults))
        return rows


def _planned(lakehouse: Lakehouse) -> Iterator[Row | StoreError]:
    with lakehouse.lake.answering():
        for layer in RUNS_OF:
            kept = _kept(lakehouse, layer)
            for published in lakehouse.ledger.published(layer).values():
                yield _looked_through(lakehouse, layer, published, kept, None)


def _done(
    lakehouse: Lakehouse, leases: Mapping[str, Lease], day: BusinessDate, reason: str
) -> Iterator[Row | StoreError]:
    for of in dict.fromkeys(RUNS_OF.values()):
        layers = [layer for layer, its in RUNS_OF.items() if its == of]
        with opened(lakehouse, of, day, reason=reason, lease=leases[of]) as run:
            run.enter_lake()
            tables = 0
            for layer in layers:
                kept = _kept(lakehouse, layer)
                for published in lakehouse.ledger.published(layer).values():
                    found = _looked_through(lakehouse, layer, published, kept, run)
                    tables += not isinstance(found, StoreError)
                    yield found
            with run.lease.transaction() as cursor:
                lakehouse.ledger.close(cursor, run.record, "maintained", f"{tables} tables looked through")
            mark(lakehouse, run.record, layers)


def _looked_through(
    lakehouse: Lakehouse, layer: str, published: Published, kept: Kept, run: OpenRun | None
) -> Row | StoreError:
    """What was done to one table, or without a run would be; where it is faulty, its fault, and the others follow."""
    try:
        with reading(lakehouse.lake, layer, published.table):
            version = _compacted(run, layer, published.table) if run else published.version
            return _cleaned(lakehouse, layer, published.table, version, kept, dry_run=run is None)
    except StoreError as e:
        log.warning("maintain.table", layer=layer, table=published.table, message=str(e))
        return e


def _compacted(run: OpenRun, layer: str, table: str) -> int:
    """Joins the files of a table where a partition has many; returns the version with the published content."""
    lake, published = run.lakehouse.lake, run.restore(layer, [table])[table]
    files = lake.read(layer, table, published.version).inputFiles()
    if max(Counter(f.rsplit("/", 1)[0] for f in files).values(), default=0) <= FEW_FILES:
        return published.version
    version = lake.compact(layer, table, published.version).version
    if version != published.version:
        with run.lease.transaction() as cursor:
            run.lakehouse.ledger.renumber(cursor, layer, table, published.version, version)
    return version


def _kept(lakehouse: Lakehouse, layer: str) -> Kept:
    ledger = lakehouse.ledger
    return Kept(ledger.needed_versions(layer), ledger.kept_versions(layer, lakehouse.settings.retention))


def _cleaned(lakehouse: Lakehouse, layer: str, table: str, version: int, kept: Kept, *, dry_run: bool) -> Row:
    """Deletes what no version that is kept needs."""
    lake = lakehouse.lake
    held, since = lake.log(layer, table), datetime.now(UTC) - lakehouse.settings.retention
    must = {version, *kept.must.get(table, ())}
    # What was published once and cannot be loaded any more is not kept by keeping more.
    may = {v for v in kept.may.get(table, ()) if held.loadable(v)}
    recent = recent_versions(lake, layer, table, since)
    files = vacuum(lake, layer, table, must, recent, may, dry_run=dry_run)
    entries = clean_log(lake, layer, table, min(must | may | {*recent.versions}), dry_run=dry_run)
    return {"layer": layer, "table": table, "files": files.files, "log_entries": entries.files,
            "bytes_before": files.bytes_before + entries.bytes_before,
            "bytes_after": files.bytes_after + entries.bytes_after}  # fmt: skip


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

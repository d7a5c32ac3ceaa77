"""What a rewind took out of bronze is kept, and comes back by itself when a run reaches its day again.

Bronze is an archive: the source has overwritten images since that nobody can read there any more. So the rows come from
the version that still holds them, with the windows and the snapshot of the run that once brought them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from psycopg2.extensions import cursor as Cursor
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse import log
from lakehouse.business_date import BusinessDate
from lakehouse.contracts.types import spark_type
from lakehouse.frame.run import OpenRun, opened
from lakehouse.layers.extract import types_of, widen
from lakehouse.ledger.past import Aside
from lakehouse.parts import Lakehouse
from lakehouse.records import PARTITION, Finding, Outcome, Published, TableRun
from lakehouse.source.drift import widened


def bring_back(lakehouse: Lakehouse, day: BusinessDate, *, reason: str | None = None) -> Outcome | None:
    """Publishes the bronze runs that a rewind set aside and that a day needs again; None where there are none.

    Raises GateError where not every row came back.
    """
    ledger = lakehouse.ledger
    if not ledger.aside(day.day, day.end):
        return None
    with opened(lakehouse, "bronze", day, reason=reason) as run:
        aside = ledger.aside(day.day, day.end)
        if not aside:
            return run.cover("another run has brought back what a rewind had set aside")
        # Also of tables whose contract was taken away since: the archive keeps them.
        contracts = lakehouse.contracts["bronze"]
        published = run.restore("bronze", {**contracts, **{a.table: None for a in aside}})
        heads = {a.table: published[a.table].version if a.table in published else lakehouse.lake.head("bronze", a.table)
                 for a in aside}  # fmt: skip
        tables = [TableRun(t, _brought(run, t, head, [a for a in aside if a.table == t])) for t, head in heads.items()]
        ids = list(dict.fromkeys(a.run_id for a in aside))

        def put_back(cursor: Cursor) -> None:
            ledger.put_back(cursor, ids)
            ledger.add_up(cursor, ["bronze"])

        rows = sum(a.rows for a in aside)
        shapes = {"bronze": {t.table: shape_of(lakehouse, published, t.table) for t in tables}}
        message = f"{rows:,} rows of {len(ids)} runs that a rewind had set aside"
        return run.publish({"bronze": tables}, shapes, message, also=put_back)


def shape_of(lakehouse: Lakehouse, published: Mapping[str, Published], table: str) -> dict[str, str]:
    """The shape of a bronze table by its contract; where that was taken away, as it was last published, if it was."""
    if contract := lakehouse.contracts["bronze"].get(table):
        return contract.shape
    return published[table].shape if table in published else {}


def _brought(run: OpenRun, table: str, head: int | None, aside: Iterable[Aside]) -> int:
    """Appends a table's rows of runs that were set aside to the version that was restored; returns the head."""
    lake, expected, found = run.lakehouse.lake, 0, 0
    by_version: dict[int, list[Aside]] = {}
    for one in aside:
        by_version.setdefault(one.version, []).append(one)
    assert head is not None  # noqa: S101 - what was set aside was published, and its table is there
    for version, runs in sorted(by_version.items()):
        rows = lake.read("bronze", table, version).where(F.col("_run_id").isin([a.run_id for a in runs]))
        expected += (wanted := sum(a.rows for a in runs))
        if wanted:
            rows, head = _fit(run.lakehouse, table, rows, head)
            commit = lake.append(rows, "bronze", table, PARTITION, head)
            head, found = commit.version, found + commit.rows
    missing = abs(expected - found)
    run.find([Finding("bronze", table, "rows_set_aside_come_back", "critical", not missing, missing, expected)])
    log.event("bronze.brought_back", table=table, rows=found)
    return head


def _fit(lakehouse: Lakehouse, table: str, rows: DataFrame, head: int) -> tuple[DataFrame, int]:
    """Rows in the types of the table that they come back to, and its head: widened first where it is too narrow for them.

    So it is where the source's column was widened on a day that the rewind has taken back.
    """
    held = types_of(lakehouse.lake.read("bronze", table, head))
    fit = {n: widened(held[n], kind) for n, kind in types_of(rows).items() if held.get(n, kind) != kind}
    wide = {n: kind for n, kind in fit.items() if kind}
    head = widen(lakehouse, table, head, {n: kind for n, kind in wide.items() if kind != held[n]})
    return rows.withColumns({n: F.col(n).cast(spark_type(kind)) for n, kind in wide.items()}), head

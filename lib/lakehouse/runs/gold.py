"""Gold: six tables computed from the published silver, staged, verified, and published in one transaction."""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date, timedelta
from graphlib import CycleError, TopologicalSorter
from zlib import crc32

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from lakehouse import log
from lakehouse.business_date import BusinessDate
from lakehouse.conform import conformed, warning_columns
from lakehouse.contracts import Contract
from lakehouse.errors import ConfigError, LedgerError
from lakehouse.gate.findings import raise_if_critical
from lakehouse.records import Finding, Outcome, Published, TableRun
from lakehouse.wiring import Lakehouse

# The net sales of all orders neither pending nor cancelled, by three tables' own sums: they agree to the last digit.
ROLL_UPS = {
    "fact_daily_sales": "net_sales",
    "fact_customer_orders": "case when is_sale then net_amount end",
    "dim_customers": "lifetime_net_sales",
}


def aggregate(house: Lakehouse, day: BusinessDate, *, rebuilds: bool = False) -> Outcome:
    """Publishes gold from what silver has published, as of the greatest business date so far.

    Raises LedgerError where silver has not published the day, GateError where a critical rule fails.
    """
    silver, last = house.ledger.published("silver"), house.ledger.last("gold")
    silver_run = house.ledger.last("silver")
    if silver_run is None or silver_run["as_of"] < day.day:
        raise LedgerError(f"silver has not published {day} yet; run: lakehouse run silver --date {day}")
    as_of = max(day.day, last["as_of"]) if last else day.day
    shapes = {t: c.shape for t, c in house.contracts["gold"].items()}
    inputs = {**{t: p.version for t, p in silver.items()}, "as_of": as_of.toordinal(),
              "contracts": crc32(json.dumps(shapes, sort_keys=True).encode())}  # fmt: skip
    if last and last["inputs"] == inputs and not rebuilds:
        house.gold.refresh_marts(str(last["run_id"]))
        return Outcome("gold", day.day, str(last["run_id"]), "covered",
                       f"{day} was already published ({last['run_id']})", 0.0)  # fmt: skip
    with house.ledger.run("gold", day.day, rebuilds=rebuilds) as run, house.recorded(run) as findings:
        published = house.ledger.published("gold")
        for table, contract in house.contracts["gold"].items():
            house.check_shape(contract, None if rebuilds else published.get(table))
        house.gold.prepare()
        frames, totals = _staged(house, silver, as_of, findings)
        findings += _roll_ups(frames, totals)
        raise_if_critical(findings)
        with house.gold_database.connection() as connection, connection.cursor() as cursor:
            if rebuilds:
                changed = [
                    t for t, p in published.items() if any(shapes.get(t, {}).get(n) != k for n, k in p.shape.items())
                ]
                house.gold.remake(cursor, changed)
            changes = house.gold.publish(cursor, run.run_id)
            done = [
                TableRun(t, (published[t].version if t in published else 0) + 1, totals[t]["rows"], totals[t]["rows"],
                         rows_displaced=changes[t].updated + changes[t].deleted)
                for t in frames
            ]  # fmt: skip
            house.ledger.publish(cursor, run, {"gold": done}, {"gold": shapes}, inputs=inputs)
        house.gold.settle(changes)
        house.gold.refresh_marts(run.run_id)
    rows_changed = sum(c.inserted + c.updated + c.deleted for c in changes.values())
    message = f"{sum(t.rows_kept for t in done):,} rows in {len(done)} tables, {rows_changed:,} of them changed"
    return Outcome("gold", day.day, run.run_id, "published", message, 0.0, done)


def _staged(
    house: Lakehouse, silver: Mapping[str, Published], as_of: date, findings: list[Finding]
) -> tuple[dict[str, DataFrame], dict[str, Row]]:
    """Computes, stages and gates every table, several at a time, each when those its transform asks for by name are there.

    A table built on another is given its computed, still wide frame: sums are narrowed once, when they are published.
    """
    contracts, before = house.contracts["gold"], house.ledger.last_rows("gold")
    transforms = {name: importlib.import_module(f"lakehouse.gold.{name}").transform for name in contracts}
    asked = {name: list(inspect.signature(transform).parameters) for name, transform in transforms.items()}
    try:
        TopologicalSorter({name: set(names) & asked.keys() for name, names in asked.items()}).prepare()
    except CycleError as e:
        raise ConfigError(f"gold's transforms ask for each other in a circle: {', '.join(e.args[1])}") from None
    wide: dict[str, Future[DataFrame]] = {name: Future() for name in contracts}

    def argument(name: str) -> DataFrame | date:
        if name == "business_date":
            return as_of
        return wide[name].result() if name in wide else house.frame("silver", name, silver.get(name))

    def table(name: str) -> tuple[DataFrame, Row, list[Finding]]:
        contract, transform = contracts[name], transforms[name]
        try:
            computed = transform(*(argument(a) for a in asked[name]))
            wide[name].set_result(computed.localCheckpoint(eager=False))
        except BaseException as e:
            wide[name].set_exception(e)
            raise
        frame = conformed(wide[name].result(), contract)
        totals = _totals(contract, frame)
        _load(house, contract, frame, totals)
        parameters = {"previous_rows": before.get(name), "next_date": as_of + timedelta(days=1)}
        return frame, totals, _checked(house, contract, frame, totals, parameters)

    with ThreadPoolExecutor(len(contracts)) as pool:
        tables = dict(zip(contracts, pool.map(table, contracts), strict=True))
    for _, _, found in tables.values():
        findings += found
    return {n: frame for n, (frame, _, _) in tables.items()}, {n: totals for n, (_, totals, _) in tables.items()}


def _totals(contract: Contract, frame: DataFrame) -> Row:
    """Rows, sums of every numeric column, warnings: one pass, the frame's first read."""
    summed = [c for c in contract.columns if c.numeric or c.type in ("integer", "bigint")]
    row = frame.agg(
        F.count(F.lit(1)).alias("rows"),
        *(F.sum(c.name).alias(c.name) for c in summed),
        *(F.count(F.when(F.col(w), 1)).alias(w) for w in warning_columns(frame)),
    ).first()
    assert row is not None  # noqa: S101 - an aggregate has one row
    return row


def _load(house: Lakehouse, contract: Contract, frame: DataFrame, totals: Row) -> None:
    house.gold.stage(frame, contract, totals["rows"])
    house.gold.verify(contract, {n: v for n, v in totals.asDict().items() if not n.startswith("_")})
    log.event("gold.staged", table=contract.table, rows=totals["rows"])


def _checked(
    house: Lakehouse, contract: Contract, frame: DataFrame, totals: Row, parameters: dict[str, int | date | None]
) -> list[Finding]:
    """The gate of one table: the suite, and the counted warnings."""
    rows = totals["rows"]
    return [
        *house.gate.check(contract, house.suites["gold"][contract.table], frame, rows, parameters),
        *(
            Finding("gold", contract.table, w.removeprefix("_warn_"), "warning", totals[w] == 0, totals[w], rows)
            for w in warning_columns(frame)
        ),
    ]


def _roll_ups(frames: dict[str, DataFrame], totals: dict[str, Row]) -> list[Finding]:
    """Holds the three roll-ups against each other; a sum that did not fit its type (warned of) cannot be compared."""
    if any(totals[t][w] for t in ROLL_UPS for w in totals[t].asDict() if w.endswith("_out_of_range")):
        return []
    sums = {t: frames[t].agg(F.coalesce(F.sum(F.expr(e)), F.lit(0))).first() for t, e in ROLL_UPS.items()}
    first, *others = (row[0] for row in sums.values() if row is not None)
    return [
        Finding(
            "gold",
            table,
            "net_sales_agree_with_fact_daily_sales",
            "critical",
            other == first,
            int(other != first),
            None,
        )
        for table, other in zip(list(ROLL_UPS)[1:], others, strict=True)
    ]

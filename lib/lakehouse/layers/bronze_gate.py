"""The gate of bronze: what a run wrote of a table, held against the source's own counts, its keys and its suite."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.business_date import BusinessDate
from lakehouse.contracts import Contract
from lakehouse.parts import Lakehouse
from lakehouse.records import Finding, Severity, Window
from lakehouse.source.windows import CREATED, mark_column


def check(
    lakehouse: Lakehouse,
    day: BusinessDate,
    contract: Contract,
    window: Window,
    frame: DataFrame,
    expected: int | None,
    outside: int,
) -> list[Finding]:
    """Judges what a run wrote of a table: counts against the source, keys, and the suite.

    `expected`: rows by the source's own count, None where that says nothing; `outside`: rows outside every window.
    """
    null_key = F.greatest(*(F.col(k).isNull().cast("int") for k in contract.key), F.lit(0))
    row = frame.agg(
        F.count(F.lit(1)).alias("rows"),
        F.sum(null_key).alias("null_keys"),
        F.countDistinct(*contract.key).alias("keys"),
        F.count("_not_representable").alias("unfit"),
        F.count(F.when(_too_late(contract, window), True)).alias("too_late"),
    ).first()
    assert row is not None  # noqa: S101 - an aggregate has one row
    rows, null_keys = row["rows"], row["null_keys"] or 0
    keys: Severity = "critical" if contract.key_enforced else "warning"

    def finding(rule: str, severity: Severity, unexpected: int) -> Finding:
        return Finding("bronze", contract.table, rule, severity, unexpected == 0, unexpected, rows)

    # The suite knows no rows that were made before the window's end and touched since, so the rule is counted here.
    touched, bound = window.touched_since, None if window.touched_since else day.next
    return [
        *([] if expected is None else [finding("row_count_matches_source", "critical", abs(rows - expected))]),
        finding("key_not_null", keys, null_keys),
        finding("key_unique", keys, rows - null_keys - row["keys"]),
        finding("values_representable", "warning", row["unfit"]),
        finding("updated_at_in_a_window", "warning", outside),
        *([finding("stamped_after_window", "critical", row["too_late"])] if touched else []),
        *lakehouse.gate.check(contract, lakehouse.suites["bronze"][contract.table], frame, rows, {"next_date": bound}),
    ]


def _too_late(contract: Contract, window: Window) -> Column:
    """Whether a row is stamped after its window though it was not there before the window's end."""
    end = F.lit(window.end)
    made_later = F.col(CREATED) >= end if CREATED in contract.names else F.lit(True)
    return (F.col(mark_column(contract)) >= end) & made_later

"""The gate of bronze: what a run wrote of a table, held against the source's own counts, its keys and its suite."""

from __future__ import annotations

import operator
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.business_date import BusinessDate
from lakehouse.contracts import Contract
from lakehouse.gate.measures import count
from lakehouse.gate.rules import ROWS
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
    # The suite knows no rows that were made before the window's end and touched since, so the rule is counted here.
    touched, bound = window.touched_since, None if window.touched_since else day.next
    suite, gate = lakehouse.suites["bronze"][contract.table], lakehouse.gate
    measures = gate.measures(contract, suite, frame.columns, {"next_date": bound})
    counts = count(frame, measures, {
        "null_keys": F.count_if(reduce(operator.or_, (F.col(k).isNull() for k in contract.key))),
        "keys": F.countDistinct(*contract.key),
        "unfit": F.count("_not_representable"),
        "too_late": F.count_if(_too_late(contract, window)),
    })  # fmt: skip
    rows = counts[ROWS]
    keys: Severity = "critical" if contract.key_enforced else "warning"

    def finding(rule: str, severity: Severity, unexpected: int) -> Finding:
        return Finding("bronze", contract.table, rule, severity, unexpected == 0, unexpected, rows)

    return [
        *([] if expected is None else [finding("row_count_matches_source", "critical", abs(rows - expected))]),
        finding("key_not_null", keys, counts["null_keys"]),
        finding("key_unique", keys, rows - counts["null_keys"] - counts["keys"]),
        finding("values_representable", "warning", counts["unfit"]),
        finding("updated_at_in_a_window", "warning", outside),
        *([finding("stamped_after_window", "critical", counts["too_late"])] if touched else []),
        *gate.judge(measures, frame, counts),
    ]


def _too_late(contract: Contract, window: Window) -> Column:
    """Whether a row is stamped after its window though it was not there before the window's end."""
    end = F.lit(window.end)
    made_later = F.col(CREATED) >= end if CREATED in contract.names else F.lit(True)
    return (F.col(mark_column(contract)) >= end) & made_later

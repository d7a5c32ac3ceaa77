"""The gate of bronze: what a run wrote of a table, held against the source's own counts, its keys and its suite.

Rows are counted on their way into the lake. Only keys that no index of the source keeps unique are read again.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.business_date import BusinessDate
from lakehouse.contracts import Contract
from lakehouse.gate.measures import Measures, observed
from lakehouse.gate.rules import ROWS
from lakehouse.judging.tombstones import images
from lakehouse.parts import Lakehouse
from lakehouse.records import Commit, Finding, Severity, Window
from lakehouse.source.windows import CREATED, mark_column

# A handful of deletes is nobody's alarm, whatever share of a small table they are.
FEW_KEYS = 100


@dataclass(frozen=True)
class Seen:
    """What was counted of the rows that a run brought of a table; of the frame only its columns matter."""

    frame: DataFrame
    measures: Measures
    counts: Mapping[str, Any]


def counted_write(
    lakehouse: Lakehouse,
    day: BusinessDate,
    contract: Contract,
    window: Window,
    frame: DataFrame,
    write: Callable[[DataFrame], Commit],
) -> tuple[Commit, Seen]:
    """Writes the rows that a run brings of a table, and counts them as they pass. Raises what `write` raises."""
    measures, also = _measures(lakehouse, day, contract, window, frame)
    commit, counts = observed(frame, measures, also, write)
    return commit, Seen(frame, measures, counts)


def of_no_rows(lakehouse: Lakehouse, day: BusinessDate, contract: Contract, window: Window, frame: DataFrame) -> Seen:
    """What is counted of a window without rows, by the source's own count: all of it is 0, and nothing is read."""
    measures, also = _measures(lakehouse, day, contract, window, frame)
    return Seen(frame, measures, dict.fromkeys((*measures.aggregates, *also), 0))


def _measures(
    lakehouse: Lakehouse, day: BusinessDate, contract: Contract, window: Window, frame: DataFrame
) -> tuple[Measures, dict[str, Column]]:
    """What the suite must know of the rows, and what is counted beside it."""
    # The suite knows no rows that were made before the window's end and touched since, so the rule is counted here.
    bound = None if window.touched_since else day.next
    suite, gate = lakehouse.suites["bronze"][contract.table], lakehouse.gate
    measures = gate.measures(contract, suite, frame.columns, {"next_date": bound})
    return measures, {
        "null_keys": F.count_if(_lacks_key(contract)),
        "unfit": F.count("_not_representable"),
        "too_late": F.count_if(_too_late(contract, window)),
    }


def doubled(contract: Contract, written: DataFrame) -> int:
    """Rows too many of a key, among those that a run has written; a row without a key is none of them."""
    keyed = images(written).where(~_lacks_key(contract))
    row = keyed.agg(F.count(F.lit(1)).alias("rows"), F.countDistinct(*contract.key).alias("keys")).first()
    assert row is not None  # noqa: S101 - an aggregate has one row
    return int(row["rows"] - row["keys"])


def check(
    lakehouse: Lakehouse,
    contract: Contract,
    window: Window,
    seen: Seen,
    added: int,
    expected: int | None,
    outside: int,
    doubled: int,
) -> list[Finding]:
    """Judges what a run wrote of a table: counts against the source, keys, and the suite.

    `added`: rows by the commit's own count; `expected`: by the source's, None where that says nothing; `outside`: rows
    outside every window; `doubled`: rows too many of a key.
    """
    counts, rows = seen.counts, seen.counts[ROWS]
    sent = rows if expected is None else expected
    keys: Severity = "critical" if contract.key_enforced else "warning"

    def finding(rule: str, severity: Severity, unexpected: int) -> Finding:
        return Finding("bronze", contract.table, rule, severity, unexpected == 0, unexpected, rows)

    return [
        # Of what was sent, what passed, and what the commit says it holds, no two may differ.
        finding("row_count_matches_source", "critical", max(sent, rows, added) - min(sent, rows, added)),
        finding("key_not_null", keys, counts["null_keys"]),
        finding("key_unique", keys, doubled),
        finding("values_representable", "warning", counts["unfit"]),
        finding("updated_at_in_a_window", "warning", outside),
        *([finding("stamped_after_window", "critical", counts["too_late"])] if window.touched_since else []),
        *lakehouse.gate.judge(seen.measures, seen.frame, counts),
    ]


def _lacks_key(contract: Contract) -> Column:
    return reduce(operator.or_, (F.col(k).isNull() for k in contract.key))


def _too_late(contract: Contract, window: Window) -> Column:
    """Whether a row is stamped after its window though it was not there before the window's end."""
    end = F.lit(window.end)
    made_later = F.col(CREATED) >= end if CREATED in contract.names else F.lit(True)
    return (F.col(mark_column(contract)) >= end) & made_later


def too_many_gone(lakehouse: Lakehouse, gone: int, held: int) -> bool:
    """Whether so many keys of a table are gone that a person must let them through."""
    return gone > FEW_KEYS and gone > lakehouse.settings.max_deleted_share * held


def deleted_share(table: str, gone: int, held: int, *, refused: bool) -> Finding:
    """Of the keys that are held, those that are gone: only what a person must let through breaks the rule."""
    return Finding("bronze", table, "deleted_share", "critical", not refused, gone, held)

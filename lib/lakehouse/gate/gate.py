"""The gate: a table's suite and what follows from its contract, run on a frame that the day already holds.

A check costs one Spark query, however many rules: rules over several columns are rules over one working column, and no
rule fetches a value, so that none can reach a result, a page or a log. Nothing here shuffles: uniqueness is the pipeline's.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.contracts import Contract
from lakehouse.gate.great_expectations import NativeRule, Validation
from lakehouse.gate.late import Late
from lakehouse.judging.suites import Suite, WorkingColumn
from lakehouse.records import Finding, Severity

# Columns a table has beside its contract's when its gate sees it.
TECHNICAL: Mapping[str, tuple[str, ...]] = {
    "bronze": ("_ingested_at", "_source_system", "_run_id", "_not_representable", "year", "month", "day"),
    "silver": (),
    "gold": (),
}


class Gate:
    """One per process. Checks frames, and keeps what Great Expectations said for the pages of the run."""

    def __init__(self) -> None:
        self._great_expectations = Late()
        self._lock = threading.Lock()
        self._validations: dict[str, dict[str, Validation]] = {}

    def warm(self) -> None:
        """Starts importing Great Expectations in the background: it takes seconds that the first check need not wait."""
        self._great_expectations.start()

    def check(
        self,
        contract: Contract,
        suite: Suite,
        frame: DataFrame,
        rows: int,
        parameters: Mapping[str, int | date | None],
    ) -> list[Finding]:
        """Judges a (cached) frame, of which the caller has counted the rows; one finding a rule. Raises LakehouseError where a rule could not be computed.

        `parameters` as in expectations.PARAMETERS; rules that need one which is absent or None are left out.
        """
        given = {name: value for name, value in parameters.items() if value is not None}
        rules = [*structural(contract), *_business(suite, given)]
        columns = [c for c in (*contract.names, *TECHNICAL[contract.layer]) if c in frame.columns]
        working = {name: w for name, w in suite.working_columns.items() if w.names <= set(columns)}
        # Where a column is missing the rule `columns` says so, better than each rule that needs it.
        rules = [rule for rule in rules if rule.columns <= {*columns, *working}]
        narrow = _narrowed(frame, columns, working, {c for rule in rules for c in rule.columns})
        validation = self._great_expectations.get().validate(contract.id, narrow, rows, rules, given)
        found = [Finding(contract.layer, contract.table, **vars(counted)) for counted in validation.counted]
        with self._lock:
            self._validations.setdefault(contract.layer, {})[contract.table] = validation
        return found

    def pages(self, run_id: str, layer: str) -> dict[str, str]:
        """Great Expectations' page of each table that the layer's run checked, as HTML; lets go of what it held for them."""
        with self._lock:
            validations = self._validations.pop(layer, {})
        return self._great_expectations.get().pages(run_id, validations) if validations else {}


def structural(contract: Contract) -> list[NativeRule]:
    """What a contract promises and can be counted without a shuffle. Types are kept by conform, quarantine by silver."""
    columns = {"column_set": [*contract.names, *TECHNICAL[contract.layer]], "exact_match": False}
    why = "Every column of the contract is there."
    rules = [NativeRule("expect_table_columns_to_match_set", columns, "columns", "critical", why)]
    if contract.layer == "bronze":
        severity: Severity = "critical" if contract.key_enforced else "warning"
        rules += [_not_null(part, severity, "A row without a key goes to quarantine.") for part in contract.key]
    if contract.layer == "gold":
        required = [c.name for c in contract.columns if c.primary_key or (c.required and not c.derived)]
        rules += [_not_null(name, "critical", "The contract requires a value.") for name in required]
        rules += [_among(c.name, c.allowed_values) for c in contract.columns if c.allowed_values]
    return rules


def _not_null(column: str, severity: Severity, why: str) -> NativeRule:
    return NativeRule("expect_column_values_to_not_be_null", {"column": column}, f"{column}_null", severity, why)


def _among(column: str, values: Iterable[str]) -> NativeRule:
    kwargs: dict[str, Any] = {"column": column, "value_set": list(values)}
    why = "The contract lists the values."
    return NativeRule("expect_column_values_to_be_in_set", kwargs, f"{column}_not_allowed", "critical", why)


def _business(suite: Suite, given: Mapping[str, object]) -> list[NativeRule]:
    return [
        NativeRule(e.type, e.native_kwargs, e.rule, e.severity, e.notes)
        for e in suite.expectations
        if e.parameters <= given.keys()
    ]


def _narrowed(
    frame: DataFrame, columns: Iterable[str], working: Mapping[str, WorkingColumn], needed: set[str]
) -> DataFrame:
    """What rules look at, and of the other columns only the names."""
    given = [F.col(c) if c in needed else F.lit(None).cast("boolean").alias(c) for c in columns]
    computed = [F.expr(w.typed_sql).alias(name) for name, w in working.items() if name in needed]
    return frame.select(*given, *computed)

"""The gate: a table's suite and what follows from its contract, run on a frame that the day already holds.

A check costs no query of its own: it says what must be counted, the caller counts that in a query that it makes anyway,
and Great Expectations judges the numbers. Rules over several columns are rules over one computed column, and no rule fetches
a value, so that none can reach a result, a page or a log. Nothing here shuffles: uniqueness is the pipeline's.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from pyspark.sql import DataFrame

from lakehouse.contracts import Contract
from lakehouse.gate.great_expectations import Validation
from lakehouse.gate.late import Late
from lakehouse.gate.measures import Measures, aggregates
from lakehouse.gate.rules import NativeRule
from lakehouse.judging.suites import Suite
from lakehouse.records import PARTITION, Finding, Severity

# Columns a table has beside its contract's when its gate sees it.
TECHNICAL: Mapping[str, tuple[str, ...]] = {
    "bronze": ("_ingested_at", "_source_system", "_run_id", "_not_representable", *PARTITION),
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

    def measures(
        self, contract: Contract, suite: Suite, columns: Sequence[str], parameters: Mapping[str, int | date | None]
    ) -> Measures:
        """What must be counted of a frame with these columns before it can be judged.

        `parameters` as in expectations.PARAMETERS; rules that need one which is absent or None are left out.
        """
        known = {name: value for name, value in parameters.items() if value is not None}
        rules = [*structural(contract), *_business(suite, known)]
        there = tuple(c for c in (*contract.names, *TECHNICAL[contract.layer]) if c in columns)
        computed = {name: w for name, w in suite.computed_columns.items() if w.names <= set(there)}
        # Where a column is missing the rule `columns` says so, better than each rule that needs it.
        rules = [rule for rule in rules if rule.columns <= {*there, *computed}]
        return Measures(contract, tuple(rules), there, tuple(computed), known, aggregates(rules, computed, known))

    def judge(self, measures: Measures, frame: DataFrame, counts: Mapping[str, Any]) -> list[Finding]:
        """One finding per rule, from what was counted; of the frame nothing is read but which columns it has."""
        contract = measures.contract
        validation = self._great_expectations.get().validate(
            contract.id, measures.shown(frame), measures.rules, measures.parameters, counts
        )
        with self._lock:
            self._validations.setdefault(contract.layer, {})[contract.table] = validation
        return [Finding(contract.layer, contract.table, **vars(counted)) for counted in validation.counted]

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


def _business(suite: Suite, parameters: Mapping[str, object]) -> list[NativeRule]:
    return [
        NativeRule(e.type, e.native_kwargs, e.rule, e.severity, e.notes)
        for e in suite.expectations
        if e.parameters <= parameters.keys()
    ]

"""What a check must know of a frame, as aggregates: they are counted while the frame is written or kept, by no query of
their own.

A rule over a null does not fire, unless it is about the null. Numbers are compared as the suite writes them: Great
Expectations holds each as a double, whose shortest decimal form is what the suite says.
"""

from __future__ import annotations

import operator
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import reduce
from typing import Any, TypeVar

from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, Observation
from pyspark.sql import functions as F

from lakehouse.contracts import Contract
from lakehouse.errors import LakehouseError
from lakehouse.gate.rules import ROWS, NativeRule, broken, nulls_of
from lakehouse.judging.suites import ComputedColumn

# Spark tells what it counted by a queue of events, which lets go of those that it cannot keep up with.
TOLD_WITHIN = 60.0
T = TypeVar("T")


@dataclass(frozen=True)
class Measures:
    """The rules of a check, the columns they look at, what the pipeline tells them, and the aggregates by name."""

    contract: Contract
    rules: tuple[NativeRule, ...]
    columns: tuple[str, ...]
    computed: tuple[str, ...]
    parameters: Mapping[str, int | date]
    aggregates: Mapping[str, Column]

    @property
    def named(self) -> list[Column]:
        """The aggregates, each under its name."""
        return [column.alias(name) for name, column in self.aggregates.items()]

    def shown(self, frame: DataFrame) -> DataFrame:
        """A frame without rows to look at: names are all that a judgement from counts needs."""
        names = (*self.columns, *self.computed)
        return frame.select(*(F.lit(None).cast("boolean").alias(name) for name in names))


def aggregates(
    rules: Iterable[NativeRule], computed: Mapping[str, ComputedColumn], parameters: Mapping[str, int | date]
) -> dict[str, Column]:
    """Rows, rows that break each rule, and nulls of each column that a rule looks at; one value each, never null."""

    def column(name: str) -> Column:
        return F.expr(computed[name].typed_sql) if name in computed else F.col(name)

    found = {ROWS: F.count(F.lit(1))}
    for rule in rules:
        looked_at = sorted(rule.columns)
        if not looked_at:
            continue  # a rule about the table, which needs its columns or its rows
        nulls = reduce(operator.or_, (column(name).isNull() for name in looked_at))
        found[nulls_of(*looked_at)] = F.count_if(nulls)
        found[broken(rule)] = F.count_if(_breaks(rule, column, parameters))
    return found


def observed(
    frame: DataFrame, measures: Measures, also: Mapping[str, Column], action: Callable[[DataFrame], T]
) -> tuple[T, dict[str, Any]]:
    """Carries out an action that reads a frame once and whole; what it returned, and what passed through it, by name.

    `also`: aggregates of the caller, without a distinct one. Raises what the action raises, and LakehouseError that names
    each rule which cannot be computed.
    """
    observation = Observation()
    try:
        named = (column.alias(name) for name, column in also.items())
        result = action(frame.observe(observation, *measures.named, *named))
    except PySparkException as e:
        raise _explained(frame, measures) or e from None
    return result, _told(observation, measures.contract)


def counted(frame: DataFrame, measures: Measures, also: Mapping[str, Column], by: str) -> dict[Any, dict[str, Any]]:
    """The same by a query of its own, for each value of a column: cheaper, where a frame is small and kept already."""
    named = (column.alias(name) for name, column in also.items())
    try:
        rows = frame.groupBy(by).agg(*measures.named, *named).collect()
    except PySparkException as e:
        raise _explained(frame, measures) or e from None
    return {row[by]: {name: value for name, value in row.asDict().items() if name != by} for row in rows}


def _told(observation: Observation, contract: Contract) -> dict[str, Any]:
    """What was counted. Raises LakehouseError where Spark does not say it, for which PySpark would wait for ever."""
    limit = time.monotonic() + TOLD_WITHIN
    assert observation._jo is not None  # noqa: S101 - it was given to a frame
    while not observation._jo.future().isCompleted():
        if time.monotonic() > limit:
            raise LakehouseError(f"{contract.id}: Spark did not say what it counted within {TOLD_WITHIN:.0f} s, so the rows "
                                 f"were not judged; run again")  # fmt: skip
        time.sleep(0.005)
    return observation.get


def _explained(frame: DataFrame, measures: Measures) -> LakehouseError | None:
    """Which rules cannot be computed, each tried by itself, in words without a value; None where it is not the rules."""
    faults = []
    if not _refused(frame, *measures.named) or _refused(frame, F.count(F.lit(1))):
        return None
    for rule in measures.rules:
        if broken(rule) in measures.aggregates and (e := _refused(frame, measures.aggregates[broken(rule)])):
            faults.append(f"{rule.name} ({e.getCondition()})" if e.getCondition() else rule.name)
    if not faults:
        return None
    name = measures.contract.id
    return LakehouseError(
        f"{name}: {len(faults)} rules could not be computed: {'; '.join(faults[:10])}. Compare "
        f"expectations/{name.replace('.', '/')}.json with the table's contract; the rows themselves were not judged"
    )


def _refused(frame: DataFrame, *aggregates: Column) -> PySparkException | None:
    """What Spark says against computing them, None where it computes them."""
    try:
        frame.agg(*aggregates).first()
    except PySparkException as e:
        return e
    return None


def _breaks(rule: NativeRule, column: Callable[[str], Column], parameters: Mapping[str, int | date]) -> Column:
    kwargs = rule.bound(parameters)
    kind = rule.type.removeprefix("expect_column_")
    if kind == "pair_values_a_to_be_greater_than_b":
        a, b = column(kwargs["column_A"]), column(kwargs["column_B"])
        return a < b if kwargs.get("or_equal") else a <= b
    value = column(kwargs["column"])
    match kind:
        case "values_to_not_be_null":
            return value.isNull()
        case "values_to_be_between":
            return _outside(value, kwargs)
        case "values_to_be_in_set":
            return ~value.isin(*kwargs["value_set"])
        case "values_to_not_be_in_set":
            return value.isin(*kwargs["value_set"])
        case "values_to_match_regex":
            return ~value.rlike(kwargs["regex"])
        case "values_to_not_match_regex":
            return value.rlike(kwargs["regex"])
        case _:
            raise LakehouseError(f"{rule.name}: the gate cannot count {rule.type}")


def _outside(value: Column, kwargs: Mapping[str, Any]) -> Column:
    low, high = _exact(kwargs.get("min_value")), _exact(kwargs.get("max_value"))
    conditions = []
    if low is not None:
        conditions.append(value <= low if kwargs.get("strict_min") else value < low)
    if high is not None:
        conditions.append(value >= high if kwargs.get("strict_max") else value > high)
    return reduce(operator.or_, conditions)


def _exact(bound: Any) -> Column | None:
    if isinstance(bound, float):
        bound = int(bound) if bound.is_integer() else Decimal(repr(bound))
    return None if bound is None else F.lit(bound)

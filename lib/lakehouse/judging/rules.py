"""Why a row goes to quarantine, each reason as a Spark column.

A reason is written once: in the contract (keys, references, allowed and required values) or, as an expectation with a
`reason`, in the suite. From there it becomes both the expectation that Great Expectations counts and the column below.
A rule over a null does not fire, unless it is about the null.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse import contracts
from lakehouse.contracts import Contract
from lakehouse.errors import ConfigError
from lakehouse.judging.expectations import Between, Expectation, Greater, InSet, NotInSet, Parameter
from lakehouse.judging.suites import Suite

# No index of Postgres holds a longer part of a key, with room for the other parts.
LONGEST_KEY_PART = 1000
NOT_REPRESENTABLE = "_not_representable"
HELD_PREFIX = "_held_"


@dataclass(frozen=True)
class Rule:
    """A reason, and where it holds: `fires` is true exactly where a row breaks the rule, else false, never null."""

    name: str
    fires: Column


def quarantine_rules(contract: Contract, suite: Suite) -> list[Rule]:
    """Every reason of a silver table: first those of its contract, then those of its suite.

    The columns expect a frame with the contract's columns, `_not_representable` (names of columns bronze could not hold)
    and `_held_<column>` for each column with a reference (true where silver holds the row it names).
    """
    found = [*_key_rules(contract), *_column_rules(contract)]
    found += [(e.rule, _breaks(e, suite)) for e in suite.reasoned]
    names = [name for name, _ in found]
    if repeated := sorted({n for n in names if names.count(n) > 1}):
        raise ConfigError(f"silver.{contract.table}: contract and suite both have a reason {', '.join(repeated)}")
    return [Rule(name, F.coalesce(fires, F.lit(False))) for name, fires in found]


def _key_rules(contract: Contract) -> Iterator[tuple[str, Column]]:
    parts = [F.col(part) for part in contract.key]
    yield "key_null", _any(part.isNull() for part in parts)
    yield "key_too_long", _any(F.coalesce(F.octet_length(part) > LONGEST_KEY_PART, F.lit(False)) for part in parts)
    reserved = [c for c in contract.columns if c.primary_key and c.reserved]
    if reserved:
        yield "key_reserved", _any(F.coalesce(F.col(c.name).isin(*c.reserved), F.lit(False)) for c in reserved)
    yield "not_representable", F.size(F.col(NOT_REPRESENTABLE)) > 0


def _column_rules(contract: Contract) -> Iterator[tuple[str, Column]]:
    for column in contract.columns:
        value = F.col(column.name)
        if column.references:
            if column.references.reason:
                yield column.references.reason, _orphan(column)
        elif column.allowed_values:
            strange = ~value.isin(*column.allowed_values)
            yield f"{column.name}_not_allowed", value.isNull() | strange if column.required else strange
        elif column.required and not column.primary_key and not column.derived:
            yield f"{column.name}_null", value.isNull()


def _orphan(column: contracts.Column) -> Column:
    """Names no row that is held; where a row must be named, a null is one too. Exceptions count as held."""
    value = F.col(column.name)
    held = F.coalesce(F.col(HELD_PREFIX + column.name), F.lit(False))
    if column.references and column.references.exceptions:
        held = held | F.coalesce(value.isin(*column.references.exceptions), F.lit(False))
    return value.isNull() | ~held if column.required else value.isNotNull() & ~held


def _breaks(expectation: Expectation, suite: Suite) -> Column:
    """Where a row does not meet an expectation; null where it compares a null. Decimals are compared as decimals."""

    def column(name: str) -> Column:
        computed = suite.computed_columns.get(name)
        return F.expr(computed.typed_sql) if computed else F.col(name)

    match expectation:
        case Between(kwargs=between):
            low, high, value = between.min_value, between.max_value, column(between.column)
            breaches = []
            if low is not None and not isinstance(low, Parameter):
                breaches.append(value <= F.lit(low) if between.strict_min else value < F.lit(low))
            if high is not None and not isinstance(high, Parameter):
                breaches.append(value >= F.lit(high) if between.strict_max else value > F.lit(high))
            return _any(breaches)
        case NotInSet(kwargs=among):
            return column(among.column).isin(*among.value_set)
        case InSet(kwargs=among):
            return ~column(among.column).isin(*among.value_set)
        case Greater(kwargs=pair):
            a, b = column(pair.column_A), column(pair.column_B)
            return a < b if pair.or_equal else a <= b
        case _:
            raise ConfigError(f"{suite.name}: {expectation.rule}: {expectation.type} cannot have a reason")


def _any(conditions: Iterator[Column] | list[Column]) -> Column:
    return reduce(lambda a, b: a | b, conditions)

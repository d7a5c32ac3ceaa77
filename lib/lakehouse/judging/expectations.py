"""The kinds of expectations a suite may hold, as strict models: a kind that is not here, or a key it has not, is a typo.

Numbers are read as they are written (whole numbers and decimals); only Great Expectations is handed doubles.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, StrictInt, model_validator

from lakehouse.records import Severity

# What the pipeline tells a suite: rows of the table as last published (absent the first time; rules that need it are left
# out), and the day after the business date, whose first instant in the shop's zone ends the run's window.
PARAMETERS = frozenset({"previous_rows", "next_date"})


class StrictModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def _known_parameters(expression: str) -> str:
    if unknown := set(re.findall(r"[A-Za-z_]\w*", expression)) - PARAMETERS:
        raise ValueError(f"unknown parameter {', '.join(sorted(unknown))}; there are {', '.join(sorted(PARAMETERS))}")
    return expression


class Parameter(StrictModel):
    """A number or date that the pipeline gives: a name of PARAMETERS, or arithmetic over one."""

    expression: Annotated[str, AfterValidator(_known_parameters)] = Field(alias="$PARAMETER")


Number = StrictInt | Annotated[Decimal, Strict()]
Bound = Number | Parameter


class _Kwargs(StrictModel):
    @property
    def columns(self) -> tuple[str, ...]:
        return ()

    @property
    def bounds(self) -> tuple[Bound, ...]:
        return ()


class _RowKwargs(_Kwargs):
    column: str
    mostly: Annotated[Decimal, Field(gt=0, le=1)] | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,)


class BetweenKwargs(_RowKwargs):
    min_value: Bound | None = None
    max_value: Bound | None = None
    strict_min: bool = False
    strict_max: bool = False

    @model_validator(mode="after")
    def _bounded(self) -> BetweenKwargs:
        if not self.bounds:
            raise ValueError("min_value or max_value is needed")
        return self

    @property
    def bounds(self) -> tuple[Bound, ...]:
        return tuple(b for b in (self.min_value, self.max_value) if b is not None)


class SetKwargs(_RowKwargs):
    value_set: tuple[StrictInt | str, ...] = Field(min_length=1)

    @property
    def bounds(self) -> tuple[Bound, ...]:
        return tuple(v for v in self.value_set if isinstance(v, int))


class RegexKwargs(_RowKwargs):
    regex: str


class PairKwargs(_Kwargs):
    column_A: str  # noqa: N815 - the format's own spelling
    column_B: str  # noqa: N815
    or_equal: bool = False
    # A rule over a null does not fire; Great Expectations' default would let one null through and not the other.
    ignore_row_if: Literal["either_value_is_missing"]
    mostly: Annotated[Decimal, Field(gt=0, le=1)] | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column_A, self.column_B)


class RowCountKwargs(_Kwargs):
    min_value: StrictInt | Parameter | None = None
    max_value: StrictInt | Parameter | None = None

    @property
    def bounds(self) -> tuple[Bound, ...]:
        return tuple(b for b in (self.min_value, self.max_value) if b is not None)


class Meta(StrictModel):
    """The rule's name, or the reason by which a row that breaks it goes to quarantine."""

    rule: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")] | None = None
    reason: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")] | None = None

    @model_validator(mode="after")
    def _named(self) -> Meta:
        if (self.rule is None) == (self.reason is None):
            raise ValueError("either rule or reason is needed")
        return self


class _Expectation(StrictModel):
    kwargs: _Kwargs
    meta: Meta
    severity: Severity
    notes: str = Field(min_length=1)  # why
    id: str | None = None

    @property
    def rule(self) -> str:
        return self.meta.rule or self.meta.reason or ""

    @property
    def parameters(self) -> set[str]:
        """Names the pipeline must give before this can be checked."""
        expressions = (b.expression for b in self.kwargs.bounds if isinstance(b, Parameter))
        return {name for expression in expressions for name in re.findall(r"[A-Za-z_]\w*", expression)}

    @property
    def native_kwargs(self) -> dict[str, Any]:
        """As Great Expectations takes them."""
        kwargs = self.kwargs.model_dump(by_alias=True, exclude_unset=True)
        return {k: _native(v) for k, v in kwargs.items()}


class Between(_Expectation):
    type: Literal["expect_column_values_to_be_between"]
    kwargs: BetweenKwargs


class InSet(_Expectation):
    type: Literal["expect_column_values_to_be_in_set"]
    kwargs: SetKwargs


class NotInSet(_Expectation):
    type: Literal["expect_column_values_to_not_be_in_set"]
    kwargs: SetKwargs


class NotNull(_Expectation):
    type: Literal["expect_column_values_to_not_be_null"]
    kwargs: _RowKwargs


class MatchRegex(_Expectation):
    type: Literal["expect_column_values_to_match_regex"]
    kwargs: RegexKwargs


class NotMatchRegex(_Expectation):
    type: Literal["expect_column_values_to_not_match_regex"]
    kwargs: RegexKwargs


class Greater(_Expectation):
    type: Literal["expect_column_pair_values_a_to_be_greater_than_b"]
    kwargs: PairKwargs


class RowCount(_Expectation):
    type: Literal["expect_table_row_count_to_be_between"]
    kwargs: RowCountKwargs


Expectation = Between | InSet | NotInSet | NotNull | MatchRegex | NotMatchRegex | Greater | RowCount
TYPES = {kind: get_args(kind.model_fields["type"].annotation)[0] for kind in get_args(Expectation)}
# Those that rules.py can also write as a Spark column.
REASONED = (Between, InSet, NotInSet, Greater)


def _native(value: object) -> object:
    if isinstance(value, Decimal):
        return float(value)
    return list(value) if isinstance(value, tuple) else value

"""The business rules of each table: `expectations/<layer>/<table>.json`, in Great Expectations' own format.

What a contract says of a column (type, null, reference, allowed value) is not repeated here. Read without importing Great
Expectations, and strictly: a typo is refused at start, with file and key, every fault at once.

Two things go in `meta`, where the format leaves room. An expectation has a `rule`, its name in findings, or a `reason`: then
a row that breaks it goes to quarantine by that name. A suite may have `working_columns`, SQL over the table's own columns,
so that a rule over several columns is a rule over one, which Great Expectations counts in the same query as all others.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cached_property
from importlib.resources.abc import Traversable
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, StrictInt, ValidationError, model_validator

from lakehouse.contracts import NUMERIC, SPARK_TYPES, Contract, Contracts, resource_folder
from lakehouse.errors import ConfigError

Severity = Literal["critical", "warning"]

# What the pipeline tells a suite: rows of the table as last published (absent the first time; rules that need it are left
# out), and the day after the business date, whose first instant in the shop's zone ends the run's window.
PARAMETERS = frozenset({"previous_rows", "next_date"})

_WORD = re.compile(r"'[^']*'|[A-Za-z_][A-Za-z0-9_]*(?:\s*\()?")
_SQL_WORDS = frozenset(
    re.findall(r"\w+", "and as between bigint case cast date else end false in int is not null or then true when")
)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def _known_parameters(expression: str) -> str:
    if unknown := set(re.findall(r"[A-Za-z_]\w*", expression)) - PARAMETERS:
        raise ValueError(f"unknown parameter {', '.join(sorted(unknown))}; there are {', '.join(sorted(PARAMETERS))}")
    return expression


def _known_type(value: str) -> str:
    if value not in SPARK_TYPES and not NUMERIC.fullmatch(value):
        raise ValueError(f"unknown type {value}; there are {', '.join(SPARK_TYPES)} and numeric(p,s)")
    return value


class Parameter(_Strict):
    """A number or date that the pipeline gives: a name of PARAMETERS, or arithmetic over one."""

    expression: Annotated[str, AfterValidator(_known_parameters)] = Field(alias="$PARAMETER")


Number = StrictInt | Annotated[Decimal, Strict()]
Bound = Number | Parameter


class WorkingColumn(_Strict):
    """SQL over the table's own columns, and the type it has."""

    type: Annotated[str, AfterValidator(_known_type)]
    sql: str

    @property
    def typed_sql(self) -> str:
        return f"cast({self.sql} as {SPARK_TYPES.get(self.type) or self.type.replace('numeric', 'decimal')})"

    @property
    def names(self) -> set[str]:
        """Columns the SQL names: words that are neither text, nor function, nor keyword."""
        words = (w for w in _WORD.findall(self.sql) if not w.startswith("'") and not w.endswith("("))
        return {w for w in words if w.lower() not in _SQL_WORDS}


class _Kwargs(_Strict):
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


class Meta(_Strict):
    """The rule's name, or the reason by which a row that breaks it goes to quarantine."""

    rule: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")] | None = None
    reason: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")] | None = None

    @model_validator(mode="after")
    def _named(self) -> Meta:
        if (self.rule is None) == (self.reason is None):
            raise ValueError("either rule or reason is needed")
        return self


class _Expectation(_Strict):
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
        given = (b.expression for b in self.kwargs.bounds if isinstance(b, Parameter))
        return {name for expression in given for name in re.findall(r"[A-Za-z_]\w*", expression)}

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
_TYPES = {kind: get_args(kind.model_fields["type"].annotation)[0] for kind in get_args(Expectation)}
# Those that rules.py can also write as a Spark column.
REASONED = (Between, InSet, NotInSet, Greater)


class SuiteMeta(_Strict):
    working_columns: dict[Annotated[str, Field(pattern=r"^_[a-z][a-z0-9_]*$")], WorkingColumn] = {}
    great_expectations_version: str | None = None


class Suite(_Strict):
    """The business rules of one table."""

    name: str
    expectations: tuple[Annotated[Expectation, Field(discriminator="type")], ...]
    meta: SuiteMeta = SuiteMeta()
    notes: str | None = None
    id: str | None = None

    @property
    def layer(self) -> str:
        return self.name.partition(".")[0]

    @property
    def table(self) -> str:
        return self.name.partition(".")[2]

    @property
    def working_columns(self) -> Mapping[str, WorkingColumn]:
        return self.meta.working_columns

    @cached_property
    def reasoned(self) -> tuple[Expectation, ...]:
        """Expectations whose breach sends a row to quarantine."""
        return tuple(e for e in self.expectations if e.meta.reason)


class Suites(Mapping[str, Mapping[str, Suite]]):
    """All suites by layer and table."""

    def __init__(self, suites: list[Suite], layers: tuple[str, ...]) -> None:
        self._layers = {layer: {s.table: s for s in suites if s.layer == layer} for layer in layers}

    def __getitem__(self, layer: str) -> Mapping[str, Suite]:
        return self._layers[layer]

    def __iter__(self) -> Iterator[str]:
        return iter(self._layers)

    def __len__(self) -> int:
        return len(self._layers)


def load_suites(contracts: Contracts, folder: Traversable | None = None) -> Suites:
    """The suite of every contract's table (default folder: the project's own).

    Raises ConfigError that names each fault with file and key: unknown keys, types and columns, missing and stray files.
    """
    folder = folder or resource_folder("expectations")
    faults: list[str] = []
    found: list[Suite] = []
    for layer in contracts:
        tables = contracts[layer]
        room = folder / layer
        files = {f.name: f for f in room.iterdir() if f.name.endswith(".json")} if room.is_dir() else {}
        faults += [f"{layer}/{t}.json: is missing" for t in tables if f"{t}.json" not in files]
        for name, file in sorted(files.items()):
            contract = tables.get(name.removesuffix(".json"))
            if contract is None:
                faults.append(f"{layer}/{name}: there is no contract of this name")
                continue
            try:
                suite = Suite.model_validate(_parsed(file.read_text(encoding="utf-8")))
            except ValidationError as e:
                for fault in e.errors(include_input=False, include_url=False):
                    where = ".".join(str(p) for p in fault["loc"] if p not in _TYPES.values())
                    faults.append(f"{layer}/{name}: {where or 'suite'}: {fault['msg']}")
            except ValueError as e:
                faults.append(f"{layer}/{name}: not JSON: {e}")
            else:
                faults += [f"{layer}/{name}: {f}" for f in _disagreements(suite, contract)]
                found.append(suite)
    if faults:
        raise ConfigError("expectations are wrong: " + "; ".join(faults))
    return Suites(found, tuple(contracts))


def _disagreements(suite: Suite, contract: Contract) -> Iterator[str]:
    """What a suite says that its contract, or its own working columns, do not bear out."""
    if suite.name != contract.id:
        yield f"name: is not {contract.id}"
    known = {*contract.names, *suite.working_columns}
    for name, working in suite.working_columns.items():
        if unknown := working.names - set(contract.names):
            yield f"meta.working_columns.{name}: unknown column {', '.join(sorted(unknown))}"
    rules = [e.rule for e in suite.expectations]
    for i, expectation in enumerate(suite.expectations):
        here = f"expectations.{i}"
        if rules.index(expectation.rule) != i:
            yield f"{here}.meta: {expectation.rule} is the name of another rule"
        if unknown := set(expectation.kwargs.columns) - known:
            yield f"{here}.kwargs: unknown column {', '.join(sorted(unknown))}"
        elif inexact := [b for b in expectation.kwargs.bounds if not _survives_double(b)]:
            yield f"{here}.kwargs: {inexact[0]} has more digits than Great Expectations keeps"
        if expectation.meta.reason:
            yield from (f"{here}.{f}" for f in _unfit_for_quarantine(expectation, contract))


def _unfit_for_quarantine(expectation: Expectation, contract: Contract) -> Iterator[str]:
    if contract.layer != "silver":
        yield "meta.reason: only silver has a quarantine; use rule"
    if not isinstance(expectation, REASONED):
        yield f"type: {expectation.type} cannot have a reason; {', '.join(_TYPES[kind] for kind in REASONED)} can"
    if getattr(expectation.kwargs, "mostly", None) is not None or expectation.parameters:
        yield "kwargs: a reason judges each row by itself: no mostly, no parameter"


def _survives_double(bound: Bound) -> bool:
    """Great Expectations holds each number as a double, which keeps about fifteen digits."""
    return isinstance(bound, Parameter) or Decimal(repr(float(bound))) == bound


def _native(value: object) -> object:
    if isinstance(value, Decimal):
        return float(value)
    return list(value) if isinstance(value, tuple) else value


def _parsed(text: str) -> object:
    def object_of(pairs: list[tuple[str, object]]) -> dict[str, object]:
        keys = [k for k, _ in pairs]
        if repeated := sorted({k for k in keys if keys.count(k) > 1}):
            raise ValueError(f"{', '.join(repeated)} is written twice")
        return dict(pairs)

    return json.loads(text, parse_float=Decimal, object_pairs_hook=object_of)

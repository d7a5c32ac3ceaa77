"""The business rules of each table: `expectations/<layer>/<table>.json`, in Great Expectations' own format.

What a contract says of a column (type, null, reference, allowed value) is not repeated here. Read without importing Great
Expectations, and strictly: a typo is refused at start, with file and key, every fault at once.

Two things go in `meta`, where the format leaves room. An expectation has a `rule`, its name in findings, or a `reason`: then
a row that breaks it goes to quarantine by that name. A suite may have `computed_columns`, SQL over the table's own columns,
so that a rule over several columns is a rule over one, which Great Expectations counts in the same query as all others.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cached_property
from importlib.resources.abc import Traversable
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationError

from lakehouse.contracts import Contract, Contracts, resource_folder
from lakehouse.contracts.types import NUMERIC, SPARK_TYPES
from lakehouse.errors import ConfigError
from lakehouse.judging.expectations import REASONED, TYPES, Bound, Expectation, Parameter, StrictModel
from lakehouse.records import Severity as Severity

_WORD = re.compile(r"'[^']*'|[A-Za-z_][A-Za-z0-9_]*(?:\s*\()?")
_SQL_WORDS = frozenset(
    re.findall(r"\w+", "and as between bigint case cast date else end false in int is not null or then true when")
)


def _known_type(value: str) -> str:
    if value not in SPARK_TYPES and not NUMERIC.fullmatch(value):
        raise ValueError(f"unknown type {value}; there are {', '.join(SPARK_TYPES)} and numeric(p,s)")
    return value


class ComputedColumn(StrictModel):
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


class SuiteMeta(StrictModel):
    computed_columns: dict[Annotated[str, Field(pattern=r"^_[a-z][a-z0-9_]*$")], ComputedColumn] = Field({})
    great_expectations_version: str | None = None


class Suite(StrictModel):
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
    def computed_columns(self) -> Mapping[str, ComputedColumn]:
        return self.meta.computed_columns

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
                    where = ".".join(str(p) for p in fault["loc"] if p not in TYPES.values())
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
    """What a suite says that its contract, or its own computed columns, do not bear out."""
    if suite.name != contract.id:
        yield f"name: is not {contract.id}"
    known = {*contract.names, *suite.computed_columns}
    for name, computed in suite.computed_columns.items():
        if unknown := computed.names - set(contract.names):
            yield f"meta.computed_columns.{name}: unknown column {', '.join(sorted(unknown))}"
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
        yield f"type: {expectation.type} cannot have a reason; {', '.join(TYPES[kind] for kind in REASONED)} can"
    if getattr(expectation.kwargs, "mostly", None) is not None or expectation.parameters:
        yield "kwargs: a reason judges each row by itself: no mostly, no parameter"


def _survives_double(bound: Bound) -> bool:
    """Great Expectations holds each number as a double, which keeps about fifteen digits."""
    return isinstance(bound, Parameter) or Decimal(repr(float(bound))) == bound


def _parsed(text: str) -> object:
    def object_of(pairs: list[tuple[str, object]]) -> dict[str, object]:
        keys = [k for k, _ in pairs]
        if repeated := sorted({k for k in keys if keys.count(k) > 1}):
            raise ValueError(f"{', '.join(repeated)} is written twice")
        return dict(pairs)

    return json.loads(text, parse_float=Decimal, object_pairs_hook=object_of)

"""What every table promises, as data: `conf/contracts/<layer>/<table>.yml`, in the words of the Open Data Contract Standard v3.

Everything structural is derived from here and written nowhere else: Spark schemas, Postgres DDL, the rules of keys,
references and allowed values, and the order in which tables are built. The folder is the registry: a file is a table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from lakehouse.errors import ConfigError

Layer = Literal["bronze", "silver", "gold"]
LAYERS: tuple[Layer, ...] = ("bronze", "silver", "gold")
NUMERIC = re.compile(r"numeric\((\d+),(\d+)\)")
# Names go into SQL as they are; a leading underscore is for technical columns.
NAME = re.compile(r"[a-z][a-z0-9_]*")
MOST_DIGITS = 38  # Spark's decimal
SPARK_TYPES = {
    "text": "string",
    "integer": "int",
    "bigint": "bigint",
    "boolean": "boolean",
    "date": "date",
    "timestamptz": "timestamp",
}


def _known_type(value: str) -> str:
    if value not in SPARK_TYPES and not NUMERIC.fullmatch(value):
        raise ValueError(f"unknown type {value}; there are {', '.join(SPARK_TYPES)} and numeric(p,s)")
    if (numeric := NUMERIC.fullmatch(value)) and not int(numeric[2]) <= int(numeric[1]) <= MOST_DIGITS:
        raise ValueError(f"{value} has more than {MOST_DIGITS} digits, or more decimals than digits")
    return value


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Reference(_Strict):
    """A column names a row of another table of the layer.

    `reason` is what quarantine calls a row whose parent is absent; with `warning` the row is kept and only counted.
    """

    table: str
    reason: str | None = None
    warning: str | None = None
    exceptions: tuple[str, ...] = Field((), alias="except")


class Column(_Strict):
    """One column. `derived`: computed or filled by the transform, so its null is never the source's fault."""

    name: str = Field(pattern=f"^{NAME.pattern}$")
    type: Annotated[str, AfterValidator(_known_type)] = Field(alias="physicalType")
    description: str
    primary_key: bool = Field(False, alias="primaryKey")
    key_position: int = Field(1, alias="primaryKeyPosition")
    required: bool = False
    derived: bool = False
    reserved: tuple[str, ...] = ()
    classification: Literal["personal"] | None = None
    references: Reference | None = None
    allowed_values: tuple[str, ...] = Field((), alias="allowedValues")

    @property
    def spark_type(self) -> str:
        return SPARK_TYPES.get(self.type) or self.type.replace("numeric", "decimal")

    @property
    def numeric(self) -> tuple[int, int] | None:
        """Precision and scale of a decimal column."""
        found = NUMERIC.fullmatch(self.type)
        return (int(found[1]), int(found[2])) if found else None


class Extraction(_Strict):
    """How bronze brings a table: what changed in the window, or every row below the window's end each time."""

    mode: Literal["incremental", "snapshot"]
    column: str


class Partitioning(_Strict):
    """Silver's folders: year=/month=/day= of a timestamp, down to the grain."""

    column: str
    grain: Literal["year", "month", "day"]

    @property
    def levels(self) -> tuple[str, ...]:
        return ("year", "month", "day")[: ("year", "month", "day").index(self.grain) + 1]


class Purpose(_Strict):
    purpose: str


class Contract(_Strict):
    """One table of one layer."""

    api_version: str = Field(alias="apiVersion")
    kind: Literal["DataContract"]
    id: str
    version: str
    status: Literal["active", "deprecated"]
    owner: str
    description: Purpose
    grain: str = Field(alias="dataGranularityDescription")
    columns: tuple[Column, ...] = Field(alias="properties")
    extraction: Extraction | None = None
    drift_policy: Literal["fail", "ignore_new", "evolve"] = Field("fail", alias="driftPolicy")
    key_enforced: bool = Field(False, alias="keyEnforced")
    partitioning: Partitioning | None = None
    indexes: tuple[tuple[str, ...], ...] = ()

    @model_validator(mode="after")
    def _hangs_together(self) -> Contract:
        names = [c.name for c in self.columns]
        if repeated := sorted({n for n in names if names.count(n) > 1}):
            raise ValueError(f"column {', '.join(repeated)} is written twice")
        if not self.key:
            raise ValueError("no column is primaryKey")
        used = [n for index in self.indexes for n in index]
        used += [self.extraction.column] if self.extraction else []
        used += [self.partitioning.column] if self.partitioning else []
        if unknown := sorted(set(used) - set(names)):
            raise ValueError(f"{', '.join(unknown)} is not a column of the table")
        if self.layer == "bronze" and self.extraction is None:
            raise ValueError("a bronze table needs extraction: how its changes are found")
        if self.layer in ("bronze", "silver") and "updated_at" not in names:
            raise ValueError("a bronze or silver table needs updated_at, which decides between images")
        if self.layer == "silver" and self.table in self.parents:
            raise ValueError("the table refers to itself, which no order of building satisfies")
        return self

    @property
    def layer(self) -> str:
        """bronze, silver or gold."""
        return self.id.partition(".")[0]

    @property
    def table(self) -> str:
        """The table's name within its layer."""
        return self.id.partition(".")[2]

    @cached_property
    def key(self) -> tuple[str, ...]:
        """Key columns in the contract's order."""
        return tuple(c.name for c in sorted((c for c in self.columns if c.primary_key), key=lambda c: c.key_position))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Every column's name, in the contract's order."""
        return tuple(c.name for c in self.columns)

    def column(self, name: str) -> Column:
        """The column of that name, which must be there."""
        return next(c for c in self.columns if c.name == name)

    @cached_property
    def parents(self) -> tuple[str, ...]:
        """Tables of the same layer that this one refers to."""
        return tuple(dict.fromkeys(c.references.table for c in self.columns if c.references))

    @cached_property
    def shape(self) -> dict[str, str]:
        """What readers depend on; the ledger keeps it, and a change other than a new column is refused."""
        shape = {c.name: c.type for c in self.columns}
        shape["(key)"] = ", ".join(self.key)
        if self.partitioning:
            shape["(partitioning)"] = f"{self.partitioning.column} by {self.partitioning.grain}"
        return shape


class Contracts(Mapping[str, Mapping[str, Contract]]):
    """All contracts by layer and table."""

    def __init__(self, contracts: Iterable[Contract]) -> None:
        self._layers: dict[str, dict[str, Contract]] = {layer: {} for layer in LAYERS}
        for contract in sorted(contracts, key=lambda c: c.id):
            self._layers[contract.layer][contract.table] = contract

    def __getitem__(self, layer: str) -> Mapping[str, Contract]:
        return self._layers[layer]

    def __iter__(self) -> Iterator[str]:
        return iter(self._layers)

    def __len__(self) -> int:
        return len(self._layers)

    def parents_first(self, layer: str) -> list[Contract]:
        """The tables of a layer, each after those it refers to; raises ConfigError for a circle."""
        waiting, ready = dict(self[layer]), []
        while waiting:
            free = [n for n, c in waiting.items() if not set(c.parents) & (waiting.keys() - {n})]
            if not free:
                raise ConfigError(f"contracts of {layer} refer to each other in a circle: {', '.join(waiting)}")
            ready += [waiting.pop(n) for n in free]
        return ready


def resource_folder(name: str) -> Traversable:
    """A folder that rides in the package (zip, wheel), or lies at the root of a checkout."""
    packaged = resources.files("lakehouse") / name
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / name


def load_contracts(folder: Traversable | None = None) -> Contracts:
    """Every contract of the folder (default: the project's own).

    Raises ConfigError that names each fault with file and line: unknown keys, types, columns, tables.
    """
    folder = folder or resource_folder("conf") / "contracts"
    faults: list[str] = []
    found: list[Contract] = []
    for layer in LAYERS:
        for file in sorted((folder / layer).iterdir(), key=lambda f: f.name):
            if not file.name.endswith(".yml"):
                continue
            try:
                contract = Contract.model_validate(parsed := _parsed(file.read_text(encoding="utf-8")))
                if contract.id != f"{layer}.{file.name.removesuffix('.yml')}" or not NAME.fullmatch(contract.table):
                    faults.append(f"{layer}/{file.name}:{_line(parsed, ('id',))}: id is not {layer}.<name of the file>")
                found.append(contract)
            except yaml.YAMLError as e:
                line = mark.line + 1 if (mark := getattr(e, "problem_mark", None)) else 1
                faults.append(f"{layer}/{file.name}:{line}: not YAML: {getattr(e, 'problem', None) or 'unreadable'}")
            except ValidationError as e:
                for fault in e.errors(include_input=False, include_url=False):
                    where = ".".join(str(p) for p in fault["loc"]) or "contract"
                    faults.append(f"{layer}/{file.name}:{_line(parsed, fault['loc'])}: {where}: {fault['msg']}")
    known = {f"{layer}.{f.name.removesuffix('.yml')}" for layer in LAYERS for f in (folder / layer).iterdir()}
    for contract in found:
        here = f"{contract.layer}/{contract.table}.yml"
        faults += [f"{here}: refers to {parent}, which has no contract"
                   for parent in contract.parents if f"{contract.layer}.{parent}" not in known]  # fmt: skip
        if contract.layer == "silver" and f"bronze.{contract.table}" not in known:
            faults.append(f"{here}: there is no bronze contract of this name")
    if faults:
        raise ConfigError("contracts are wrong: " + "; ".join(faults))
    return Contracts(found)


class _Lined(dict[object, object]):
    """A YAML mapping that remembers the line of each key."""

    lines: dict[object, int]


class _Loader(yaml.SafeLoader):
    """A SafeLoader whose mappings are _Lined, and which refuses a key written twice."""


def _lined(loader: _Loader, node: yaml.MappingNode) -> _Lined:
    mapping = _Lined()
    mapping.lines = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in mapping:
            raise yaml.MarkedYAMLError(problem=f"{key} is written twice", problem_mark=key_node.start_mark)
        mapping[key] = loader.construct_object(value_node, deep=True)
        mapping.lines[key] = key_node.start_mark.line + 1
    return mapping


_Loader.add_constructor("tag:yaml.org,2002:map", _lined)


def _parsed(text: str) -> object:
    return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader that also remembers lines


def _line(parsed: object, path: tuple[int | str, ...]) -> int:
    """The line on which the deepest known key of the path stands."""
    line, here = 1, parsed
    for step in path:
        if isinstance(here, _Lined) and step in here:
            line, here = here.lines[step], here[step]
        elif isinstance(here, list) and isinstance(step, int) and step < len(here):
            here = here[step]
            line = min(here.lines.values(), default=line) if isinstance(here, _Lined) else line
        else:
            break
    return line

"""What every table promises, as data: `conf/contracts/<layer>/<table>.yml`, in the words of the Open Data Contract Standard v3.

Everything structural is derived from here and written nowhere else: Spark schemas, Postgres DDL, the rules of keys,
references and allowed values, and the order in which tables are built. The folder is the registry: a file is a table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from lakehouse.contracts.types import NUMERIC, known_type, spark_type
from lakehouse.records import PARTITION, Grain

Layer = Literal["bronze", "silver", "gold"]
LAYERS: tuple[Layer, ...] = ("bronze", "silver", "gold")
# Names go into SQL as they are; a leading underscore is for technical columns.
NAME = re.compile(r"[a-z][a-z0-9_]*")


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
    type: Annotated[str, AfterValidator(known_type)] = Field(alias="physicalType")
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
        return spark_type(self.type)

    @property
    def numeric(self) -> tuple[int, int] | None:
        """Precision and scale of a decimal column."""
        found = NUMERIC.fullmatch(self.type)
        return (int(found[1]), int(found[2])) if found else None


class WorkingColumn(Column):
    """A column that gold keeps for the tables that are built on it; `lakehouse setup` grants it to no reader."""

    name: str = Field(pattern=f"^_{NAME.pattern}$")


class Extraction(_Strict):
    """How bronze brings a table: what changed in the window, or every row below the window's end each time."""

    mode: Literal["incremental", "snapshot"]
    column: str


class Partitioning(_Strict):
    """Silver's folders: year=/month=/day= of a timestamp, down to the grain."""

    column: str
    grain: Grain

    @property
    def levels(self) -> tuple[str, ...]:
        return PARTITION[: PARTITION.index(self.grain) + 1]


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
    # Whether keys that are gone from the source are looked for, and what then becomes of their rows in silver.
    deletes: Literal["remove", "keep", "none"] = "none"
    drift_policy: Literal["fail", "ignore_new", "evolve"] = Field("fail", alias="driftPolicy")
    key_enforced: bool = Field(False, alias="keyEnforced")
    partitioning: Partitioning | None = None
    indexes: tuple[tuple[str, ...], ...] = ()
    # Of gold: what a change makes the table compute again, where its module says which (`units`), and not the whole.
    recomputed_by: str | None = Field(None, alias="recomputedBy")
    working: tuple[WorkingColumn, ...] = Field((), alias="workingColumns")

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
        if self.deletes != "none" and (
            self.layer != "bronze" or any(c.type != "text" for c in self.columns if c.primary_key)
        ):
            raise ValueError("deletes is a word of bronze tables whose key is text: keys are compared as identifiers")
        if self.layer in ("bronze", "silver") and "updated_at" not in names:
            raise ValueError("a bronze or silver table needs updated_at, which decides between images")
        if self.layer != "gold" and (self.recomputed_by or self.working):
            raise ValueError("recomputedBy and workingColumns are words of gold tables")
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

    @cached_property
    def stored(self) -> tuple[Column, ...]:
        """The columns of a gold table in Postgres, but for those that say when and by which run a row was published."""
        return (*self.columns, *self.working)

    def column(self, name: str) -> Column:
        """The column of that name, which must be there."""
        return next(c for c in self.stored if c.name == name)

    def shown(self, columns: Iterable[str]) -> list[str]:
        """Of a table's columns those that people may explore: what is named here and not personal, and technical ones.

        A digest of a row with personal columns is left out too: who guesses the row can check the guess by it.
        """
        personal = {c.name for c in self.columns if c.classification == "personal"}
        known = {*self.names, *PARTITION} - personal
        hidden = {"_row_md5"} if personal else set[str]()
        return [c for c in columns if c in known or (c.startswith("_") and c not in hidden)]

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

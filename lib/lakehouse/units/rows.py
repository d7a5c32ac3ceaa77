"""The rows of a table of which those that bear given keys can be had: of a frame, or of gold as a run is about to leave it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors.exceptions.captured import CapturedException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.contracts import Contract
from lakehouse.warehouse import ddl
from lakehouse.warehouse.differences import FETCHED_ROWS, uncarried_columns
from lakehouse.warehouse.staging import Staging


def matching(frame: DataFrame, *keys: DataFrame) -> DataFrame:
    """Rows of a frame whose values are those of a row of one of the keys, in all of its columns."""
    columns = frame.columns
    if len(keys) == 1:
        return frame.join(F.broadcast(keys[0]), keys[0].columns, how="left_semi").select(*columns)
    marks = []
    for n, key in enumerate(keys):
        marks.append(f"_key_{n}")
        marked = F.broadcast(key.distinct().withColumn(marks[-1], F.lit(True)))
        frame = frame.join(marked, key.columns, how="left_outer")
    return frame.where(reduce(or_, (F.col(m).isNotNull() for m in marks))).select(*columns)


def computed(module: Any, units: Sequence[DataFrame], arguments: Sequence[object]) -> DataFrame:
    """The rows of a gold table that lie in some units, by its module; `arguments`: what its transform is made of, as rows.

    A module that can leave out more than whole arguments says how, by `of_units`.
    """
    within = module.within(units, *arguments)
    if hasattr(module, "of_units"):
        found: DataFrame = module.of_units(units, *within)
        return found
    return matching(module.transform(*within), *units)


@dataclass(frozen=True)
class FrameRows:
    """The rows of a frame."""

    frame: DataFrame

    def all(self) -> DataFrame:
        """Every row."""
        return self.frame

    def matching(self, *keys: DataFrame) -> DataFrame:
        """Rows that bear one of the keys."""
        return matching(self.frame, *keys)


@dataclass(frozen=True)
class Keys:
    """Keys that are loaded into a table of the staging schema, and their columns."""

    table: str
    columns: Sequence[str]


@dataclass(frozen=True)
class GoldRows:
    """A gold table as a run leaves it: rows that stand, in whose scope computed ones take their place.

    `scope`: units, loaded; `computed`: the rows of these, still wide. Without them the table stays as it is.
    """

    spark: SparkSession
    staging: Staging
    contract: Contract
    scope: Sequence[Keys] = field(default=())
    computed: DataFrame | None = None

    def all(self) -> DataFrame:
        """Every row, with the columns that gold keeps."""
        return self._with_computed(standing(self.spark, self.staging, self.contract, None, self.scope))

    def matching(self, *keys: DataFrame) -> DataFrame:
        """Rows that bear one of the keys, with the columns that gold keeps."""
        loaded = [Keys(self.staging.load_keys(k, self.contract), k.columns) for k in keys]
        return self._with_computed(standing(self.spark, self.staging, self.contract, loaded, self.scope), *keys)

    def _with_computed(self, rows: DataFrame, *keys: DataFrame) -> DataFrame:
        if self.computed is None:
            return rows
        computed = self.computed.select(*rows.columns)
        return rows.unionByName(matching(computed, *keys) if keys else computed)


def standing(
    spark: SparkSession, staging: Staging, contract: Contract, keys: Sequence[Keys] | None, beyond: Sequence[Keys] = ()
) -> DataFrame:
    """Rows of a gold table as they stand: those that bear one of the keys, and none of those `beyond`.

    Nothing is read yet. Raises StoreError where the server refuses.
    """
    options = {**staging.database.jdbc(), "fetchsize": str(FETCHED_ROWS), "query": _rows(contract, keys, beyond)}
    try:
        rows = spark.read.format("jdbc").options(**options).load()
    except (Py4JJavaError, CapturedException) as e:
        if refused := staging.database.refused_by_jdbc(e, f"while {contract.id} was read, and nothing was published"):
            raise refused from None
        raise
    return rows.select(*uncarried_columns(contract))


def _rows(contract: Contract, keys: Sequence[Keys] | None, beyond: Sequence[Keys]) -> str:
    table = f"{ddl.GOLD}.{contract.table} t"
    columns = ", ".join(f"{ddl.staged(c)} as {c.name}" for c in contract.stored)
    where = [f"not {_bears(contract, k)}" for k in beyond]
    if keys is not None and len(keys) == 1:
        where.append(_bears(contract, keys[0]))
    elif keys is not None:
        # Each kind of key is looked up by its own index; an `or` of them would be asked of every row.
        key = ", ".join(f"t.{k}" for k in contract.key)
        found = " union ".join(f"select {key} from {table} where {_bears(contract, k)}" for k in keys)
        where.append(f"({key}) in ({found})" if keys else "false")
    return f"select {columns} from {table}" + (f" where {' and '.join(where)}" if where else "")


def _bears(contract: Contract, keys: Keys) -> str:
    same = " and ".join(f"t.{c} = {ddl.restored(contract.column(c))}" for c in keys.columns)
    return f"exists (select from {keys.table} k where {same})"

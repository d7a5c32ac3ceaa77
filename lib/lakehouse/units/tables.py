"""The gold tables of a run that follows what changed: each is asked for its units, computed within them, and staged as the rows
that differ there. A table that does not say its units, or that is made of one, is computed whole."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import reduce
from operator import and_, or_

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse import log
from lakehouse.columns import Rows
from lakehouse.conform import conformed, warning_columns
from lakehouse.contracts import Contract
from lakehouse.frame.checkpoint import checkpoint
from lakehouse.frame.published import frame as frame_of
from lakehouse.frame.transforms import arguments_of, inputs_of, module_of
from lakehouse.gate.measures import Measures, counted, observed
from lakehouse.records import Finding, Published
from lakehouse.units import audit
from lakehouse.units.audit import sides
from lakehouse.units.changes import Changed, kept
from lakehouse.units.rows import FrameRows, GoldRows, Keys, computed, standing
from lakehouse.units.totals import DoubtfulError, Totals, followed, totals_of
from lakehouse.units.whole import Stage
from lakehouse.warehouse import ddl
from lakehouse.warehouse.differences import carried_columns

CHANGED = "changed_"
IS_NEW = "_is_new"


@dataclass(frozen=True)
class Since:
    """What a run follows: rows of each table of silver that changed since gold was published, and gold's totals then.

    `audited`: gold tables that are computed whole all the same, to see whether their units missed a row.
    """

    changed: Mapping[str, Changed]
    totals: Mapping[str, Totals]
    audited: Collection[str] = ()


@dataclass(frozen=True)
class Result:
    """A table as others are built on it: its rows, and which of them changed; None where that is not known."""

    rows: Rows
    images: DataFrame | None
    staged: tuple[Totals, list[Finding]] | None = None


class Tables:
    """The tables of one run."""

    def __init__(
        self, stage: Stage, since: Since, silver: Mapping[str, Published], untouched: Collection[str],
        compared: Collection[str],
    ) -> None:  # fmt: skip
        self._stage, self._since, self._silver = stage, since, silver
        self._untouched, self._compared = untouched, compared
        self._contracts = stage.lakehouse.contracts["gold"]
        self._arguments = inputs_of(self._contracts)
        self._results: dict[str, Future[Result]] = {}

    def followed(self) -> tuple[dict[str, Totals], list[Finding]] | None:
        """Computes, stages and judges every touched table, each when those that it is built on are there.

        None where rows stand that cannot be those that were published.
        """
        try:
            return self._all()
        except DoubtfulError:
            log.event("gold.way", way="whole", reason="other rows stand than were published")
            return None

    def _all(self) -> tuple[dict[str, Totals], list[Finding]]:
        self._results = {name: Future() for name in self._contracts}
        with ThreadPoolExecutor(len(self._contracts)) as pool:
            results = dict(zip(self._contracts, pool.map(self._table, self._contracts), strict=True))
        staged = {name: result.staged for name, result in results.items() if result.staged}
        return {n: totals for n, (totals, _) in staged.items()}, [f for _, found in staged.values() for f in found]

    def _table(self, name: str) -> Result:
        contract = self._contracts[name]
        try:
            if name in self._untouched:
                result = Result(self._as_it_stands(contract), self._nothing(contract))
            elif self._can_follow(name):
                result = self._followed(contract)
            else:
                result = self._whole(contract)
        except BaseException as e:
            self._results[name].set_exception(e)
            raise
        self._results[name].set_result(result)
        return result

    def _can_follow(self, name: str) -> bool:
        """Whether a table says its units, and it is known what changed of those that it is built on."""
        on = (a for a in self._arguments[name] if a in self._contracts)
        return hasattr(module_of("gold", name), "units") and all(self._result(a).images is not None for a in on)

    def _whole(self, contract: Contract) -> Result:
        whole = (a if isinstance(a, date) else a.all() for a in self._arguments_of(contract.table))
        wide = module_of("gold", contract.table).transform(*whole)
        if any(contract.table in its for its in self._arguments.values()):
            wide = checkpoint(wide, eager=False)
        staged = self._stage.whole(contract, wide, compares=contract.table in self._compared)
        return Result(FrameRows(wide), None, staged)

    def _followed(self, contract: Contract) -> Result:
        """A table in whose units what differs is staged; where it is audited, what differs anywhere."""
        name, module, before = contract.table, module_of("gold", contract.table), self._since.totals[contract.table]
        asked = module.units(*(self._asked(a) for a in arguments_of(module.units)))
        units = [kept(u.distinct(), contract) for u in asked]
        frames, spark, staging = [u.images for u in units], self._stage.lakehouse.spark, self._stage.staging
        self._stage.run.lease.check()
        if name in self._since.audited:
            rows: Sequence[DataFrame | date] = [a if isinstance(a, date) else a.all() for a in self._arguments_of(name)]
            wide = checkpoint(module.transform(*rows), eager=False)
            stood = checkpoint(standing(spark, staging, contract, None), eager=False)
            differing, totals = self._differing(contract, stood, conformed(wide, contract), None)
            found = [audit.finding(contract, differing, frames, totals["rows"])]
            return self._staged(contract, differing, totals, FrameRows(wide), found)
        if not any(u.rows for u in units):
            staging.load_nothing(contract)
            return Result(self._as_it_stands(contract), self._nothing(contract), self._judged(contract, before, []))
        scope = [Keys(staging.load_keys(u, contract), u.columns) for u in frames]
        stood = checkpoint(standing(spark, staging, contract, scope), eager=False)
        wide = checkpoint(computed(module, frames, self._arguments_of(name)), eager=False)
        differing, totals = self._differing(contract, stood, conformed(wide, contract), before)
        log.event("gold.units", table=name, units=sum(u.rows for u in units))
        return self._staged(contract, differing, totals, GoldRows(spark, staging, contract, scope, wide), [])

    def _staged(
        self, contract: Contract, differing: DataFrame, totals: Totals, rows: Rows, found: list[Finding]
    ) -> Result:
        sent = self._stage.differences(contract, _carried(contract, differing), self._suite(contract))
        self._stage.staging.verify(contract, sent)
        log.event("gold.staged", table=contract.table, rows=totals["rows"], sent=sent["rows"])
        return Result(rows, sides(contract, differing), self._judged(contract, totals, found))

    def _differing(
        self, contract: Contract, stood: DataFrame, came: DataFrame, before: Totals | None
    ) -> tuple[DataFrame, Totals]:
        """Rows that are others than those that stand, both images side by side; the totals of the whole table.

        `before`: its totals so far; None where every row was computed.
        """
        suite = self._suite(contract)
        if before is None:
            totals = totals_of(contract, came)
            return observed(came, suite, totals, lambda new: checkpoint(_compared(contract, stood, new), eager=True))
        differing = checkpoint(_compared(contract, stood, came), eager=True)
        # Rows that stay as they are count as before.
        images = _images(contract, differing)
        counts = counted(images, suite, totals_of(contract, images), IS_NEW)
        return differing, followed(before, counts.get(False, {}), counts.get(True, {}))

    def _suite(self, contract: Contract) -> Measures:
        return self._stage.suite(contract, self._nothing(contract))

    def _judged(self, contract: Contract, totals: Totals, found: list[Finding]) -> tuple[Totals, list[Finding]]:
        nothing = self._nothing(contract)
        return totals, [*self._stage.judged(self._suite(contract), nothing, totals), *found]

    def _asked(self, argument: str) -> Rows | DataFrame | date:
        """An argument of `units`: what changed of a table, or its rows."""
        if not argument.startswith(CHANGED):
            return self._rows(argument)
        name = argument.removeprefix(CHANGED)
        if name in self._contracts:
            images = self._result(name).images
            assert images is not None  # noqa: S101 - a table that is made of an unknown change does not follow it
            return images
        return self._since.changed[name].images

    def _arguments_of(self, name: str) -> list[Rows | date]:
        return [self._rows(a) for a in self._arguments[name]]

    def _rows(self, argument: str) -> Rows | date:
        if argument == "business_date":
            return self._stage.as_of
        if argument in self._contracts:
            return self._result(argument).rows
        return FrameRows(frame_of(self._stage.lakehouse, "silver", argument, self._silver.get(argument)))

    def _result(self, name: str) -> Result:
        return self._results[name].result()

    def _as_it_stands(self, contract: Contract) -> GoldRows:
        return GoldRows(self._stage.lakehouse.spark, self._stage.staging, contract)

    def _nothing(self, contract: Contract) -> DataFrame:
        """No row, with a gold table's columns."""
        columns = (F.lit(None).cast(c.spark_type).alias(c.name) for c in contract.stored)
        return self._stage.lakehouse.spark.range(0).select(*columns)


def _compared(contract: Contract, stood: DataFrame, came: DataFrame) -> DataFrame:
    """Rows that stand and computed ones, side by side, where they differ or one is warned of: the key, `_new`, and `_old`."""
    key, names = list(contract.key), [c.name for c in contract.stored]
    warnings = [w for w in warning_columns(came) if w not in names]
    new = came.select(*key, F.struct(*names, *warnings).alias("_new"))
    both = new.join(stood.select(*key, F.struct(*names).alias("_old")), key, how="full_outer")
    same = (F.col(f"_new.{n}").eqNullSafe(F.col(f"_old.{n}")) for n in names)
    is_there = F.col("_new").isNotNull() & F.col("_old").isNotNull()
    return both.where(
        ~(reduce(and_, same, is_there)) | reduce(or_, (F.col(f"_new.{w}") for w in warnings), F.lit(False))
    )


def _images(contract: Contract, differing: DataFrame) -> DataFrame:
    """Of rows that differ those that stand and those computed, one below the other; `IS_NEW` tells them apart."""
    names = [c.name for c in contract.stored]
    warnings = [w for w in differing.select("_new.*").columns if w not in names]
    old = differing.where(F.col("_old").isNotNull()).select(
        F.lit(False).alias(IS_NEW), "_old.*", *(F.lit(False).alias(w) for w in warnings)
    )
    return old.unionByName(differing.where(F.col("_new").isNotNull()).select(F.lit(True).alias(IS_NEW), "_new.*"))


def _carried(contract: Contract, differing: DataFrame) -> DataFrame:
    """What is staged of rows that differ: the computed row, or the key alone of one that is gone, in the staged form."""
    key = set(contract.key)
    rows = differing.select(
        *(c.name if c.name in key else F.col(f"_new.{c.name}") for c in contract.stored),
        F.col("_new").isNull().alias(ddl.IS_GONE),
    )
    return rows.select(*carried_columns(contract), ddl.IS_GONE)

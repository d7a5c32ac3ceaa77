"""Reading the lake: a table at a version, and the published version of one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from lakehouse import address
from lakehouse.contracts import Contract
from lakehouse.errors import LedgerError, NotYetError, StoreError
from lakehouse.lake import log
from lakehouse.lake.arrow import DataFiles, Place, data_files
from lakehouse.lake.files import Files
from lakehouse.lake.identity import Identity
from lakehouse.records import Published, Stamped

# Each file named costs the driver a look at the store; of more Delta's own index is the cheaper one. Up to as many are looked
# at without a job by spark.sql.sources.parallelPartitionDiscovery.threshold: a test holds the two together.
MOST_FILES = 200
# One task writes so many rows about as fast as two do.
ROWS_OF_A_FILE = 500_000
# From so many rows on a second task has a plan of its own; not measured by itself.
ROWS_OF_A_SHARE = 100_000


class LostError(StoreError):
    """The store answers, but a version of a table cannot be read: files of its log or of its data are gone or damaged."""


class Reading(Identity):
    """A lake as far as it is read."""

    def __init__(self, spark: SparkSession, root: str, storage: Mapping[str, str] | None = None) -> None:
        """`storage`: deltalake's options for a store of objects; without them Delta itself reads from one."""
        super().__init__(Files(spark), root.rstrip("/"))
        self._spark, self._storage = spark, storage

    def path(self, layer: str, table: str) -> str:
        """Where a table lies."""
        return address.table(self.root, layer, table)

    def tables(self, layer: str) -> list[str]:
        """The tables that there are of a layer, no matter who made them."""
        return sorted(n for n in self.files.names(address.layer(self.root, layer)) if self.head(layer, n) is not None)

    def head(self, layer: str, table: str, known: int | None = None) -> int | None:
        """The newest version, None where there is no table.

        Raises LostError where `known`, a version that the ledger says is published, can no longer be loaded.
        """
        held = self.log(layer, table)
        if known is not None and not held.loadable(known):
            raise LostError(f"{self.path(layer, table)} has no version {known} that can be loaded, which the ledger says "
                            f"is published; {way_out(layer, is_older=held.head in range(known))}")  # fmt: skip
        return held.head

    def log(self, layer: str, table: str) -> log.Log:
        """The versions that a table's log holds: one look at its folder."""
        return log.read_names(self.files.names(self._log_folder(layer, table)))

    def commits(self, layer: str, table: str, after: int) -> list[Stamped]:
        """The commits above a version, oldest first, with the stamps they bear; -1 for all that the log still has."""
        versions = sorted(v for v in self.log(layer, table).commits if v > after)
        return [log.stamped(v, self._commit_info(layer, table, v)) for v in versions]

    def read(self, layer: str, table: str, version: int, partitions: Sequence[Mapping[str, str]] = ()) -> DataFrame:
        """A table as it was at a version; where `partitions` are given, at least the rows of these.

        Spark is told the data files where they are few: to find them by itself costs Delta up to five queries a table.
        """
        found = self.known_files(layer, table, version, partitions)
        return (
            self.read_by_delta(layer, table, version)
            if found is None
            else self.read_files(layer, table, version, found)
        )

    def known_files(
        self, layer: str, table: str, version: int, partitions: Sequence[Mapping[str, str]] = ()
    ) -> DataFiles | None:
        """The data files of a version, of some partitions only where these are given; None where they are not to be named."""
        if self._storage is None and self.root.startswith("s3a:"):
            return None
        found = data_files(address.arrow_path(self.root, layer, table), version, self._storage, partitions)
        return found if found is not None and len(found.names) <= MOST_FILES else None

    def changed_files(self, layer: str, table: str, before: int, now: int) -> tuple[DataFiles, DataFiles] | None:
        """Data files that only the one of two versions has, and those that only the other has.

        None where they cannot be told or are many: of another schema, with deletion vectors, not to be named or opened.
        """
        if self._storage is None and self.root.startswith("s3a:"):
            return None
        path = address.arrow_path(self.root, layer, table)
        old, new = (data_files(path, version, self._storage) for version in (before, now))
        if old is None or new is None or old.schema != new.schema:
            return None
        gone, came = sorted({*old.names} - {*new.names}), sorted({*new.names} - {*old.names})
        if max(len(gone), len(came)) > MOST_FILES:  # each side is read by itself
            return None
        return DataFiles(gone, None, old.schema), DataFiles(came, None, new.schema)

    def read_files(self, layer: str, table: str, version: int, found: DataFiles) -> DataFrame:
        """The rows of data files of a version. Raises LostError where one is gone."""
        path, schema = self.path(layer, table), StructType.fromJson(json.loads(found.schema))
        if not found.names:
            return self._spark.createDataFrame([], schema)
        reader = self._spark.read.schema(schema).options(basePath=path, globPaths="false")
        try:
            return reader.parquet(*(f"{path}/{name}" for name in found.names)).select(*schema.names)
        except AnalysisException as e:
            if e.getCondition() != "PATH_NOT_FOUND":
                raise
            raise LostError(f"version {version} of {layer}.{table} cannot be read: data files of it are gone from {path}; "
                            f"{way_out(layer)}") from None  # fmt: skip

    def replaced(
        self, layer: str, table: str, version: int, found: DataFiles, named: DataFrame, comes: DataFrame,
        places: Sequence[Mapping[str, str]],
    ) -> DataFrame:  # fmt: skip
        """The rows of data files whose key is not in `named`, which has no other columns, and those that come in their place.

        A task holds whole partitions of `places`, so that each is written as one file: files of several tasks would be more
        every day. Of a table without partitions so many rows as a task writes as fast as two are one partition.
        """

        def of(files: DataFiles, comes: DataFrame) -> DataFrame:
            stays = self.read_files(layer, table, version, files).join(named, named.columns, how="left_anti")
            return stays.unionByName(comes, allowMissingColumns=True)

        rows = found.rows or 0
        if not places:
            return of(found, comes).coalesce(1) if rows <= ROWS_OF_A_FILE else of(found, comes)
        most = min(self._spark.sparkContext.defaultParallelism, 1 + rows // ROWS_OF_A_SHARE)
        shares = found.shares([tuple(p.values()) for p in places], most)
        if len(shares) == 1:
            return of(found, comes).coalesce(1)
        levels = list(places[0])
        parts = (of(files, comes.where(_within(levels, its))).coalesce(1) for files, its in shares)
        return reduce(DataFrame.union, parts)

    def read_by_delta(self, layer: str, table: str, version: int) -> DataFrame:
        """The same by Delta, whatever its files are."""
        return self._spark.read.format("delta").option("versionAsOf", version).load(self.path(layer, table))

    def _commit_info(self, layer: str, table: str, version: int) -> dict[str, Any]:
        return log.commit_info(self.files.read(f"{self._log_folder(layer, table)}/{log.commit_name(version)}") or "")

    def _log_folder(self, layer: str, table: str) -> str:
        return f"{self.path(layer, table)}/{log.FOLDER}"


def _within(levels: Sequence[str], places: Sequence[Place]) -> Column:
    """Whether a row lies in one of some partitions; their values may be null."""
    one_of = (
        reduce(Column.__and__, (F.col(n).eqNullSafe(F.lit(v)) for n, v in zip(levels, p, strict=True))) for p in places
    )
    return reduce(Column.__or__, one_of)


def way_out(layer: str, *, is_older: bool = False) -> str:
    """What to do about a table that cannot be read."""
    if is_older:
        return "the lake is older than its ledger: restore a newer backup, or lakehouse rewind to a day that it has"
    rebuild = "" if layer == "bronze" else "rebuild it: lakehouse rebuild silver, or "
    return f"{rebuild}restore the lake from its backup"


def frame(
    lake: Reading,
    layer: str,
    table: str,
    published: Published | None,
    contract: Contract | None,
    partitions: Sequence[Mapping[str, str]] = (),
) -> DataFrame:
    """A lake table at its published version; columns that its contract gained since are null in it.

    Where `partitions` are given, at least the rows of these.
    Raises NotYetError where nothing is published.
    """
    if published is None:
        raise NotYetError(f"{layer}.{table} has no published version yet; run the layer first")
    found = lake.read(layer, table, published.version, partitions)
    gained = [c for c in contract.columns if c.name not in found.columns] if contract else []
    return found.withColumns({c.name: F.lit(None).cast(c.spark_type) for c in gained}) if gained else found


def check_shape(contract: Contract, published: Published | None) -> None:
    """Raises LedgerError when a contract changed by more than new columns since the table was published."""
    if published is None:
        return
    changed = {n for n, kind in published.shape.items() if contract.shape.get(n) != kind}
    if contract.layer == "bronze":
        # An archive may stop bringing a column; what it has stays. Another type or key it cannot take.
        changed &= contract.shape.keys()
        if changed:
            raise LedgerError(f"the contract {contract.id} changed in {', '.join(sorted(changed))} since it was published; "
                              f"an archive is not rebuilt: set it back, or begin a new lake and gold database")  # fmt: skip
    if changed:
        raise LedgerError(f"the contract {contract.id} changed in {', '.join(sorted(changed))} since it was published, "
                          f"which only a rebuild can bring: lakehouse rebuild {contract.layer}")  # fmt: skip

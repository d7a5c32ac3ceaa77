"""The lake: Delta tables by layer and name, read at a version, written a day, a merge or a whole table at a time.

Delta's log is plain files, `_delta_log/<version>.json`, contiguous: whether a version is the head is one look for the
next file, and a commit's own figures are read from its file. Neither costs a Spark job.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property

from delta.tables import DeltaTable
from py4j.java_gateway import JavaObject
from py4j.protocol import Py4JJavaError
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from lakehouse.errors import StoreError
from lakehouse.records import Commit
from lakehouse.settings import BUCKETS

# Above this many literals a predicate costs more to plan than it saves in files.
MOST_PARTITIONS = 400


class Lake:
    """Tables under one root: `file:///…`, `s3a://` (a bucket a layer) or `s3a://bucket/prefix` (a folder a layer)."""

    def __init__(self, spark: SparkSession, root: str) -> None:
        self._spark, self._root = spark, root.rstrip("/")

    def path(self, layer: str, table: str) -> str:
        """Where a table lies."""
        separator = "//" if self._root == "s3a:" else "/"
        return f"{self._root}{separator}{layer}/{table}"

    def check(self) -> None:
        """Raises StoreError in one sentence when the lake cannot be reached, before any work is done."""
        for layer in BUCKETS:
            path = self.path(layer, "_")
            try:
                self._files(path).exists(self._hadoop_path(path))
            except Py4JJavaError as e:
                raise StoreError(f"the lake at {self.path(layer, '')} does not answer ({_kind(e)}); check LAKEHOUSE_LAKE, "
                                 f"AWS_ENDPOINT_URL, the credentials and that the bucket exists") from None  # fmt: skip

    def head(self, layer: str, table: str, known: int | None = None) -> int | None:
        """The newest version, None where there is no table; `known`, a version that exists, makes it one look."""
        if known is not None and not self._has(layer, table, known):
            raise StoreError(f"{self.path(layer, table)} has no version {known}, which the ledger says is published; "
                             f"restore the lake from its backup")  # fmt: skip
        if known is None:
            log = self.path(layer, table) + "/_delta_log"
            found = self._files(log).globStatus(self._hadoop_path(log + "/*.json"))
            if not found:
                return None
            known = max(int(s.getPath().getName().removesuffix(".json")) for s in found)
        while self._has(layer, table, known + 1):
            known += 1
        return known

    def read(self, layer: str, table: str, version: int) -> DataFrame:
        """A table as it was at a version."""
        return self._spark.read.format("delta").option("versionAsOf", version).load(self.path(layer, table))

    def restore(self, layer: str, table: str, version: int) -> int:
        """Puts the content of a version back as the head; returns the new head."""
        DeltaTable.forPath(self._spark, self.path(layer, table)).restoreToVersion(version)
        return self._written(layer, table, version).version

    def clear(self, layer: str, table: str) -> None:
        """Empties a table that was never published; its files stay for who wants to look."""
        DeltaTable.forPath(self._spark, self.path(layer, table)).delete()

    def create(self, schema: StructType, layer: str, table: str) -> Commit:
        """Makes a table without rows."""
        # Delta compares the place with its normal form, and `file:///` is not that.
        place = self._hadoop_path(self.path(layer, table)).toString()
        DeltaTable.create(self._spark).location(place).addColumns(schema).execute()
        return self._written(layer, table, None)

    def add_partition(
        self, frame: DataFrame, layer: str, table: str, partition: Mapping[str, str], head: int | None
    ) -> Commit:
        """Writes the frame into a partition that holds nothing."""
        columns = {name: F.lit(value) for name, value in partition.items()}
        return self.append(frame.withColumns(columns), layer, table, tuple(partition), head)

    def replace_partition(
        self, frame: DataFrame, layer: str, table: str, partition: Mapping[str, str], head: int
    ) -> Commit:
        """Makes the frame the whole content of one partition."""
        columns = {name: F.lit(value) for name, value in partition.items()}
        where = " and ".join(f"{name} = '{value}'" for name, value in partition.items())
        return self._save(
            frame.withColumns(columns), layer, table, tuple(partition), head, mergeSchema="true", replaceWhere=where
        )

    def overwrite(
        self, frame: DataFrame, layer: str, table: str, partitions: Sequence[str], head: int | None
    ) -> Commit:
        """Makes the frame the whole content and the schema of a table."""
        return self._save(frame, layer, table, partitions, head, overwriteSchema="true")

    def append(self, frame: DataFrame, layer: str, table: str, partitions: Sequence[str], head: int | None) -> Commit:
        """Adds rows, in files of their own; columns that are new join the table."""
        writer = self._writer(frame, partitions, mergeSchema="true").mode("append")
        writer.save(self.path(layer, table))
        return self._written(layer, table, head)

    def merge(
        self, frame: DataFrame, layer: str, table: str, key: Sequence[str], old: Sequence[Mapping[str, str]], head: int
    ) -> Commit:
        """Updates rows whose key is there, inserts the others. `old`: the partitions that hold the rows to update."""
        match = [f"t.{k} = s.{k}" for k in key]
        if 0 < len(old) <= MOST_PARTITIONS and old[0]:
            match.append("(" + " or ".join(f"({_literal(p)})" for p in old) + ")")
        (
            DeltaTable.forPath(self._spark, self.path(layer, table))
            .alias("t")
            .merge(frame.alias("s"), " and ".join(match))
            .withSchemaEvolution()
            .whenMatchedUpdateAll()
            .whenNotMatchedInsertAll()
            .execute()
        )
        return self._written(layer, table, head)

    def _save(
        self, frame: DataFrame, layer: str, table: str, partitions: Sequence[str], head: int | None, **options: str
    ) -> Commit:
        self._writer(frame, partitions, **options).mode("overwrite").save(self.path(layer, table))
        return self._written(layer, table, head)

    @staticmethod
    def _writer(frame: DataFrame, partitions: Sequence[str], **options: str):  # type: ignore[no-untyped-def]
        return frame.write.format("delta").options(**options).partitionBy(*partitions)

    def _written(self, layer: str, table: str, before: int | None) -> Commit:
        """The commit just made, with its own figures; of a write without rows Delta may make none."""
        version = self.head(layer, table, before)
        assert version is not None  # noqa: S101 - the write returned, so its version is there
        if version == before:
            return Commit(version, 0, 0)
        path = f"{self.path(layer, table)}/_delta_log/{version:020d}.json"
        stream = self._files(path).open(self._hadoop_path(path))
        try:
            text = self._jvm.org.apache.commons.io.IOUtils.toString(stream, "UTF-8")
        finally:
            stream.close()
        for line in text.splitlines():
            if "commitInfo" in line:
                metrics = json.loads(line)["commitInfo"].get("operationMetrics", {})
                return Commit(version, int(metrics.get("numOutputRows", 0)),
                              int(metrics.get("numOutputBytes", metrics.get("numTargetBytesAdded", 0))))  # fmt: skip
        return Commit(version, 0, 0)

    def _has(self, layer: str, table: str, version: int) -> bool:
        path = f"{self.path(layer, table)}/_delta_log/{version:020d}.json"
        return bool(self._files(path).exists(self._hadoop_path(path)))

    @cached_property
    def _jvm(self) -> JavaObject:
        return self._spark._jvm

    @cached_property
    def _conf(self) -> JavaObject:
        return self._spark._jsparkSession.sessionState().newHadoopConf()

    def _files(self, path: str) -> JavaObject:
        return self._hadoop_path(path).getFileSystem(self._conf)

    def _hadoop_path(self, path: str) -> JavaObject:
        return self._jvm.org.apache.hadoop.fs.Path(path)


def _literal(partition: Mapping[str, str]) -> str:
    return " and ".join(f"t.{k} is null" if v is None else f"t.{k} = '{v}'" for k, v in partition.items())


def _kind(error: Py4JJavaError) -> str:
    """The Java error's class: its message may hold what does not belong in a log."""
    return str(error.java_exception.getClass().getSimpleName())

"""The lake: Delta tables by layer and name, read at a version, written a day, a merge or a whole table at a time.

Every commit bears the stamp of the run that made it, and what a write left in the log is read back: a version that bears
another stamp, above or below one's own, is never taken for one's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import date
from typing import Any

from delta.tables import DeltaTable
from py4j.java_gateway import JavaObject
from py4j.protocol import Py4JJavaError
from pyspark.errors.exceptions.captured import CapturedException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from lakehouse.errors import LedgerError, StoreError
from lakehouse.lake import log
from lakehouse.lake.fence import check_log_store
from lakehouse.lake.files import answering, kinds
from lakehouse.lake.reading import LostError, Reading, way_out
from lakehouse.records import RUNS_OF, Commit, Stamp

# Above this many literals a predicate costs more to plan than it saves in files.
MOST_PARTITIONS = 400
USER_METADATA = "spark.databricks.delta.commitInfo.userMetadata"
KEEPS_LOG = {"delta.enableExpiredLogCleanup": "false"}
# What Delta raises for a restore to a version whose data files are not there any more.
LACKS_FILES = ("IllegalArgumentException", "FileNotFoundException")


class Lake(Reading):
    """Tables under one root: `file:///…`, `s3a://` (a bucket a layer) or `s3a://bucket/prefix` (a folder a layer)."""

    def __init__(self, spark: SparkSession, root: str, storage: Mapping[str, str] | None = None) -> None:
        super().__init__(spark, root, storage)
        self._stamp: Stamp | None = None
        # Called before a write and again when its commit is there; raises when the run has lost its right to write.
        self.guard: Callable[[], None] = lambda: None

    def stamp(self, ledger_id: str, run_id: str, layer: str, business_date: date) -> None:
        """Sets who commits from now on in this process: one run at a time, whose threads share the stamp."""
        self._stamp = Stamp(ledger_id, run_id, layer, business_date)
        # A write of a frame is told by an option; a merge, a restore, a delete and the like know only the session's.
        self._spark.conf.set(USER_METADATA, log.words(self._stamp))

    def unstamp(self) -> None:
        """From now on nobody commits."""
        self._stamp = None
        self._spark.conf.unset(USER_METADATA)

    def answering(self) -> AbstractContextManager[None]:
        """Around work on the lake: raises StoreError, in a sentence, for what the store did not answer or refused."""
        return answering(self.root)

    def check(self) -> None:
        """Raises StoreError in one sentence when the lake cannot be reached, before any work is done.

        Raises SetupError where a lake on s3a lacks its fence.
        """
        if self.root.startswith("s3a:"):
            check_log_store(self._spark)
        for layer in RUNS_OF:
            with self.answering():
                self.files.exists(self.path(layer, "_"))

    def restore(self, layer: str, table: str, version: int) -> int:
        """Puts the content of a version back as the head; returns the new head.

        Raises LostError where data files of the version are gone, which only a vacuum or a hand can have deleted.
        """
        head = self.head(layer, table, version)
        try:
            return self._write(layer, table, head, lambda: self._table(layer, table).restoreToVersion(version)).version
        except (Py4JJavaError, CapturedException) as e:
            if not any(kind.endswith(LACKS_FILES) for kind in kinds(e)):
                raise
            raise LostError(f"version {version} of {layer}.{table}, which is published, cannot be restored: data files of it "
                            f"are gone from {self.path(layer, table)}, as after a vacuum without retention; {way_out(layer)}"
                            ) from None  # fmt: skip

    def clear(self, layer: str, table: str, ledger_id: str) -> None:
        """Empties a table that was never published; its files stay for who wants to look.

        Raises LedgerError unless each of its commits bears a stamp of this ledger; in a lake that belongs to it those of what
        is made of bronze may be cleaned up, or bear none.
        """
        held, commits = self.log(layer, table), self.commits(layer, table, -1)
        is_ours = {c.version for c in commits if c.ledger == ledger_id} == set(range((held.head or 0) + 1))
        if layer != "bronze" and self.identity() == ledger_id:
            is_ours = all(c.ledger in (None, ledger_id) for c in commits)
        if held.head is None or not is_ours:
            raise LedgerError(f"the lake holds {layer}.{table}, which this ledger never published: point LAKEHOUSE_LAKE at an "
                              f"empty place, or LAKEHOUSE_GOLD_DSN at its own ledger")  # fmt: skip
        self._write(layer, table, held.head, self._table(layer, table).delete)

    def keep_log(self, layer: str, table: str, head: int) -> int | None:
        """Keeps Delta from cleaning a table's log up by age, as only we know what is published or pinned.

        Returns the new head where that took a commit, None where the table was so already, as every new one is.
        """
        kept = self.delta_log(layer, table).unsafeVolatileSnapshot().metadata().configuration()
        if all(kept.contains(name) and kept.apply(name) == value for name, value in KEEPS_LOG.items()):
            return None
        return self.set_properties(layer, table, head, KEEPS_LOG).version

    def set_properties(self, layer: str, table: str, head: int, properties: Mapping[str, str]) -> Commit:
        """Sets properties of a table, by a commit that names no data file."""
        listed = ", ".join(f"'{name}' = '{value}'" for name, value in properties.items())
        return self._write(
            layer, table, head, lambda: self._sql(f"alter table {{}} set tblproperties ({listed})", layer, table)
        )

    def change(self, layer: str, table: str, head: int, action: Callable[[DeltaTable], object]) -> Commit:
        """Carries out a change of the caller's, as one commit at most."""
        return self._write(layer, table, head, lambda: action(self._table(layer, table)))

    def delta_log(self, layer: str, table: str) -> JavaObject:
        """Delta's own view of a table."""
        log_of = self.files.jvm.org.apache.spark.sql.delta.DeltaLog
        return log_of.forTable(self._spark._jsparkSession, self.path(layer, table))

    def compact(self, layer: str, table: str, head: int) -> Commit:
        """Joins small files of a table; same content, and a new version where there was anything to join."""
        return self._write(layer, table, head, self._table(layer, table).optimize().executeCompaction)

    def create(self, schema: StructType, layer: str, table: str) -> Commit:
        """Makes a table without rows."""
        # Delta compares the place with its normal form, and `file:///` is not that.
        place = self.files.place(self.path(layer, table)).toString()
        return self._write(
            layer, table, None, DeltaTable.create(self._spark).location(place).addColumns(schema).execute
        )

    def replace_partition(
        self,
        frame: DataFrame,
        layer: str,
        table: str,
        partition: Mapping[str, str],
        head: int,
        facts: Mapping[str, Any] | None = None,
    ) -> Commit:
        """Makes the frame, whose rows all bear the partition's values, the whole content of one partition."""
        where = " and ".join(f"{name} = '{value}'" for name, value in partition.items())
        options = {"mergeSchema": "true", "replaceWhere": where}
        return self._save(frame, "overwrite", layer, table, tuple(partition), head, facts, options)

    def overwrite(
        self,
        frame: DataFrame,
        layer: str,
        table: str,
        partitions: Sequence[str],
        head: int | None,
        facts: Mapping[str, Any] | None = None,
    ) -> Commit:
        """Makes the frame the whole content and the schema of a table."""
        return self._save(frame, "overwrite", layer, table, partitions, head, facts, {"overwriteSchema": "true"})

    def append(
        self,
        frame: DataFrame,
        layer: str,
        table: str,
        partitions: Sequence[str],
        head: int | None,
        facts: Mapping[str, Any] | None = None,
    ) -> Commit:
        """Adds rows, in files of their own; columns that are new join the table."""
        return self._save(frame, "append", layer, table, partitions, head, facts, {"mergeSchema": "true"})

    def merge(
        self,
        frame: DataFrame,
        layer: str,
        table: str,
        key: Sequence[str],
        old: Sequence[Mapping[str, str]],
        head: int,
        leaves: str | None = None,
    ) -> Commit:
        """Updates rows whose key is there, inserts the others. `old`: the partitions that hold the rows to update.

        `leaves`: a column of the frame that marks keys whose row is deleted.
        """
        match = [f"t.{k} = s.{k}" for k in key]
        if 0 < len(old) <= MOST_PARTITIONS and old[0]:
            match.append("(" + " or ".join(f"({_literal(p)})" for p in old) + ")")
        merge = self._table(layer, table).alias("t").merge(frame.alias("s"), " and ".join(match)).withSchemaEvolution()
        if leaves is None:
            merge = merge.whenMatchedUpdateAll().whenNotMatchedInsertAll()
        else:
            columns: dict[str, str | Column] = {c: f"s.{c}" for c in frame.columns if c != leaves}
            merge = merge.whenMatchedDelete(f"s.{leaves}").whenMatchedUpdate(set=columns)
            merge = merge.whenNotMatchedInsert(f"not s.{leaves}", columns)
        return self._write(layer, table, head, merge.execute)

    def rewrite(
        self,
        frame: DataFrame,
        layer: str,
        table: str,
        key: Sequence[str],
        places: Sequence[Mapping[str, str]],
        head: int,
        *,
        updated: int,
        deleted: int,
        leaves: str | None = None,
    ) -> Commit | None:
        """As `merge`, for a small frame, by one write in the place of half a dozen queries: the rows of `places` that no key
        of the frame names, and the frame's own. None, and nothing done, where the files of a version are not to be named.

        `places`: the partitions that hold rows of these keys or will hold them; none for a table that has no partitions.
        `updated`, `deleted`: rows that the caller knows to be replaced, and to be gone. What the commit then counts as
        inserted is what the files before and after leave for it.
        """
        found = self.known_files(layer, table, head, places)
        if found is None or found.rows is None or len(places) > MOST_PARTITIONS:
            return None
        comes = frame if leaves is None else frame.where(f"not {leaves}").drop(leaves)
        rows = self.replaced(layer, table, head, found, F.broadcast(frame.select(*key)), comes, places)
        options = {"mergeSchema": "true"}
        if places:
            options["replaceWhere"] = " or ".join(f"({_literal(p, '')})" for p in places)
        commit = self._save(rows, "overwrite", layer, table, tuple(places[0]) if places else (), head, None, options)
        return replace(commit, inserted=commit.rows - found.rows + deleted, updated=updated, deleted=deleted)

    def _save(
        self,
        frame: DataFrame,
        mode: str,
        layer: str,
        table: str,
        partitions: Sequence[str],
        head: int | None,
        facts: Mapping[str, Any] | None,
        options: Mapping[str, str],
    ) -> Commit:
        said = {"userMetadata": log.words(self._stamp, facts)} if self._stamp else {}
        writer = frame.write.format("delta").mode(mode).options(**options, **said).partitionBy(*partitions)
        return self._write(layer, table, head, lambda: writer.save(self.path(layer, table)))

    def _write(self, layer: str, table: str, before: int | None, action: Callable[[], object]) -> Commit:
        """Carries out what commits to a table. Raises what `guard` raises, and StoreError for a commit of anybody else."""
        self.guard()
        action()
        self.guard()
        return self._written(layer, table, before)

    def _written(self, layer: str, table: str, before: int | None) -> Commit:
        """The commit just made, with its own figures; of a write without rows Delta may make none."""
        version, commit = self._newest(layer, table), None
        for number in range(-1 if before is None else before, version):
            info = self._commit_info(layer, table, number + 1)
            by = log.stamped(number + 1, info)
            if (by.ledger, by.run) != ((self._stamp.ledger, self._stamp.run) if self._stamp else (None, None)):
                raise StoreError(f"version {by.version} of {layer}.{table} was committed by {by.run or 'no run of ours'} while "
                                 f"this run wrote to it: nothing is published; see that only one run of {layer} is at work, "
                                 f"then run again")  # fmt: skip
            commit = log.figures(number + 1, info)
        return commit or Commit(version, 0, 0)

    def _newest(self, layer: str, table: str) -> int:
        version = self.head(layer, table)
        if version is None:
            raise StoreError(f"there is no table at {self.path(layer, table)}; restore the lake from its backup")
        return version

    def _table(self, layer: str, table: str) -> DeltaTable:
        return DeltaTable.forPath(self._spark, self.path(layer, table))

    def _sql(self, statement: str, layer: str, table: str) -> DataFrame:
        return self._spark.sql(statement.format(f"delta.`{self.path(layer, table).replace('`', '``')}`"))


def _literal(partition: Mapping[str, str], prefix: str = "t.") -> str:
    return " and ".join(f"{prefix}{k} is null" if v is None else f"{prefix}{k} = '{v}'" for k, v in partition.items())

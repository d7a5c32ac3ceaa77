"""The query from Kafka to the live tables: one for all topics, so that a small machine plans and waits once.

A batch is brought into each table of which it holds events by one merge, which Delta knows by the batch's number: a batch
that is done again, as after a kill between the merge and Spark's own note of it, makes no version. Beside it this process
alone writes to live tables: what a night has brought is deleted under the same lock.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Lock
from uuid import uuid4

from delta.tables import DeltaTable
from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery

from lakehouse import address, log
from lakehouse.contracts import Contract
from lakehouse.errors import DriftError, LakehouseError, StoreError, frames, safe_words
from lakehouse.frame.checkpoint import checkpoint
from lakehouse.lake.files import kinds, sentence
from lakehouse.live import LAYER, events
from lakehouse.live.merge import PROPERTIES, compact, merge, schema
from lakehouse.live.place import alone, folder, last_batch, require_bucket
from lakehouse.live.settings import LiveSettings
from lakehouse.parts import Lakehouse
from lakehouse.source.postgres import SCHEMA

TXN_APP, TXN_VERSION = "spark.databricks.delta.write.txnAppId", "spark.databricks.delta.write.txnVersion"
MOST_EVENTS = 50_000
POLL_SECONDS = 15
# What an error of Kafka's clients is made of, or quotes where Spark hands on no more than its text.
OF_KAFKA = "org.apache.kafka."
LOST = ("data loss", "DATA_LOSS", "failOnDataLoss", "OffsetOutOfRange")


class Stream:
    """The live tables of a lakehouse and the query that keeps them. Raises StoreError, DriftError and BusyError."""

    def __init__(self, lakehouse: Lakehouse, live: LiveSettings) -> None:
        self.lakehouse, self._live = lakehouse, live
        self.contracts = lakehouse.contracts["bronze"]
        self.folder = folder(lakehouse.settings.home)
        self.writing = Lock()
        self._fault: Exception | None = None
        self._warned = set[tuple[str, str]]()

    def run(self, between: Callable[[], object], *, once: bool = False) -> None:
        """Keeps the tables until the process is ended, or with `once` until they hold what Kafka has now.

        `between` is called every now and then while no batch is written.
        """
        spark = self.lakehouse.spark
        with alone(self.folder):
            require_bucket(self.lakehouse.settings)
            with self.lakehouse.lake.answering():
                self._ensure_all(spark)
            before = self._committed()
            try:
                self._follow(spark, between, once=once)
            except StreamingQueryException as e:
                # Spark 4.1's Kafka source does a batch of before its start again, rightly, and then fails to count it.
                if isinstance(self._fault, LakehouseError) or self._committed() == before:
                    raise self._sentence(e) from None
                self._fault = None
                log.warning("live.started_again", message="the query ended after a batch that was done")
                try:
                    self._follow(spark, between, once=once)
                except StreamingQueryException as again:
                    raise self._sentence(again) from None

    def _follow(self, spark: SparkSession, between: Callable[[], object], *, once: bool) -> None:
        query = self._start(spark, once=once)
        try:
            while not query.awaitTermination(POLL_SECONDS):
                with self.writing:
                    try:
                        between()
                    except LakehouseError as e:  # such as a ledger that does not answer, or that no night has made yet
                        log.warning("live.not_reset", reason=safe_words(e))
        finally:
            with suppress(Exception):
                query.stop()

    def _start(self, spark: SparkSession, *, once: bool) -> StreamingQuery:
        tables = "|".join(self.contracts)
        reader = spark.readStream.format("kafka").options(
            **{
                "kafka.bootstrap.servers": self._live.kafka,
                "subscribePattern": rf"{self._live.topics}\.{SCHEMA}\.({tables})",
                "startingOffsets": "earliest",
                "failOnDataLoss": "true",
                "maxOffsetsPerTrigger": str(MOST_EVENTS),
            }
        )
        messages = reader.load().select(
            F.element_at(F.split("topic", r"\."), -1).alias("table"),
            F.col("value").cast("string"),
            "partition",
            "offset",
        )
        # Not as_uri(): Hadoop takes %20 for what it says.
        place = f"file://{self._checkpoint()}"
        writer = messages.writeStream.foreachBatch(self._batch).option("checkpointLocation", place)
        seconds = f"{self._live.trigger.total_seconds():g} seconds"
        return (writer.trigger(availableNow=True) if once else writer.trigger(processingTime=seconds)).start()

    def _batch(self, batch: DataFrame, number: int) -> None:
        # A cached frame is none that Delta merges from.
        try:
            batch = checkpoint(batch, eager=True)
            with self.writing:
                found = _tables(batch)
                if max(found.values(), default=0):
                    raise DriftError(
                        "a topic has more than one partition, and changes no order: make it again with one"
                    )
                for table in sorted(found):
                    self._bring(batch, number, self.contracts[table])
        except Exception as e:
            self._fault = e
            raise

    def _bring(self, batch: DataFrame, number: int, contract: Contract) -> None:
        spark = batch.sparkSession
        changes = events.parse(batch.where(F.col("table") == contract.table), contract)
        seen = events.look(changes)
        if not seen.events:  # tombstones alone
            return
        for column in sorted(events.check(seen, contract)):
            if (contract.table, column) not in self._warned:
                self._warned.add((contract.table, column))
                log.warning("live.unknown_column", table=contract.table, column=column)
        # They hold for every write of the session: one table at a time, and gone afterwards.
        spark.conf.set(TXN_APP, f"live-{contract.table}-{self._checkpoint().name}")
        spark.conf.set(TXN_VERSION, str(number))
        try:
            table = DeltaTable.forPath(spark, self.path(contract.table))
            merge(table, compact(changes, contract, seen.truncated), contract, seen.truncated)
        finally:
            spark.conf.unset(TXN_APP)
            spark.conf.unset(TXN_VERSION)
        log.event("live.batch", table=contract.table, batch=number, events=seen.events)

    def path(self, table: str) -> str:
        """Where a live table lies."""
        return address.table(self.lakehouse.settings.lake_root, LAYER, table)

    def _ensure_all(self, spark: SparkSession) -> None:
        """Makes the tables that are not there, before the first batch; raises StoreError for one that is gone after it."""
        missing = {t for t in self.contracts if not DeltaTable.isDeltaTable(spark, self.path(t))}
        if missing and self._committed() >= 0:
            raise StoreError(f"the stream has read on behind tables that the lake does not have, live.{', live.'.join(sorted(missing))}, "
                             f"as after a restore or for a contract that is new: begin again with `lakehouse live reset "
                             f"--all`")  # fmt: skip
        for table, contract in self.contracts.items():
            self._ensure(spark, contract, is_there=table not in missing)

    def _ensure(self, spark: SparkSession, contract: Contract, *, is_there: bool) -> None:
        path, wanted = self.path(contract.table), schema(contract)
        if not is_there:
            # Delta compares the place with its normal form, and `file:///` is not that.
            place = self.lakehouse.lake.files.place(path).toString()
            made = DeltaTable.create(spark).location(place).addColumns(wanted)
            for name, value in PROPERTIES.items():
                made = made.property(name, value)
            made.execute()
        elif spark.read.format("delta").load(path).schema.simpleString() != wanted.simpleString():
            raise DriftError(f"live.{contract.table} has other columns than its contract now says: begin again with "
                             f"`lakehouse live reset --all`")  # fmt: skip

    def _checkpoint(self) -> Path:
        """The folder of this stream's checkpoint; its name is in what Delta knows a batch by, as numbers begin again."""
        for found in self.folder.glob("checkpoint-*"):
            return found
        made = self.folder / f"checkpoint-{uuid4().hex}"
        made.mkdir()
        return made

    def _committed(self) -> int:
        """The number of the last batch that Spark has noted as done; -1 for none."""
        return last_batch(self.folder)[0]

    def _sentence(self, error: StreamingQueryException) -> LakehouseError:
        """What ended the query: what a batch of ours met, or else what the query itself did."""
        cause = self._fault or error
        if isinstance(cause, LakehouseError):
            return cause
        words = f"{error} {cause}"
        if any(sign in words for sign in LOST):
            return StoreError("Kafka no longer has events that the live tables never saw: begin again with `lakehouse live "
                              "reset --all` and a new snapshot (docs/live.md)")  # fmt: skip
        if OF_KAFKA in words or any(kind.startswith(OF_KAFKA) for kind in kinds(cause)):
            return StoreError(f"the live stream ended ({safe_words(cause)}): see that Kafka answers at {self._live.kafka}, then "
                              f"start it again")  # fmt: skip
        if of_store := sentence(kinds(cause), self.lakehouse.settings.lake_root):
            return StoreError(f"the live stream ended, as {of_store}")
        log.warning("live.failed", kinds=kinds(cause), frames=frames(cause))
        return StoreError(f"the live stream ended ({safe_words(cause)}), and not by Kafka: start it again; where it came from "
                          f"is in the line live.failed before this one")  # fmt: skip


def _tables(batch: DataFrame) -> dict[str, int]:
    """The tables that a batch has events of, and the highest partition of each."""
    return dict(batch.groupBy("table").agg(F.max("partition")).collect())

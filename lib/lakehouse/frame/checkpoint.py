"""Checkpoints: a frame computed once and cut off from what it was made of, so that those who read it do not compute it again."""

from __future__ import annotations

from pyspark import StorageLevel
from pyspark.sql import DataFrame

from lakehouse.errors import ConfigError

# Where the rows of a checkpoint lie: on the executors, in one copy unless the options of a cluster say otherwise.
OPTION = "spark.lakehouse.checkpoint.storageLevel"
ONE_COPY = "MEMORY_AND_DISK"


def checkpoint(frame: DataFrame, *, eager: bool) -> DataFrame:
    """The same rows. `eager`: computed now; otherwise by the first who reads them.

    A checkpoint cannot be computed again: where the only executor that holds a part of it ends, so does the run. Raises
    ConfigError for a storage level that Spark does not know.
    """
    name = str(frame.sparkSession.conf.get(OPTION, ONE_COPY))
    level = getattr(StorageLevel, name, None)
    if not isinstance(level, StorageLevel) or not level.useDisk:
        raise ConfigError(f"{OPTION} is {name!r}, which is no storage level of Spark with a place on disk: set "
                          f"{ONE_COPY}, or {ONE_COPY}_2 for two copies")  # fmt: skip
    # As the rows they are: a block of bytes that has found no room and lies on disk would be read back into memory whole.
    as_rows = StorageLevel(level.useDisk, level.useMemory, level.useOffHeap, True, level.replication)
    return frame.localCheckpoint(eager, as_rows)

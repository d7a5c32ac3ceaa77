"""The fence of a lake on s3a: whether Delta commits through it, and whether the store keeps what it relies on.

The fence itself is a log store in Java (lib/java): the object store decides who makes a version of a table. Without it two
drivers that commit at the same time overwrite each other, and both are told that they succeeded.
"""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from lakehouse import address
from lakehouse.errors import SetupError, StoreError
from lakehouse.lake.files import EXISTS, NO_CONDITION, Files, kinds, sentence

OPTION = "spark.delta.logStore.s3a.impl"
FENCE = "lakehouse.ConditionalCreateLogStore"
WRITERS = 16


@dataclass(frozen=True)
class Race:
    """What became of writers of one key: who made it, who were told that it exists, and other errors by their class."""

    made: tuple[int, ...]
    refused: tuple[int, ...]
    failed: tuple[str, ...]
    held: str | None

    @property
    def is_decided(self) -> bool:
        """Whether the store let exactly one in, told all others, and holds what that one wrote."""
        return len(self.made) == 1 and not self.failed and self.held == _entry(self.made[0])


def has_class(spark: SparkSession, name: str) -> bool:
    """Whether Spark finds a Java class among its jars."""
    try:
        Files(spark).jvm.org.apache.spark.util.Utils.classForName(name, True, False)
    except Py4JJavaError:
        return False
    return True


def check_log_store(spark: SparkSession) -> str:
    """The class by which Delta commits to s3a. Raises SetupError where its jar is missing, or where none is set."""
    name = spark.conf.get(OPTION, None)
    if name is None:
        raise SetupError(f"nothing keeps two drivers from overwriting each other's commits on s3a: set {OPTION} as "
                         f"spark-defaults.conf does")  # fmt: skip
    if not has_class(spark, name):
        raise SetupError(f"Spark does not find {name}, by which Delta commits to s3a: run make setup; another Spark "
                         f"than that of .venv needs its pyspark/jars/lakehouse-fence.jar too")  # fmt: skip
    return name


def check_race(spark: SparkSession, root: str, files: Files, writers: int = WRITERS) -> Race:
    """Lets writers create one key at once in a folder of its own, which is gone afterwards.

    Raises StoreError unless exactly one is let in and every other is told that the file exists.
    """
    folder = f"{address.layer(root, 'silver')}/_doctor-{uuid.uuid4().hex}"
    try:
        found = race(spark, f"{folder}/_delta_log/{0:020d}.json", files, writers)
    finally:
        files.delete_folder(folder)
    if NO_CONDITION in found.failed or len(found.made) > 1:
        raise StoreError(sentence([NO_CONDITION], root))
    if not found.is_decided:
        others = sorted({kind.rsplit(".", 1)[-1] for kind in found.failed})
        said = f" (the rest: {', '.join(others)})" if others else ""
        raise StoreError(f"the store of the lake at {root} does not decide who commits: of {writers} writers of one new file "
                         f"{len(found.made)} were let in and {len(found.refused)} were told that it exists{said}; look at "
                         f"the store, then run lakehouse doctor again")  # fmt: skip
    return found


def race(spark: SparkSession, path: str, files: Files, writers: int) -> Race:
    """Writers that create one file at once through the fence, each with words of its own."""
    store, start = files.jvm.lakehouse.ConditionalCreateLogStore(files.conf), Barrier(writers, timeout=60)

    def write(writer: int) -> str:
        lines = files.jvm.java.util.ArrayList()
        lines.add(_entry(writer).rstrip("\n"))
        start.wait()
        try:
            store.write(files.place(path), lines.iterator(), False, files.conf)
        except Py4JJavaError as e:
            # What the log store did not know the fate of, it wraps: the error behind that says more.
            return next((kind for kind in kinds(e) if kind != "java.io.IOException"), "java.io.IOException")
        return ""

    with ThreadPoolExecutor(writers) as threads:
        said = list(threads.map(write, range(writers)))
    made, refused = ([n for n, kind in enumerate(said) if kind == wanted] for wanted in ("", EXISTS))
    return Race(
        made=tuple(made),
        refused=tuple(refused),
        failed=tuple(kind for kind in said if kind not in ("", EXISTS)),
        held=files.read(path),
    )


def _entry(writer: int) -> str:
    return f'{{"writer": {writer}}}\n'

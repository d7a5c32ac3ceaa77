"""Makes the class archive from which every later JVM of this environment starts in half the time.

A short run of what a day does (Delta writes, a merge, windows, a read) loads the classes; the JVM stores them, parsed and
laid out, as it ends. A JVM that the archive does not fit (another Java, other jars) ignores it.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from lakehouse.session import CLASS_ARCHIVE

ROOT = Path(__file__).parent.parent


def record() -> None:
    """Runs in a process of its own, whose JVM writes the archive when it ends."""
    from delta.tables import DeltaTable
    from pyspark.sql import SparkSession, Window
    from pyspark.sql import functions as F

    spark = SparkSession.builder.getOrCreate()
    with tempfile.TemporaryDirectory() as folder:
        rows = spark.range(1000).select(
            F.col("id"), (F.col("id") % 7).alias("part"), F.col("id").cast("string").alias("t")
        )
        rows = rows.withColumn("amount", (F.col("id") * 1.5).cast("decimal(12,4)")).withColumn(
            "at", F.current_timestamp()
        )
        rows.write.format("delta").partitionBy("part").save(f"{folder}/a")
        table = DeltaTable.forPath(spark, f"{folder}/a")
        (
            table.alias("t")
            .merge(rows.where("id < 10").alias("s"), "t.id = s.id")
            .whenMatchedUpdateAll()
            .whenNotMatchedInsertAll()
            .execute()
        )
        first = F.row_number().over(Window.partitionBy("part").orderBy(F.desc("at"), "t"))
        read = spark.read.format("delta").option("versionAsOf", 1).load(f"{folder}/a").withColumn("n", first).persist()
        read.join(rows.select("id", F.upper("t").alias("u")), "id", how="left").groupBy("part").agg(
            F.count(F.when(F.col("n") == 1, 1)), F.sum("amount"), F.countDistinct("t"), F.max("u")
        ).collect()
        read.coalesce(1).write.format("delta").mode("overwrite").option("overwriteSchema", "true").save(f"{folder}/b")
        table.restoreToVersion(0)
    spark.stop()


def main() -> None:
    CLASS_ARCHIVE.parent.mkdir(parents=True, exist_ok=True)
    unfinished = CLASS_ARCHIVE.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    options = f"--properties-file '{ROOT / 'spark-defaults.conf'}' --conf spark.master=local[2]"
    java = f"--conf spark.driver.defaultJavaOptions=-XX:ArchiveClassesAtExit={unfinished}"
    environment = dict(
        os.environ, PYSPARK_SUBMIT_ARGS=f"{options} {java} pyspark-shell", PYTHONPATH=str(ROOT / "tools")
    )
    # The JVM holds this pipe open, so the read below ends when the JVM has written its archive and is gone.
    child = [sys.executable, "-c", "import classes; classes.record()"]
    done = subprocess.run(child, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode == 0 and unfinished.exists():
        unfinished.replace(CLASS_ARCHIVE)
    else:
        # A slower start is no reason to stop: everything works without it.
        print("  the class archive could not be made; every start of a JVM will take a few seconds more")


if __name__ == "__main__":
    main()

"""A driver of its own: a JVM that appends one row to a table for each line it is told, and says when it has.

python -m tests.lake.appending NAME TABLE LOG_STORE     with the store's address and keys in the environment
"""

from __future__ import annotations

import os
import sys

from pyspark.sql import SparkSession


def main(name: str, table: str, log_store: str) -> None:
    """Answers `ready`, then each number with itself once its row is committed."""
    spark = SparkSession.builder.getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    hadoop = spark.sparkContext._jsc.hadoopConfiguration()
    options = {"endpoint": "AWS_ENDPOINT_URL", "access.key": "AWS_ACCESS_KEY_ID", "secret.key": "AWS_SECRET_ACCESS_KEY"}
    for option, variable in options.items():
        hadoop.set(f"fs.s3a.{option}", os.environ[variable])
    hadoop.set("fs.s3a.path.style.access", "true")
    hadoop.set("fs.s3a.endpoint.region", "us-east-1")
    assert spark.conf.get("spark.delta.logStore.s3a.impl") == log_store
    _say("ready")
    for line in sys.stdin:
        row = spark.createDataFrame([(name, int(line))], "driver string, round int").coalesce(1)
        row.write.format("delta").mode("append").save(table)
        _say(line.strip())
    spark.stop()


def _say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])

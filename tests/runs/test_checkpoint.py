"""A checkpoint outlives an executor where a cluster's options ask for two copies of it, and only there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from lakehouse.errors import ConfigError
from lakehouse.frame.checkpoint import OPTION, checkpoint

ROOT = Path(__file__).parent.parent.parent
# In a process of its own: two executors that share nothing with the driver, of which the test ends one.
LOSES_AN_EXECUTOR = """
import time, psutil
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from lakehouse.frame.checkpoint import OPTION, checkpoint
builder = SparkSession.builder.master("local-cluster[2,1,1024]").config("spark.executor.memory", "512m")
spark = builder.config("spark.ui.enabled", "false").getOrCreate()
spark.sparkContext.setLogLevel("OFF")
while len(spark.sparkContext._jsc.sc().statusTracker().getExecutorInfos()) < 3:
    time.sleep(0.1)
kept = {}
for level in ("MEMORY_AND_DISK_2", "MEMORY_AND_DISK"):
    spark.conf.set(OPTION, level)
    kept[level] = checkpoint(spark.range(0, 1000, 1, 4), eager=True)
processes = [p for p in psutil.Process().children(recursive=True) if p.status() != psutil.STATUS_ZOMBIE]
next(p for p in processes if "CoarseGrainedExecutorBackend" in " ".join(p.cmdline())).kill()
time.sleep(2)
for level, frame in kept.items():
    try:
        print(f"\\n{level} {frame.groupBy().sum('id').first()[0]}")
    except (PySparkException, Py4JJavaError) as e:
        print(f"\\n{level} {'is gone' if 'CHECKPOINT_RDD_BLOCK_ID_NOT_FOUND' in str(e) else 'failed otherwise'}")
"""


@pytest.mark.e2e
def test_two_copies_outlive_an_executor_and_one_does_not() -> None:
    kept = {k: v for k, v in os.environ.items() if k in ("HOME", "LANG", "JAVA_HOME", "PATH")}
    done = subprocess.run(
        [sys.executable, "-c", LOSES_AN_EXECUTOR], env={**kept, "SPARK_LOCAL_IP": "127.0.0.1"},
        text=True, capture_output=True, timeout=300, cwd=ROOT,
    )  # fmt: skip
    words = done.stdout.splitlines()
    assert "MEMORY_AND_DISK_2 499500" in words, done.stderr[-3000:]
    assert "MEMORY_AND_DISK is gone" in words


@pytest.mark.unit
@pytest.mark.parametrize("level", ["MEMORY", "memory_and_disk", "MEMORY_ONLY", "__doc__"])
def test_a_level_without_a_place_on_disk_is_refused(level: str) -> None:
    frame = SimpleNamespace(sparkSession=SimpleNamespace(conf={OPTION: level}))
    with pytest.raises(ConfigError, match=f"is '{level}'.*set MEMORY_AND_DISK, or MEMORY_AND_DISK_2"):
        checkpoint(frame, eager=True)  # type: ignore[arg-type]

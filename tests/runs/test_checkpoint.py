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
import sys, time, psutil
from pyspark.sql import SparkSession
from lakehouse.frame.checkpoint import OPTION, checkpoint
builder = SparkSession.builder.master("local-cluster[2,1,1024]").config(OPTION, sys.argv[1])
spark = builder.config("spark.ui.enabled", "false").config("spark.executor.memory", "512m").getOrCreate()
spark.sparkContext.setLogLevel("OFF")
def executors():
    return [p for p in psutil.Process().children(recursive=True) if "CoarseGrainedExecutorBackend" in " ".join(p.cmdline())]
while len(spark.sparkContext._jsc.sc().statusTracker().getExecutorInfos()) < 3:
    time.sleep(0.1)
kept = checkpoint(spark.range(0, 1000, 1, 4), eager=True)
executors()[0].kill()
time.sleep(2)
print("sum", kept.groupBy().sum("id").first()[0])
"""


@pytest.mark.e2e
@pytest.mark.parametrize(("level", "outlives"), [("MEMORY_AND_DISK_2", True), ("MEMORY_AND_DISK", False)])
def test_two_copies_outlive_an_executor_and_one_does_not(level: str, outlives: bool) -> None:
    kept = {k: v for k, v in os.environ.items() if k in ("HOME", "LANG", "JAVA_HOME", "PATH")}
    done = subprocess.run(
        [sys.executable, "-c", LOSES_AN_EXECUTOR, level], env={**kept, "SPARK_LOCAL_IP": "127.0.0.1"},
        text=True, capture_output=True, timeout=300, cwd=ROOT,
    )  # fmt: skip
    assert ("sum 499500" in done.stdout) is outlives, done.stderr[-3000:]
    assert outlives or "Checkpoint block" in done.stderr


@pytest.mark.unit
@pytest.mark.parametrize("level", ["MEMORY", "memory_and_disk", "MEMORY_ONLY", "__doc__"])
def test_a_level_without_a_place_on_disk_is_refused(level: str) -> None:
    frame = SimpleNamespace(sparkSession=SimpleNamespace(conf={OPTION: level}))
    with pytest.raises(ConfigError, match=f"is '{level}'.*set MEMORY_AND_DISK, or MEMORY_AND_DISK_2"):
        checkpoint(frame, eager=True)  # type: ignore[arg-type]

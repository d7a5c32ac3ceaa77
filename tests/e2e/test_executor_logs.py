"""On a cluster the rows of a failed query are in no executor's log, and its machines know one another by a secret."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conftest import free_port

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parents[2]
SECRET = "canary-spark-secret"
FAILING = """
import os
import pyarrow as pa
from pathlib import Path
from pyspark.errors import PySparkException
from pyspark.sql import functions as F
from lakehouse.errors import safe_words
from lakehouse.session import spark_session
from lakehouse.settings import Settings
spark = spark_session(Settings())
try:
    spark.createDataFrame(pa.table({"w": ["s3cret"]})).repartition(2).select(F.col("w").cast("int")).collect()
except PySparkException as e:
    print("failed as", safe_words(e))
# This program's own command line is its text.
commands = [f.read_bytes() for f in Path("/proc").glob("[0-9]*/cmdline") if f.parent.name != str(os.getpid())]
print("executors", 0 < sum(b"CoarseGrainedExecutorBackend" in c for c in commands))
print("shown", sum(b"canary-spark-secret" in c for c in commands))
print("encrypted", spark.sparkContext.getConf().get("spark.network.crypto.enabled"))
"""


@pytest.fixture
def master(tmp_path: Path) -> Iterator[str]:
    """A master and a worker of our own, on loopback, which share a secret by a file that is closed to others."""
    options = tmp_path / "spark.conf"
    options.touch(mode=0o600)
    options.write_text(
        f"spark.authenticate true\nspark.authenticate.secret {SECRET}\nspark.network.crypto.enabled true\n"
    )
    package = find_spec("pyspark")
    assert package is not None
    assert package.origin is not None
    home, port = Path(package.origin).parent, free_port()
    url = f"spark://127.0.0.1:{port}"
    environment = {**os.environ, "SPARK_HOME": str(home), "SPARK_LOCAL_IP": "127.0.0.1"}
    shared = ["--host", "127.0.0.1", "--properties-file", options]
    daemons = "org.apache.spark.deploy"
    commands = [
        [f"{daemons}.master.Master", *shared, "--port", str(port), "--webui-port", str(free_port())],
        [f"{daemons}.worker.Worker", *shared, "--webui-port", str(free_port()), "--work-dir", tmp_path / "work",
         "--cores", "1", "--memory", "1g", url],
    ]  # fmt: skip
    started = []
    try:
        for command in commands:
            with (tmp_path / "daemons.log").open("ab") as log:
                started.append(
                    subprocess.Popen([home / "bin" / "spark-class", *command], env=environment, stdout=log, stderr=log)
                )
        wait_for((tmp_path / "daemons.log"), "Successfully registered with master")
        yield url
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait(timeout=30)


def wait_for(log: Path, words: str) -> None:
    deadline = time.monotonic() + 90
    while words not in log.read_text(errors="replace"):
        assert time.monotonic() < deadline, log.read_text(errors="replace")[-3000:]
        time.sleep(0.2)


def test_an_executors_log_holds_no_value_of_a_row(master: str, tmp_path: Path) -> None:
    options = f"--properties-file {ROOT / 'spark-defaults.conf'} --master {master} --conf spark.executor.memory=512m pyspark-shell"
    environment = {
        **os.environ,
        "LAKEHOUSE_HOME": str(tmp_path / "home"),
        "LAKEHOUSE_SPARK_SECRET": SECRET,
        "PYSPARK_SUBMIT_ARGS": options,
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    done = subprocess.run(
        [sys.executable, "-c", FAILING], env=environment, capture_output=True, text=True, timeout=500, check=False
    )
    assert "failed as NumberFormatException CAST_INVALID_INPUT" in done.stdout, done.stderr[-3000:]
    assert done.stdout.split("\n")[1:4] == ["executors True", "shown 0", "encrypted true"]
    logs = [f for f in (tmp_path / "work").rglob("*") if f.is_file()]
    assert "stderr" in {f.name for f in logs}
    # Off from the first moment: a level that the driver sends may come late, or be lost when logging starts again.
    assert [f for f in logs if "Starting executor ID" in f.read_text(errors="replace")] == []
    assert [
        f.name
        for f in (*logs, tmp_path / "daemons.log")
        for w in ("s3cret", SECRET)
        if w in f.read_text(errors="replace")
    ] == []
    assert "s3cret" not in done.stdout + done.stderr

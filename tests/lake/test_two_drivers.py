"""Two drivers, each a JVM of its own, commit to one table at the same moment, round after round."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from deltalake import DeltaTable
from minio import Minio

from tests.conftest import ROOT, MinioForTests
from tests.faults.proxy import FaultProxy

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(1800)]

FENCE = "lakehouse.ConditionalCreateLogStore"
STOCK = "io.delta.storage.S3SingleDriverLogStore"
ROUNDS = 50
# Long enough for both to have looked whether the version is there before either makes it.
DELAY = 0.5


class Table:
    """The table as the store holds it, seen past the proxy."""

    def __init__(self, minio: MinioForTests, bucket: str) -> None:
        self._client = Minio(f"127.0.0.1:{minio.port}", minio.access_key, minio.secret_key, secure=False)
        self._options = {
            "aws_endpoint_url": minio.endpoint,
            "aws_access_key_id": minio.access_key,
            "aws_secret_access_key": minio.secret_key,
            "aws_region": "us-east-1",
            "aws_allow_http": "true",
        }
        self._bucket = bucket
        self.place = f"s3a://{bucket}/mugs"

    def versions(self) -> list[int]:
        """The versions that its log holds."""
        found = self._client.list_objects(self._bucket, "mugs/_delta_log/")
        names = [Path(str(o.object_name)) for o in found]
        return sorted(int(name.stem) for name in names if name.suffix == ".json")

    def rows(self) -> list[tuple[str, int]]:
        """Driver and round of every row."""
        table = DeltaTable(self.place.replace("s3a://", "s3://"), storage_options=self._options).to_pyarrow_table()
        return sorted((r["driver"], r["round"]) for r in table.to_pylist())


@contextmanager
def driver(
    name: str, table: str, log_store: str, endpoint: str, minio: MinioForTests
) -> Iterator[subprocess.Popen[str]]:
    """A driver in a process of its own, started and not yet waited for."""
    options = {"spark.master": "local[1]", "spark.driver.memory": "1g", "spark.delta.logStore.s3a.impl": log_store}
    arguments = ["--properties-file", str(ROOT / "spark-defaults.conf")]
    for option, value in options.items():
        arguments += ["--conf", f"{option}={value}"]
    environment = {
        **os.environ,
        "PYSPARK_SUBMIT_ARGS": shlex.join([*arguments, "pyspark-shell"]),
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": minio.access_key,
        "AWS_SECRET_ACCESS_KEY": minio.secret_key,
    }
    command = [sys.executable, "-m", "tests.lake.appending", name, table, log_store]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.stdin.close()  # type: ignore[union-attr]
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()


def tell(process: subprocess.Popen[str], round_: int) -> None:
    print(round_, file=process.stdin, flush=True)


def heard(process: subprocess.Popen[str]) -> str:
    """The next line it says; it fails here where the driver ended instead."""
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    assert line, "the driver ended"
    return line


def race(minio: MinioForTests, log_store: str, rounds: int) -> Iterator[tuple[int, Table]]:
    """The table after each round in which both drivers were told that their row is committed; round 0 is of one alone."""
    bucket = f"race-{uuid.uuid4().hex}"
    minio.make_bucket(bucket)
    table = Table(minio, bucket)
    with FaultProxy(minio.endpoint) as proxy, ExitStack() as started:
        drivers = [
            started.enter_context(driver(name, table.place, log_store, proxy.endpoint, minio)) for name in ("a", "b")
        ]
        assert [heard(d) for d in drivers] == ["ready", "ready"]
        tell(drivers[0], 0)
        assert heard(drivers[0]) == "0"
        proxy.delay(DELAY, "PUT", "*/_delta_log/*.json")
        for number in range(1, rounds + 1):
            for each in drivers:
                tell(each, number)
            assert [heard(d) for d in drivers] == [str(number)] * 2
            yield number, table


@pytest.mark.fault("F10")
def test_two_drivers_lose_nothing_in_fifty_rounds(minio: MinioForTests) -> None:
    for number, table in race(minio, FENCE, ROUNDS):
        assert table.versions() == list(range(2 * number + 1))
    assert table.rows() == sorted([("a", 0), *((name, n) for name in ("a", "b") for n in range(1, ROUNDS + 1))])


@pytest.mark.fault("F10")
def test_delta_s_own_log_store_loses_a_commit_in_the_same_rounds(minio: MinioForTests) -> None:
    """It shows that the test above can fail: both drivers were told that they succeeded, and rows are gone."""
    told = (
        (2 * number + 1, table) for number, table in race(minio, STOCK, ROUNDS) if len(table.versions()) <= 2 * number
    )
    count, table = next(told, (0, None))
    assert table is not None
    assert len(table.rows()) < count

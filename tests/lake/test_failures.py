"""A store that refuses or does not answer: in a sentence, with its code, and within a set time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from lakehouse.errors import StoreError
from lakehouse.lake.delta import Lake
from lakehouse.lake.files import NO_CONDITION, sentence
from tests.conftest import MinioForTests, free_port
from tests.lake.buckets import CANARY, bucket_lake


class SlowDown(BaseHTTPRequestHandler):
    """A store that is too busy, for ever."""

    requests = 0

    def do_HEAD(self) -> None:
        type(self).requests += 1
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def busy_store() -> Iterator[str]:
    SlowDown.requests = 0
    with ThreadingHTTPServer(("127.0.0.1", 0), SlowDown) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


WORK: dict[str, Callable[[Lake], object]] = {
    "look": lambda lake: lake.check(),
    "head": lambda lake: lake.head("silver", "mugs"),
    "identity": lambda lake: lake.identity(),
    "claim": lambda lake: lake.claim("ours"),
}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", WORK)
@pytest.mark.fault("F6")
def test_a_store_that_says_slow_down_for_ever_is_given_up(spark: SparkSession, busy_store: str, name: str) -> None:
    lake = bucket_lake(spark, busy_store)
    # The number of tries is the project's own; only the pauses between them are shorter here.
    lake.files.conf.set("fs.s3a.attempts.maximum", "1")
    for pause in ("fs.s3a.retry.interval", "fs.s3a.retry.throttle.interval"):
        lake.files.conf.set(pause, "10ms")
    with (
        pytest.raises(StoreError, match=r"does not answer or refused \(.*AWSServiceThrottledException") as e,
        lake.answering(),
    ):
        WORK[name](lake)
    assert CANARY not in str(e.value)
    assert e.value.exit_code == 7
    assert SlowDown.requests == (5 + 1) * 2


def test_all_pauses_between_tries_are_less_than_a_minute(spark: SparkSession) -> None:
    conf = Lake(spark, "s3a:").files.conf
    for kind in ("retry", "retry.throttle"):
        interval, tries = conf.get(f"fs.s3a.{kind}.interval"), int(conf.get(f"fs.s3a.{kind}.limit"))
        # Hadoop doubles each pause, and makes it up to half as long again by chance.
        assert 1.5 * sum(float(interval.removesuffix("s")) * 2**n for n in range(tries)) < 60


def test_a_store_that_is_not_there_and_a_wrong_key_are_said_in_a_sentence(
    spark: SparkSession, minio: MinioForTests
) -> None:
    away = bucket_lake(spark, f"http://127.0.0.1:{free_port()}")
    for name, value in {
        "fs.s3a.attempts.maximum": "1",
        "fs.s3a.retry.limit": "1",
        "fs.s3a.retry.interval": "10ms",
    }.items():
        away.files.conf.set(name, value)
    for lake, kind in ((away, "ConnectException"), (bucket_lake(spark, minio.endpoint), "AccessDeniedException")):
        with pytest.raises(StoreError, match=f"{kind}.*AWS_ENDPOINT_URL, AWS_REGION, the credentials") as e:
            lake.check()
        assert CANARY not in str(e.value)


def test_a_data_file_that_is_gone_is_said_where_it_is_missed(spark: SparkSession, lake: Lake) -> None:
    lake.append(spark.range(3), "silver", "mugs", (), None)
    for file in Path(lake.path("silver", "mugs").removeprefix("file://")).glob("*.parquet"):
        file.unlink()
    with (
        pytest.raises(StoreError, match=r"a file of the lake at .* is gone .*rebuild the layer, or restore"),
        lake.answering(),
    ):
        lake.read_by_delta("silver", "mugs", 0).collect()


def test_what_is_no_failure_of_the_store_keeps_its_kind(spark: SparkSession, lake: Lake) -> None:
    with pytest.raises(PySparkException), lake.answering():
        spark.sql("select cast('a' as int)").collect()
    with pytest.raises(KeyError), lake.answering():
        raise KeyError


@pytest.mark.unit
@pytest.mark.parametrize(
    ("causes", "said"),
    [
        (["org.apache.spark.SparkException", "org.postgresql.util.PSQLException", "java.net.ConnectException"], None),
        (["org.apache.spark.SparkException", "java.sql.BatchUpdateException", "java.io.EOFException"], None),
        (["org.apache.spark.SparkArithmeticException"], None),
        ([], None),
        (["org.apache.spark.SparkException", "org.apache.hadoop.fs.s3a.AWSClientIOException"], "does not answer"),
        (["java.net.UnknownHostException"], "(UnknownHostException)"),
        (["org.apache.spark.SparkException", "java.io.FileNotFoundException"], "is gone"),
        (["io.delta.exceptions.ConcurrentAppendException"], "another driver wrote"),
        (["java.lang.RuntimeException", NO_CONDITION], "has no conditional create"),
    ],
)
def test_the_classes_of_an_error_say_what_it_is(causes: list[str], said: Any) -> None:
    words = sentence(causes, "s3a://shop")
    assert words is None if said is None else said in str(words)

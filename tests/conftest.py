"""What tests share: a real Postgres and a real MinIO, started once a session, and gone afterwards.

Nothing is skipped because a server is missing: a test that did not run proves nothing.
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import structlog
from minio import Minio
from psycopg2 import sql
from pyspark.sql import SparkSession

from lakehouse import log
from lakehouse.gate.gate import Gate
from lakehouse.server.embedded import EmbeddedPostgres
from lakehouse.session import CLASS_ARCHIVE

ROOT = Path(__file__).parent.parent
# Files of minutes, the longest first. With two workers a long one that begins last is waited for by itself.
LONGEST = ("test_airflow.py", "test_hostile_shop.py", "test_first_release.py", "test_zombie.py", "test_spark_submit.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Longest files first; within a file the order stays."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


@pytest.fixture(autouse=True)
def _log_of_its_own() -> Iterator[None]:
    """A test that calls a command in this process leaves the log pointed at a stream that is closed afterwards."""
    yield
    log.unlisten()
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """The one session of all tests: the project's own options, two cores, the shop's zone UTC.

    A test that needs another zone, or another option, sets it within itself and puts it back (see `tables.zone`).
    """
    arguments = ["--properties-file", str(ROOT / "spark-defaults.conf")]
    if CLASS_ARCHIVE.is_file():
        arguments += ["--conf", f"spark.driver.defaultJavaOptions=-XX:SharedArchiveFile={CLASS_ARCHIVE}"]
    with pytest.MonkeyPatch.context() as environment:
        # Only while the JVM starts: programs that tests start are to find options by themselves.
        environment.setenv("PYSPARK_SUBMIT_ARGS", shlex.join([*arguments, "pyspark-shell"]))
        environment.delenv("SPARK_CONF_DIR", raising=False)
        session = (
            SparkSession.builder.master("local[2]")
            .appName("tests")
            .config("spark.sql.session.timeZone", "UTC")
            # Each test has its own lake. Delta keeps the state of every table it has met for an hour, which in the end
            # leaves Java nothing but garbage collection to do: three lakes are enough to remember.
            .config("spark.databricks.delta.delta.log.cacheSize", "64")
            # A handful of rows is to be computed by the code that computes millions.
            .config(
                "spark.sql.optimizer.excludedRules",
                "org.apache.spark.sql.catalyst.optimizer.ConvertToLocalRelation",
            )
            .getOrCreate()
        )
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


@contextmanager
def passable_folder() -> Iterator[Path]:
    """A temporary folder that other accounts may pass through: for root, Postgres runs under another one."""
    folder = Path(tempfile.mkdtemp(prefix="lakehouse-test-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class PostgresForTests:
    """The embedded server, and empty databases in it."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self.server = server

    def create_database(self, name: str) -> str:
        """Makes `name` again, empty, ending every session on it; returns its libpq URL."""
        with closing(psycopg2.connect(self.server.dsn("postgres"))) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        return self.server.dsn(name)


def copy_database(server: Any, name: str, template: str) -> str:
    """Makes `name` again as a copy of a database that nobody is connected to; returns its libpq URL."""
    with closing(psycopg2.connect(server.dsn("postgres"))) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            new, old = sql.Identifier(name), sql.Identifier(template)
            cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(new))
            cursor.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(new, old))
            # A copied sequence is logged again only after a checkpoint: a crash before it would set it back.
            cursor.execute("CHECKPOINT")
    return str(server.dsn(name))


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresForTests]:
    with passable_folder() as home:
        server = EmbeddedPostgres(home)
        server.start()
        try:
            yield PostgresForTests(server)
        finally:
            server.stop()


class MinioForTests:
    """A MinIO on a free loopback port with its own credentials; `stop`, `kill` and `start` are for tests of faults."""

    def __init__(self, binary: Path, folder: Path, region: str = "") -> None:
        self.binary = binary
        self.folder = folder
        self.region = region
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.access_key = "test" + secrets.token_hex(8)
        self.secret_key = secrets.token_hex(20)
        self.process: subprocess.Popen[bytes] | None = None
        self.options: tuple[str, ...] = ()

    def start(self) -> None:
        """Starts the server on its port and data, unless it runs, and waits until it answers."""
        if self.process and self.process.poll() is None:
            return
        environment = {
            "PATH": os.defpath,
            "HOME": str(self.folder),
            "MINIO_ROOT_USER": self.access_key,
            "MINIO_ROOT_PASSWORD": self.secret_key,
            "MINIO_BROWSER": "off",
            "MINIO_PROMETHEUS_AUTH_TYPE": "public",  # as in the stack
            "MINIO_UPDATE": "off",
            # Without one it is us-east-1, and every other is taken too; with one it takes no other.
            **({"MINIO_SITE_REGION": self.region} if self.region else {}),
        }
        address = f"127.0.0.1:{self.port}"
        command = [self.binary, "server", *self.options, "--address", address, self.folder / "data"]
        with (self.folder / "minio.log").open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._wait()

    def stop(self) -> None:
        """Lets the server finish what it does, then ends it."""
        self._end("terminate")

    def kill(self) -> None:
        """Ends the server at once, as a crash would."""
        self._end("kill")

    def make_bucket(self, *names: str) -> None:
        """Makes the buckets that are not there yet."""
        client = Minio(
            f"127.0.0.1:{self.port}", self.access_key, self.secret_key, secure=False, region=self.region or None
        )
        for name in names:
            if not client.bucket_exists(bucket_name=name):
                client.make_bucket(bucket_name=name)

    def _end(self, how: str) -> None:
        if self.process:
            getattr(self.process, how)()
            self.process.wait(timeout=30)
            self.process = None

    def _wait(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.endpoint}/minio/health/live", timeout=2):  # noqa: S310
                    return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError("MinIO did not start:\n" + (self.folder / "minio.log").read_text()[-2000:])


@pytest.fixture(scope="session")
def minio() -> Iterator[MinioForTests]:
    with running_minio() as server:
        yield server


@contextmanager
def running_minio(region: str = "") -> Iterator[MinioForTests]:
    """A MinIO with data of its own, in a region where one is named."""
    where = [sys.executable, "-m", "tools.setup.minio", "--where"]
    binary = Path(subprocess.run(where, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout.strip())
    if not binary.exists():
        pytest.fail("MinIO is not built yet: run `make minio` (once, about four minutes), then the tests again.")
    with tempfile.TemporaryDirectory(prefix="lakehouse-minio-") as folder:
        server = MinioForTests(binary, Path(folder), region)
        server.start()
        try:
            yield server
        finally:
            server.stop()


def free_port() -> int:
    """A port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def session_gate() -> Gate:
    """For tests that look at findings; its pages are nobody's."""
    gate = Gate()
    gate.warm()
    return gate


@pytest.fixture
def gate(session_gate: Gate) -> Gate:
    """A gate of the test's own, whose findings are its own; Great Expectations is shared."""
    gate = Gate()
    gate._great_expectations = session_gate._great_expectations
    return gate

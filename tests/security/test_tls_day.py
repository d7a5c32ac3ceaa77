"""A whole day over TLS: s3a, JDBC, libpq and the pages trust one file, and what does not hold is refused before Spark starts."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import parse_dsn

from tests.conftest import ROOT, MinioForTests
from tests.e2e.small_shop import EVERY_DAY, SCHEMA
from tests.security.servers import SecureMinio, certificates, secure_minio, secure_postgres

pytestmark = [pytest.mark.integration, pytest.mark.slow]
BUCKETS = ("bronze", "silver", "quarantine", "data-docs")


class Shop:
    """A shop whose stores speak TLS alone, and the command line on it."""

    def __init__(self, store: SecureMinio, home: Path, settings: dict[str, str], gold: str) -> None:
        self.store, self.gold = store, gold
        self.settings = {
            "PATH": os.environ["PATH"], "HOME": str(home), "LAKEHOUSE_HOME": str(home), "LAKEHOUSE_LAKE": "s3a://",
            "AWS_ENDPOINT_URL": store.endpoint, "AWS_ACCESS_KEY_ID": store.access_key,
            "AWS_SECRET_ACCESS_KEY": store.secret_key, "LAKEHOUSE_CA_FILE": str(store.ca), **settings,
        }  # fmt: skip

    def run(self, *words: str, **more: str) -> tuple[int, str, float]:
        """Exit code, all that was said, and seconds."""
        began = time.monotonic()
        done = subprocess.run(
            [Path(sys.executable).with_name("lakehouse"), *words], cwd=ROOT, env=self.settings | more, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=500,
        )  # fmt: skip
        return done.returncode, done.stdout, time.monotonic() - began


@pytest.fixture(scope="module")
def shop(postgres: Any, minio: MinioForTests, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    ours, urls = certificates(tmp_path_factory.mktemp("certs")), {}
    source, gold = (postgres.create_database(f"tls_{role}") for role in ("source", "gold"))
    with closing(psycopg2.connect(source)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(SCHEMA)
        cursor.execute(EVERY_DAY.format(n=1, next=2, day="2020-01-01"))
    parts = parse_dsn(gold)
    with (
        secure_minio(minio.binary, tmp_path_factory.mktemp("minio"), ours) as store,
        secure_postgres(f"{parts['host']}:{parts['port']}", ours) as where,
    ):
        for bucket in BUCKETS:
            store.client().make_bucket(bucket_name=bucket)
        for role in ("source", "gold"):
            urls[f"LAKEHOUSE_{role.upper()}_DSN"] = (
                f"postgresql://{parts['user']}:{parts['password']}@{where}/tls_{role}"
            )
        yield Shop(store, tmp_path_factory.mktemp("home"), urls, gold)


def test_a_day_goes_through_all_layers_over_tls(shop: Shop) -> None:
    code, said, _ = shop.run("run", "day", "--date", "2020-01-01")
    assert code == 0, said
    with closing(psycopg2.connect(shop.gold)) as connection, connection.cursor() as cursor:
        cursor.execute("select count(*) from gold.fact_customer_orders")
        assert cursor.fetchone() == (1,)
    assert shop.store.secret_key not in said


def test_a_ca_that_did_not_sign_ends_a_run_at_once(shop: Shop, tmp_path: Path) -> None:
    foreign = certificates(tmp_path)
    code, said, seconds = shop.run("run", "day", "--date", "2020-01-02", LAKEHOUSE_CA_FILE=str(foreign / "ca.pem"))
    assert code in (4, 7), said
    assert "certificate verify failed" in said
    assert shop.store.secret_key not in said
    assert seconds < 60


@pytest.mark.fault("F26")
def test_a_store_whose_certificate_is_refused_ends_a_run_with_code_7(shop: Shop, tmp_path: Path) -> None:
    """The databases without TLS, so that the store is what is met."""
    foreign, plain = certificates(tmp_path), {}
    for role in ("source", "gold"):
        plain[f"LAKEHOUSE_{role.upper()}_DSN"] = shop.gold.replace("tls_gold", f"tls_{role}") + "?sslmode=disable"
    code, said, seconds = shop.run(
        "run", "day", "--date", "2020-01-02", LAKEHOUSE_CA_FILE=str(foreign / "ca.pem"), **plain
    )
    assert code == 7, said
    assert "the certificate of the object store at 127.0.0.1:" in said
    assert seconds < 120


@pytest.mark.fault("F26")
def test_a_key_that_was_revoked_ends_a_run_with_code_7(shop: Shop) -> None:
    code, said, seconds = shop.run("run", "day", "--date", "2020-01-02", AWS_SECRET_ACCESS_KEY="revoked-" + "x" * 20)
    assert code == 7, said
    assert "revoked-" not in said
    assert seconds < 120

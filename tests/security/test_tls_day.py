"""A whole day over TLS: s3a, JDBC, libpq and the pages trust one file, and what does not hold is refused before Spark starts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import pytest
from minio import MinioAdmin
from minio.credentials import StaticProvider
from psycopg2.extensions import parse_dsn
from urllib3 import PoolManager

from tests.conftest import ROOT, MinioForTests
from tests.e2e.small_shop import EVERY_DAY, SCHEMA
from tests.personal.everywhere import found_in_folder
from tests.security.servers import Door, SecureMinio, certificates, secure_minio, secure_postgres
from tools.stack.tls.certificates import ADDRESSES, NAMES

pytestmark = [pytest.mark.integration, pytest.mark.slow]
# What is tried again and again knocks hundreds of times, and takes minutes on any machine; this also holds on one whose
# cores others are busy on.
MOST_KNOCKS, SOON = 20, 180
BUCKETS = ("bronze", "silver", "quarantine", "data-docs")
# Of a customer whose row is kept, and of one that a rule holds back: she has no id.
PERSON, HELD_BACK = ("Kanarella", "kanarella@example.org"), ("Zeisigine", "zeisigine@example.org")
CANARIES = """
insert into customers (customer_id, first_name, email, city, created_at, updated_at) values
    ('C8', 'Kanarella', 'kanarella@example.org', 'Ulm', '2020-01-01', '2020-01-01'),
    (' ', 'Zeisigine', 'zeisigine@example.org', 'Ulm', '2020-01-01', '2020-01-01');
"""
OTHERS = [(("other.example",), 0, "another host"), ((*NAMES, *ADDRESSES), 400, "a day that is over")]
each_certificate = pytest.mark.parametrize(
    ("names", "days_ago"), [(n, d) for n, d, _ in OTHERS], ids=[what for *_, what in OTHERS]
)


class Shop:
    """A shop whose stores speak TLS alone, and the command line on it."""

    def __init__(self, store: SecureMinio, home: Path, settings: dict[str, str], gold: str) -> None:
        self.store, self.home, self.gold, self.said = store, home, gold, list[str]()
        self.events = home.with_name("events")
        self.events.mkdir()
        self.settings = {
            "PATH": os.environ["PATH"], "HOME": str(home.parent), "LAKEHOUSE_HOME": str(home), "LAKEHOUSE_LAKE": "s3a://",
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
        self.said.append(done.stdout)
        return done.returncode, done.stdout, time.monotonic() - began

    def refused(self, **more: str) -> tuple[int, str]:
        """Exit code and words of a day that something refuses: asked a few times, not again and again, and without a secret."""
        settings = self.settings | more
        with ExitStack() as open_doors:
            doors: dict[int, Door] = {}
            for name in ("AWS_ENDPOINT_URL", "LAKEHOUSE_SOURCE_DSN", "LAKEHOUSE_GOLD_DSN"):
                port = urlsplit(settings[name]).port or 0
                door = doors.get(port) or open_doors.enter_context(Door(port))
                doors[port], more[name] = door, settings[name].replace(f":{port}", f":{door.port}")
            code, said, seconds = self.run("run", "day", "--date", "2020-01-02", **more)
            assert [door.knocks for door in doors.values() if door.knocks > MOST_KNOCKS] == []
        secrets = {self.store.secret_key, parse_dsn(self.gold)["password"], more.get("AWS_SECRET_ACCESS_KEY", "")} - {
            ""
        }
        assert [secret for secret in secrets if secret in said] == []
        assert seconds < SOON, said
        return code, said

    def plain(self) -> dict[str, str]:
        """The databases without TLS, so that the store is what is met."""
        return {f"LAKEHOUSE_{role.upper()}_DSN": self.gold.replace("tls_gold", f"tls_{role}") + "?sslmode=disable"
                for role in ("source", "gold")}  # fmt: skip


@pytest.fixture(scope="module")
def shop(postgres: Any, minio: MinioForTests, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    ours, urls = certificates(tmp_path_factory.mktemp("certs")), {}
    source, gold = (postgres.create_database(f"tls_{role}") for role in ("source", "gold"))
    with closing(psycopg2.connect(source)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(SCHEMA)
        cursor.execute(EVERY_DAY.format(n=1, next=2, day="2020-01-01"))
        cursor.execute(CANARIES)
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
        yield Shop(store, tmp_path_factory.mktemp("shop") / "home", urls, gold)


def test_a_day_goes_through_all_layers_over_tls(shop: Shop) -> None:
    # With Spark's log of events, which holds every plan.
    logged = f"--conf spark.eventLog.enabled=true --conf spark.eventLog.dir=file://{shop.events}"
    options = f"--properties-file {ROOT / 'spark-defaults.conf'} {logged} pyspark-shell"
    code, said, _ = shop.run("run", "day", "--date", "2020-01-01", PYSPARK_SUBMIT_ARGS=options)
    assert code == 0, said
    with closing(psycopg2.connect(shop.gold)) as connection, connection.cursor() as cursor:
        cursor.execute("select count(*) from gold.fact_customer_orders")
        assert cursor.fetchone() == (1,)
    assert shop.store.secret_key not in said


def test_a_ca_that_did_not_sign_ends_a_run_at_once(shop: Shop, tmp_path: Path) -> None:
    code, said = shop.refused(LAKEHOUSE_CA_FILE=str(certificates(tmp_path) / "ca.pem"))
    assert code in (4, 7), said
    assert "certificate verify failed" in said


@pytest.mark.fault("F26")
def test_a_store_whose_certificate_is_refused_ends_a_run_with_code_7(shop: Shop, tmp_path: Path) -> None:
    code, said = shop.refused(LAKEHOUSE_CA_FILE=str(certificates(tmp_path) / "ca.pem"), **shop.plain())
    assert code == 7, said
    assert "the certificate of the object store at 127.0.0.1:" in said


@each_certificate
def test_a_store_with_the_certificate_of_another_host_or_day_ends_a_run_with_code_7(
    shop: Shop, tmp_path: Path, names: tuple[str, ...], days_ago: int
) -> None:
    (tmp_path / "minio").mkdir()
    folder = certificates(tmp_path / "certs", names, datetime.now(UTC) - timedelta(days=days_ago))
    with secure_minio(shop.store.binary, tmp_path / "minio", folder) as other:
        code, said = shop.refused(LAKEHOUSE_CA_FILE=str(other.ca), AWS_ENDPOINT_URL=other.endpoint, **shop.plain())
    assert code == 7, said
    assert ("certificate has expired" if days_ago else "not valid for '127.0.0.1'") in said


@each_certificate
def test_a_postgres_with_the_certificate_of_another_host_or_day_ends_a_run(
    shop: Shop, tmp_path: Path, names: tuple[str, ...], days_ago: int
) -> None:
    folder, parts = certificates(tmp_path, names, datetime.now(UTC) - timedelta(days=days_ago)), parse_dsn(shop.gold)
    with secure_postgres(f"{parts['host']}:{parts['port']}", folder) as where:
        urls = {name: shop.settings[name].replace(urlsplit(shop.settings[name]).netloc.rpartition("@")[2], where)
                for name in ("LAKEHOUSE_SOURCE_DSN", "LAKEHOUSE_GOLD_DSN")}  # fmt: skip
        code, said = shop.refused(LAKEHOUSE_CA_FILE=str(folder / "ca.pem"), **urls)
    assert code in (4, 7), said
    assert ("certificate verify failed" if days_ago else "does not match host name") in said


@pytest.mark.fault("F26")
def test_a_key_that_was_revoked_ends_a_run_with_code_7(shop: Shop) -> None:
    http = PoolManager(cert_reqs="CERT_REQUIRED", ca_certs=str(shop.store.ca))
    root = StaticProvider(shop.store.access_key, shop.store.secret_key)
    admin = MinioAdmin(endpoint=urlsplit(shop.store.endpoint).netloc, credentials=root, secure=True, http_client=http)
    admin.user_add("leaver", "revoked-" + "x" * 20)
    admin.attach_policy(["readwrite"], user="leaver")
    admin.user_remove("leaver")
    code, said = shop.refused(AWS_ACCESS_KEY_ID="leaver", AWS_SECRET_ACCESS_KEY="revoked-" + "x" * 20)
    assert code == 7, said


def test_people_and_secrets_are_in_no_page_no_log_no_word_of_the_ledger_and_no_file_that_was_left(
    shop: Shop, tmp_path: Path
) -> None:
    """After the day and all that was refused; the lake and gold, where the people belong, show that they can be found."""
    secrets = (shop.store.secret_key, parse_dsn(shop.gold)["password"])
    people = (*PERSON, *HELD_BACK)
    assert {f.rpartition(": ")[2] for f in found_in_folder(copied(shop, tmp_path / "lake", "bronze"), people)} == {
        word.lower() for word in people
    }
    pages = copied(shop, tmp_path / "pages", "data-docs")
    assert any(pages.rglob("index.html"))
    (tmp_path / "said").mkdir()
    (tmp_path / "said" / "runs").write_text("".join(shop.said), encoding="utf-8")
    shutil.copy(shop.store.folder / "minio.log", tmp_path / "said")
    assert any(shop.events.iterdir())
    for folder in (pages, shop.home, shop.events, tmp_path / "said"):
        assert found_in_folder(folder, (*people, *secrets)) == set()
    with closing(psycopg2.connect(shop.gold)) as connection, connection.cursor() as cursor:
        cursor.execute("select table_name from information_schema.tables where table_schema = 'ops'")
        for (table,) in cursor.fetchall():
            cursor.execute(f'select string_agg(t::text, chr(10)) from ops."{table}" t')
            [(held,)] = cursor.fetchall()
            assert [word for word in (*people, *secrets) if word.lower() in (held or "").lower()] == [], table


def copied(shop: Shop, folder: Path, bucket: str) -> Path:
    """The objects of a bucket as files."""
    client = shop.store.client()
    for found in client.list_objects(bucket, recursive=True):
        client.fget_object(bucket, found.object_name, str(folder / found.object_name))
    return folder

"""TLS to both stores by one file of certificates, and what is refused: quickly, in one sentence, without a secret."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from psycopg2.extensions import parse_dsn

from lakehouse import address
from lakehouse.database import Database
from lakehouse.errors import LakehouseError, StoreError
from lakehouse.lake import arrow
from lakehouse.pages.store import DocsBucket, Place
from lakehouse.settings import Settings
from lakehouse.tls import check_store, checked_dsn, java_options, trust_in_this_process
from tests.conftest import MinioForTests
from tests.security.servers import SecureMinio, certificates, secure_minio, secure_postgres

pytestmark = pytest.mark.integration
# What a person waits for an answer of a store that is there; connections that are tried again for minutes take longer.
QUICK = 20


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificates(tmp_path_factory.mktemp("trusted"))


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another CA, which signed none of the servers' certificates."""
    return certificates(tmp_path_factory.mktemp("foreign"))


@pytest.fixture(scope="module")
def store(minio: MinioForTests, trusted: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureMinio]:
    with secure_minio(minio.binary, tmp_path_factory.mktemp("minio"), trusted) as server:
        for bucket in ("silver", "data-docs"):
            server.client().make_bucket(bucket_name=bucket)
        yield server


def settings(store: SecureMinio, home: Path, **more: Any) -> Settings:
    given = {"home": home, "lake": "s3a://", "endpoint": store.endpoint, "access_key": store.access_key,
             "secret_key": store.secret_key, "ca_file": store.ca} | more  # fmt: skip
    return Settings(**given)


@contextmanager
def quickly() -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < QUICK


def refusal(error: LakehouseError, store: SecureMinio) -> str:
    """Its words, in which there is no secret."""
    assert error.exit_code == 7
    assert store.secret_key not in str(error)
    assert store.access_key not in str(error)
    return str(error)


def test_the_pages_and_the_notebooks_reach_the_store_by_our_ca(store: SecureMinio, tmp_path: Path) -> None:
    ours = settings(store, tmp_path)
    check_store(ours)
    docs = DocsBucket(ours, Place("data-docs", ""))
    docs.write("index.html", b"here")
    found = docs.open("index.html")
    assert found is not None
    assert b"".join(found.pieces) == b"here"
    trust_in_this_process(ours)
    write_deltalake("s3://silver/mugs", pa.table({"n": [7]}), storage_options=address.storage_options(ours))
    shown = arrow.dataset(ours, "silver", "mugs", 0, list)
    assert shown.to_table().to_pylist() == [{"n": 7}]


def test_a_ca_that_did_not_sign_is_refused_by_every_client(store: SecureMinio, foreign: Path, tmp_path: Path) -> None:
    wrong = settings(store, tmp_path, ca_file=foreign / "ca.pem")
    for client in (
        lambda: check_store(wrong),
        lambda: DocsBucket(wrong, Place("data-docs", "")).open("index.html"),
        lambda: arrow.dataset(wrong, "silver", "mugs", 0, list),
    ):
        with quickly(), pytest.raises(StoreError) as refused:
            client()
        assert "certificate" in refusal(refused.value, store) or "SSLError" in str(refused.value)


@pytest.mark.parametrize(
    ("names", "days_ago", "reason"),
    [(("other.example",), 0, "not valid for '127.0.0.1'"), (("127.0.0.1",), 400, "certificate has expired")],
    ids=["another host", "expired"],
)
@pytest.mark.fault("F26")
def test_a_certificate_of_another_host_or_day_is_refused(
    minio: MinioForTests, tmp_path: Path, names: tuple[str, ...], days_ago: int, reason: str
) -> None:
    (tmp_path / "minio").mkdir()
    folder = certificates(tmp_path / "certs", names, datetime.now(UTC) - timedelta(days=days_ago))
    with secure_minio(minio.binary, tmp_path / "minio", folder) as server:
        ours = settings(server, tmp_path)
        with quickly(), pytest.raises(StoreError) as refused:
            check_store(ours)
        assert reason in refusal(refused.value, server)
        with quickly(), pytest.raises(StoreError):
            arrow.dataset(ours, "silver", "mugs", 0, list)
        with quickly(), pytest.raises(StoreError):
            DocsBucket(ours, Place("data-docs", "")).open("index.html")


@pytest.mark.fault("F26")
def test_a_key_that_was_revoked_is_refused(store: SecureMinio, tmp_path: Path) -> None:
    for wrong in ({"secret_key": "revoked-" + "x" * 20}, {"access_key": "nobody" + "x" * 10}):
        revoked = settings(store, tmp_path, **wrong)
        with quickly(), pytest.raises(StoreError) as refused:
            DocsBucket(revoked, Place("data-docs", "")).open("index.html")
        assert "revoked-" not in refusal(refused.value, store)
        with quickly(), pytest.raises(StoreError) as refused:
            arrow.dataset(revoked, "silver", "mugs", 0, list)
        assert "revoked-" not in refusal(refused.value, store)


def test_plain_http_to_a_server_of_tls_is_refused(store: SecureMinio, tmp_path: Path) -> None:
    plain = settings(store, tmp_path, endpoint=store.endpoint.replace("https", "http"))
    with quickly(), pytest.raises(StoreError):
        DocsBucket(plain, Place("data-docs", "")).open("index.html")


# Postgres.


def database(dsn: str, where: str, ca: Path, **more: str) -> Database:
    parts = parse_dsn(dsn)
    url = f"postgresql://{parts['user']}:{parts['password']}@{where}/{parts['dbname']}"
    return Database(checked_dsn(url, Settings(ca_file=ca)), "gold", StoreError)


def test_postgres_is_asked_for_its_certificate_and_its_name(postgres: Any, trusted: Path) -> None:
    dsn = postgres.create_database("by_tls")
    parts = parse_dsn(dsn)
    with secure_postgres(f"{parts['host']}:{parts['port']}", trusted) as where:
        found = database(dsn, where, trusted / "ca.pem")
        with found.connection() as connection, connection.cursor() as cursor:
            cursor.execute("select 7")
            assert cursor.fetchone() == (7,)
            assert connection.info.ssl_in_use
        jdbc = found.jdbc()
        assert "sslmode=verify-full" in jdbc["url"]
        assert "sslrootcert=" in jdbc["url"]
        assert parts["password"] not in jdbc["url"]
        found.close()


@pytest.mark.parametrize(
    ("names", "days_ago", "is_ours", "reason"),
    [
        (("localhost",), 0, False, "certificate verify failed"),
        (("other.example",), 0, True, "does not match host name"),
        (("localhost",), 400, True, "certificate verify failed"),
    ],
    ids=["another CA", "another host", "expired"],
)
@pytest.mark.fault("F26")
def test_postgres_is_refused_where_its_certificate_does_not_hold(
    postgres: Any, foreign: Path, tmp_path: Path, names: tuple[str, ...], days_ago: int, is_ours: bool, reason: str
) -> None:
    dsn = postgres.create_database("by_tls")
    parts = parse_dsn(dsn)
    folder = certificates(tmp_path / "certs", names, datetime.now(UTC) - timedelta(days=days_ago))
    with secure_postgres(f"{parts['host']}:{parts['port']}", folder) as where:
        found = database(dsn, where, (folder if is_ours else foreign) / "ca.pem")
        with quickly(), pytest.raises(StoreError) as refused:
            found.check()
        assert reason in str(refused.value)
        assert parts["password"] not in str(refused.value)


def test_who_does_not_speak_tls_is_turned_away(postgres: Any, trusted: Path) -> None:
    dsn = postgres.create_database("by_tls")
    parts = parse_dsn(dsn)
    with secure_postgres(f"{parts['host']}:{parts['port']}", trusted) as where:
        # With the right password: nothing but the missing TLS is in the way.
        account = f"{parts['user']}:{quote(parts['password'], safe='')}"
        plain = Database(f"postgresql://{account}@{where}/by_tls?sslmode=disable", "gold", StoreError)
        with quickly(), pytest.raises(StoreError) as refused:
            plain.check()
        assert "password authentication" not in str(refused.value)


# The files.


def test_a_url_that_says_how_it_is_checked_keeps_its_word(trusted: Path) -> None:
    ours = Settings(ca_file=trusted / "ca.pem")
    assert checked_dsn("postgresql://u@h/d?sslmode=require", ours).startswith(
        "postgresql://u@h/d?sslmode=require&sslrootcert="
    )
    assert checked_dsn("postgresql://u@h/d", Settings()) == "postgresql://u@h/d"


def test_keys_are_their_owners_and_certificates_that_hold_stay(tmp_path: Path) -> None:
    folder = certificates(tmp_path / "certs")
    before = (folder / "ca.pem").read_bytes()
    certificates(folder)
    assert (folder / "ca.pem").read_bytes() == before
    assert {f.name: oct(f.stat().st_mode & 0o777) for f in folder.glob("*.key")} == dict.fromkeys(
        ("ca.key", "server.key"), "0o600"
    )
    old = certificates(tmp_path / "old", now=datetime.now(UTC) - timedelta(days=340))
    before = (old / "ca.pem").read_bytes()
    certificates(old)
    assert (old / "ca.pem").read_bytes() != before


def test_a_file_that_holds_no_certificate_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "ca.pem"
    empty.write_text("nothing")
    with pytest.raises(LakehouseError, match="LAKEHOUSE_CA_FILE holds no certificate"):
        java_options(Settings(ca_file=empty), tmp_path)
    with pytest.raises(ValueError, match="is no file that can be read"):
        Settings(ca_file=tmp_path / "gone")

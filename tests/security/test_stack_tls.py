"""A stack that speaks TLS, before it is started: every address, every client and every server of it."""

from __future__ import annotations

import os
import socket
import time
from contextlib import closing
from pathlib import Path
from threading import Timer
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import pytest
from psycopg2.extensions import parse_dsn

from lakehouse.errors import ConfigError
from lakehouse.pages.server import certificate
from lakehouse.tls import TRUST_STORE_PASSWORD
from tests.security.servers import certificates, secure_postgres
from tools.stack.access import secrets
from tools.stack.parts import FRONT, parts
from tools.stack.settings import Stack
from tools.stack.tls import front
from tools.stack.tls.certificates import write_trusted
from tools.stack.tls.files import Files

pytestmark = pytest.mark.unit
NO_FILE = Path(os.devnull)


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """With monitoring, so that every part is in it."""
    for name, value in {"HOME": str(tmp_path), "TLS": "1", "MONITORING": "1"}.items():
        monkeypatch.setenv(f"LAKEHOUSE_{name}", value)
    made = Stack(NO_FILE)
    made.make_folder()
    secrets.make_secrets(made)
    return made


def words(stack: Stack) -> dict[str, list[str]]:
    """What each part is told: its command, and the values of its environment."""
    return {part.name: [*part.command, *part.environment.values()] for part in parts(stack)}


def test_every_address_is_https_but_those_of_the_exporter_and_the_receiver_of_alerts(stack: Stack) -> None:
    plain = {stack.url(name) for name in ("LAKEHOUSE_METRICS_PORT", "LAKEHOUSE_ALERTS_PORT")}
    named = {word for told in words(stack).values() for word in told if "http://" in word}
    assert {word.partition("=")[2] for word in named} == {stack.url("LAKEHOUSE_ALERTS_PORT")}
    urls = {part.name: part.url for part in parts(stack) if part.url and "://" in part.url}
    assert {url for url in urls.values() if not url.startswith("https://")} == {
        url for url in urls.values() if url.startswith(tuple(plain))
    }
    assert {"docs", "minio", "jupyter", "api-server", "victoria", "vmalert"} <= {
        name for name, url in urls.items() if url.startswith("https://127.0.0.1:")
    }


@pytest.mark.parametrize("name", [FRONT, "minio", "docs", "jupyter", "api-server", "victoria", "vmalert"])
def test_who_listens_shows_the_certificate(stack: Stack, name: str) -> None:
    assert stack.tls is not None
    told = " ".join(words(stack)[name])
    assert stack.tls.key in told or str(stack.tls.folder) in told


def test_clients_are_given_one_file_to_trust_and_urls_that_lead_through_the_front(stack: Stack) -> None:
    assert stack.tls is not None
    server = stack.postgres("127.0.0.1:20000")
    secrets.write_settings(stack, server, server, stack.secrets)
    assert server == f"127.0.0.1:{stack.port('LAKEHOUSE_POSTGRES_PORT')}"
    for who in ("pipeline", "notebooks", "docs"):
        assert (stack.secrets / who / "LAKEHOUSE_CA_FILE").read_text() == stack.tls.trusted
    for file in (stack.secrets / "airflow_dsn", stack.secrets / "pipeline" / "LAKEHOUSE_SOURCE_DSN"):
        assert urlsplit(file.read_text()).netloc.endswith(server)
    airflow = stack.airflow_environment()
    assert (airflow["PGSSLMODE"], airflow["PGSSLROOTCERT"]) == ("verify-full", stack.tls.trusted)
    assert airflow["OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE"] == stack.tls.trusted
    (victoria,) = (part for part in parts(stack) if part.name == "victoria")
    assert victoria.environment["SCRAPE_CA_FILE"] == stack.tls.trusted


def test_without_it_nothing_is_said_of_certificates(stack: Stack) -> None:
    stack.settings["LAKEHOUSE_TLS"] = ""
    assert FRONT not in words(stack)
    assert [word for told in words(stack).values() for word in told if "https://" in word or "/tls" in word] == []
    assert stack.postgres("127.0.0.1:20000") == "127.0.0.1:20000"
    assert "LAKEHOUSE_POSTGRES_PORT" not in stack.ports


def test_a_stack_that_runs_is_known_to_speak_tls_without_being_told_again(stack: Stack) -> None:
    stack.note()
    stack.settings["LAKEHOUSE_TLS"] = ""
    stack.as_started()
    assert stack.url("LAKEHOUSE_DOCS_PORT").startswith("https://")
    stack.settings["LAKEHOUSE_TLS"] = ""
    stack.note()
    stack.as_started()
    assert stack.tls is None


def test_a_certificate_that_was_made_again_has_the_parts_started_again(stack: Stack) -> None:
    assert stack.tls is not None
    certificates(stack.tls.folder)
    before = stack.tls.mark()
    (stack.tls.folder / "server.key").unlink()
    certificates(stack.tls.folder)
    assert stack.tls.mark() != before
    assert {part.environment["CERTIFICATES_SHA256"] for part in parts(stack)} == set(stack.tls.mark().values())


def test_what_a_shop_trusts_of_its_own_is_trusted_too(tmp_path: Path) -> None:
    ours, theirs = certificates(tmp_path / "ours"), certificates(tmp_path / "theirs")
    write_trusted(ours, theirs / "ca.pem")
    held = (ours / "trusted.pem").read_text()
    assert (ours / "ca.pem").read_text() in held
    assert (theirs / "ca.pem").read_text() in held
    assert {f.name for f in ours.rglob("*") if f.is_file() and f.stat().st_mode & 0o077} == set()


def test_the_pages_server_names_what_it_cannot_show(tmp_path: Path) -> None:
    ours, theirs = certificates(tmp_path / "ours"), certificates(tmp_path / "theirs")
    assert certificate(ours / "server.pem", ours / "server.key") is not None
    assert certificate(None, None) is None
    for file, key in ((ours / "server.pem", None), (ours / "gone", ours / "server.key"),
                      (ours / "server.pem", theirs / "server.key")):  # fmt: skip
        with pytest.raises(ConfigError, match="--certificate and --key must name a certificate and its key"):
            certificate(file, key)


def test_executors_open_the_trust_store_by_its_password() -> None:
    assert f"trustStorePassword={TRUST_STORE_PASSWORD}\n" in secrets.CLUSTER_TRUST


def test_a_part_is_started_again_where_what_it_trusts_is_another(tmp_path: Path) -> None:
    tls = Files(certificates(tmp_path))
    write_trusted(tls.folder)
    before = tls.mark()
    assert tls.mark() == before
    write_trusted(tls.folder, certificates(tmp_path / "of-the-shop") / "ca.pem")
    assert tls.mark() != before


@pytest.mark.integration
def test_the_front_is_healthy_for_who_trusts_it_and_hands_on_a_request_to_cancel(postgres: Any, tmp_path: Path) -> None:
    dsn = postgres.create_database("by_front")
    parts_of = parse_dsn(dsn)
    ours, foreign = certificates(tmp_path / "ours"), certificates(tmp_path / "foreign")
    with secure_postgres(f"{parts_of['host']}:{parts_of['port']}", ours) as where:
        port = int(where.rpartition(":")[2])
        assert front.answers(port, ours / "ca.pem")
        assert not front.answers(port, foreign / "ca.pem")
        by_tls = {**parts_of, "host": "127.0.0.1", "port": port, "sslmode": "verify-full",
                  "sslrootcert": str(ours / "ca.pem")}  # fmt: skip
        with closing(psycopg2.connect(**by_tls)) as connection, connection.cursor() as cursor:
            began = time.monotonic()
            Timer(0.5, connection.cancel).start()
            with pytest.raises(psycopg2.errors.QueryCanceled):
                cursor.execute("select pg_sleep(60)")
            assert time.monotonic() - began < 20
    assert not front.answers(port, ours / "ca.pem")


@pytest.mark.integration
def test_the_front_refuses_what_was_sent_in_the_clear_behind_the_request_for_tls(postgres: Any, tmp_path: Path) -> None:
    parts_of = parse_dsn(postgres.create_database("by_front"))
    with secure_postgres(f"{parts_of['host']}:{parts_of['port']}", certificates(tmp_path)) as where:
        port = int(where.rpartition(":")[2])
        for sent, answer in ((front.SSL_REQUEST, b"S"), (front.SSL_REQUEST + b"select 1", b"")):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
                client.sendall(sent)
                assert client.recv(1) == answer

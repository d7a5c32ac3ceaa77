"""Secrets that are none are refused at the start, and those of the stack can be replaced while all goes on working."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from minio import Minio
from minio.error import S3Error

from lakehouse.errors import ConfigError
from lakehouse.secret_files import unproxied
from lakehouse.settings import load_settings
from tests.conftest import MinioForTests, passable_folder
from tools.stack.access import secrets
from tools.stack.access.buckets import make_buckets
from tools.stack.access.databases import make_databases
from tools.stack.settings import Stack

KNOWN = {
    "LAKEHOUSE_GOLD_DSN": "postgresql://postgres:postgres@db.example.com/gold",
    "LAKEHOUSE_SOURCE_DSN": "postgresql://shop:ChangeMe@db.example.com/shop",
    "AWS_SECRET_ACCESS_KEY": "minioadmin",
    "LAKEHOUSE_AIRFLOW_PASSWORD": "airflow",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://minio.example.com:9000")
    monkeypatch.setenv("LAKEHOUSE_AIRFLOW_URL", "https://airflow.example.com")
    return monkeypatch


@pytest.mark.unit
@pytest.mark.parametrize("name", KNOWN)
def test_a_password_that_everybody_knows_is_refused(environment: pytest.MonkeyPatch, name: str) -> None:
    environment.setenv(name, KNOWN[name])
    with pytest.raises(ConfigError, match=f"{name}: everybody knows this password") as refused:
        load_settings()
    assert KNOWN[name] not in str(refused.value)


@pytest.mark.unit
def test_on_loopback_a_trial_may_have_one(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("LAKEHOUSE_GOLD_DSN", "postgresql://postgres:postgres@localhost/gold")
    environment.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9000")
    environment.setenv("AWS_SECRET_ACCESS_KEY", "minioadmin")
    assert load_settings().gold_dsn is not None


@pytest.mark.unit
@pytest.mark.parametrize(
    ("url", "exempt"),
    [
        ("http://127.0.0.1:21000", {"all://127.0.0.1": None}),
        ("https://user:hush@LocalHost/path", {"all://localhost": None}),
        ("http://127.8.0.1", {"all://127.8.0.1": None}),
        ("http://[::1]:5000/take", {"all://[::1]": None}),
        ("http://127.0.0.1.example.com", {}),
        ("http://10.0.0.1", {}),
        ("http://[", {}),
    ],
)
def test_only_a_server_on_loopback_is_asked_past_a_proxy(url: str, exempt: dict[str, None]) -> None:
    assert unproxied(url) == exempt


@pytest.mark.unit
@pytest.mark.parametrize(("folder", "file", "refused"), [(0o755, 0o644, True), (0o711, 0o640, True), (0o755, 0o600, False),
                                                         (0o700, 0o644, False)])  # fmt: skip
def test_a_secret_that_other_accounts_can_read_is_refused(folder: int, file: int, refused: bool) -> None:
    with passable_folder() as home:
        secret = home / "AWS_SECRET_ACCESS_KEY"
        secret.write_text("a-secret-of-ours")
        secret.chmod(file)
        (home / "LAKEHOUSE_TIMEZONE").write_text("UTC")  # no secret, so anyone may read it
        home.chmod(folder)
        if refused:
            with pytest.raises(ConfigError, match="other accounts can read AWS_SECRET_ACCESS_KEY in"):
                load_settings(home)
        else:
            assert load_settings(home).secret_key is not None


# Replaced.


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path))
    made = Stack(Path("/dev/null"))
    made.make_folder()
    secrets.make_secrets(made)
    return made


@pytest.fixture
def server(postgres: Any) -> Iterator[Any]:
    yield postgres.server
    for statement in (
        "drop database if exists rotated with (force)",
        "drop role if exists notebooks",
        "drop role if exists pipeline",
    ):
        with closing(psycopg2.connect(postgres.server.dsn("postgres"))) as connection:
            connection.autocommit = True
            connection.cursor().execute(statement)


@pytest.mark.integration
@pytest.mark.slow
def test_the_stacks_secrets_are_replaced_and_the_old_ones_open_nothing(
    stack: Stack, server: Any, minio: MinioForTests, tmp_path: Path
) -> None:
    where = server.dsn("postgres").rpartition("@")[2].partition("/")[0]
    (tmp_path / "minio").mkdir()
    store = MinioForTests(minio.binary, tmp_path / "minio")

    def start() -> None:
        """As `make up` does."""
        store.access_key, store.secret_key = stack.secret("minio_root_user"), stack.secret("minio_root_password")
        store.start()
        make_buckets(f"127.0.0.1:{store.port}", stack.secrets)
        make_databases(stack.secrets, server.dsn, {"rotated": ("pipeline", ("notebooks",))})

    def clients() -> tuple[Minio, Minio, str]:
        keys = [
            [stack.secret(f"minio_{who}_{what}") for what in ("user", "password")] for who in ("pipeline", "bronze")
        ]
        one, other = (Minio(f"127.0.0.1:{store.port}", *key, secure=False) for key in keys)
        return one, other, secrets.dsn(stack.secrets, "pipeline", where, "rotated")

    try:
        start()
        before, fernet = clients(), stack.secret("airflow_fernet_key")
        assert list(before[0].list_objects(bucket_name="bronze")) == []
        psycopg2.connect(before[2]).close()
        store.stop()

        names = secrets.rotate(stack)
        start()

        after = clients()
        assert (
            list(after[0].list_objects(bucket_name="bronze")) == list(after[1].list_objects(bucket_name="bronze")) == []
        )
        psycopg2.connect(after[2]).close()
        for client in before[:2]:
            with pytest.raises(S3Error, match="InvalidAccessKeyId"):
                list(client.list_objects(bucket_name="bronze"))
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            psycopg2.connect(before[2])
        assert stack.secret("airflow_fernet_key") == fernet
        assert {"airflow_password", "jupyter_token", "minio_root_password", "postgres_pipeline_password"} <= set(names)
    finally:
        store.stop()

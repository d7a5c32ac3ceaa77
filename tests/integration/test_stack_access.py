"""Who may do what in the stack: its secrets, the users of its MinIO, and the roles of its Postgres."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from minio import Minio
from minio.error import S3Error
from psycopg2 import errors

from lakehouse.server.embedded import EmbeddedPostgres
from tests.conftest import MinioForTests, passable_folder

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parent.parent.parent
BUCKETS = {"bronze", "silver", "quarantine", "data-docs", "live"}


def access(name: str, *words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A program of tools/stack/access, as the stack starts it."""
    command = [sys.executable, "-m", f"tools.stack.access.{name}", *words]
    given = {"PATH": os.defpath, **environment}
    return subprocess.run(command, cwd=ROOT, env=given, text=True, capture_output=True, timeout=120)


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The secrets that docker compose and `make up` share, made for the first time."""
    home = tmp_path_factory.mktemp("home")
    done = access("secrets", "--env-file", os.devnull, LAKEHOUSE_HOME=str(home))
    assert done.returncode == 0, done.stderr
    return home / "stack" / "secrets"


# Secrets.


def test_secrets_are_made_once_and_only_their_owner_reads_them(secrets: Path) -> None:
    before = {file: file.read_text() for file in secrets.glob("*") if file.is_file()}
    lost = secrets / "jupyter_token"
    lost.unlink()

    access("secrets", "--env-file", os.devnull, LAKEHOUSE_HOME=str(secrets.parent.parent))

    after = {file: file.read_text() for file in secrets.glob("*") if file.is_file()}
    assert {file for file in after if after[file] != before[file]} == {lost}
    assert len(set(after.values())) == len(after)
    assert all(len(secret) >= 20 for secret in after.values())
    modes = {oct(path.stat().st_mode & 0o777) for path in secrets.rglob("*") if path.is_file()}
    assert modes == {"0o600"}
    assert {oct(p.stat().st_mode & 0o777) for p in (secrets.parent, secrets, secrets / "compose")} == {"0o700"}


def test_those_who_only_read_get_no_setting_that_lets_them_write(secrets: Path) -> None:
    given = {who: {file.name for file in (secrets / "compose" / who).iterdir()} for who in ("notebooks", "docs")}
    lake = {
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_ENDPOINT_URL",
        "LAKEHOUSE_LAKE",
        "LAKEHOUSE_S3_PATH_STYLE",
    }
    assert given == {"notebooks": {*lake, "LAKEHOUSE_GOLD_DSN", "LAKEHOUSE_TIMEZONE"}, "docs": lake}
    assert "//notebooks:" in (secrets / "compose" / "notebooks" / "LAKEHOUSE_GOLD_DSN").read_text()


def test_a_notebook_is_told_of_no_folder_but_its_own_and_that_of_a_readers_settings(tmp_path: Path) -> None:
    program = "import json; from tools.stack.settings import Stack; print(json.dumps(Stack().jupyter_environment()))"
    given = {"PATH": os.defpath, "LAKEHOUSE_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=given, text=True, capture_output=True)
    stack = tmp_path / "stack"
    told = {Path(value) for value in json.loads(done.stdout).values() if value.startswith(str(tmp_path))}
    of_jupyter = {path for path in told if path.is_relative_to(stack / "jupyter")}
    assert told - of_jupyter == {stack / "secrets" / "notebooks", stack / "secrets" / "jupyter_token"}


# Buckets.


class StoreOfTheStack:
    """A MinIO with the buckets and users of the stack, and clients for each of these."""

    def __init__(self, server: MinioForTests, folder: Path) -> None:
        self.address, self.folder = f"127.0.0.1:{server.port}", folder
        (folder / "minio_root_user").write_text(server.access_key)
        (folder / "minio_root_password").write_text(server.secret_key)

    def make(self) -> None:
        done = access("buckets", "--endpoint", self.address, "--secrets", self.folder)
        assert done.returncode == 0, done.stderr

    def as_user(self, name: str) -> Minio:
        user, password = ((self.folder / f"minio_{name}_{what}").read_text() for what in ("user", "password"))
        return Minio(self.address, user, password, secure=False)


@pytest.fixture(scope="module")
def store(minio: MinioForTests, secrets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreOfTheStack]:
    """A server of its own, since other tests have buckets of the same names; made twice, as two starts of the stack do."""
    folder = tmp_path_factory.mktemp("secrets")
    for file in secrets.glob("minio_*"):
        (folder / file.name).write_text(file.read_text())
    server = MinioForTests(minio.binary, tmp_path_factory.mktemp("minio"))
    server.start()
    try:
        made = StoreOfTheStack(server, folder)
        made.make()
        made.make()
        yield made
    finally:
        server.stop()


def test_buckets_keep_what_was_overwritten_for_some_days(store: StoreOfTheStack) -> None:
    root = store.as_user("root")
    for bucket in BUCKETS:
        assert root.get_bucket_versioning(bucket_name=bucket).status == "Enabled"
        found = root.get_bucket_lifecycle(bucket_name=bucket)
        assert found is not None
        (rule,) = found.rules
        assert rule.noncurrent_version_expiration is not None
        assert (rule.noncurrent_version_expiration.noncurrent_days or 0) >= 1


@pytest.mark.parametrize("bucket", sorted(BUCKETS))
def test_the_pipeline_writes_reads_and_deletes_in_every_bucket(store: StoreOfTheStack, bucket: str) -> None:
    pipeline = store.as_user("pipeline")
    put(pipeline, bucket)
    assert pipeline.get_object(bucket_name=bucket, object_name="a/b").data == b"here"
    pipeline.remove_object(bucket_name=bucket, object_name="a/b")
    assert list(pipeline.list_objects(bucket_name=bucket, recursive=True)) == []


def test_the_pipeline_neither_makes_buckets_nor_undoes_their_versions(store: StoreOfTheStack) -> None:
    pipeline = store.as_user("pipeline")
    for forbidden in (
        lambda: pipeline.make_bucket(bucket_name="mine"),
        lambda: pipeline.delete_bucket_lifecycle(bucket_name="bronze"),
        lambda: pipeline.remove_bucket(bucket_name="bronze"),
    ):
        with pytest.raises(S3Error, match="AccessDenied"):
            forbidden()


@pytest.mark.parametrize(
    ("name", "readable"), [("notebooks", {"bronze", "silver", "quarantine", "live"}), ("docs", {"data-docs"})]
)
def test_a_reader_reads_its_buckets_and_writes_none(store: StoreOfTheStack, name: str, readable: set[str]) -> None:
    reader = store.as_user(name)
    for bucket in BUCKETS:
        put(store.as_user("root"), bucket)
        if bucket in readable:
            assert reader.get_object(bucket_name=bucket, object_name="a/b").data == b"here"
        else:
            with pytest.raises(S3Error, match="AccessDenied"):
                reader.get_object(bucket_name=bucket, object_name="a/b")
        with pytest.raises(S3Error, match="AccessDenied"):
            put(reader, bucket)
        with pytest.raises(S3Error, match="AccessDenied"):
            reader.remove_object(bucket_name=bucket, object_name="a/b")


def test_a_user_whose_name_was_replaced_has_no_rights_left(store: StoreOfTheStack) -> None:
    before = store.as_user("docs")
    put(store.as_user("root"), "data-docs")
    assert before.get_object(bucket_name="data-docs", object_name="a/b").data == b"here"

    (store.folder / "minio_docs_user").write_text("0123456789abcdef0123")
    store.make()

    assert store.as_user("docs").get_object(bucket_name="data-docs", object_name="a/b").data == b"here"
    with pytest.raises(S3Error, match="InvalidAccessKeyId"):
        before.get_object(bucket_name="data-docs", object_name="a/b")


def test_a_minio_that_does_not_let_us_in_is_said_in_a_sentence_without_a_secret(
    store: StoreOfTheStack, secrets: Path
) -> None:
    program = "from tools.stack.access import buckets; buckets.WAIT_SECONDS = 1; buckets.main()"
    words = ["--endpoint", store.address, "--secrets", secrets]
    done = subprocess.run([sys.executable, "-c", program, *words], cwd=ROOT, text=True, capture_output=True, timeout=60)

    assert done.returncode == 1
    assert "did not let us in within 1 s (InvalidAccessKeyId): see its log." in done.stderr
    assert (secrets / "minio_root_user").read_text() not in done.stderr


def put(client: Minio, bucket: str) -> None:
    client.put_object(bucket_name=bucket, object_name="a/b", data=io.BytesIO(b"here"), length=4)


# Databases.


@pytest.fixture(scope="module")
def server(secrets: Path) -> Iterator[Callable[[str, str], Any]]:
    """Runs a statement as a role in a database of the stack; databases and roles are made twice, those of the shop thrice."""
    with passable_folder() as home:
        embedded = EmbeddedPostgres(home)
        try:
            address = embedded.dsn("postgres").rpartition("@")[2].partition("/")[0]
            (secrets / "postgres_postgres_password").write_text((embedded.folder / "password").read_text())

            def make(*words: str) -> None:
                done = access("databases", "--server", address, "--secrets", secrets, *words)
                assert done.returncode == 0, done.stderr

            def run(role: str, database: str, statement: str = "select 1") -> Any:
                password = (secrets / f"postgres_{role}_password").read_text()
                with closing(
                    psycopg2.connect(f"postgresql://{role}:{password}@{address}/{database}")
                ) as connection, connection, connection.cursor() as cursor:  # fmt: skip
                    cursor.execute(statement)
                    return cursor.fetchone()[0] if cursor.description else None

            make("--shop-only")
            assert run("postgres", "postgres", "select count(*) from pg_database where datname = 'airflow'") == 0
            # As the first release left it: read-all roles, and tables older than any grant.
            run("postgres", "postgres", "grant pg_read_all_data to pipeline, notebooks")
            run("postgres", "ecommerce_source", "create table old_orders as select 7 as n")
            run("postgres", "ecommerce_source", "revoke all on old_orders from pipeline")
            make()
            make()
            yield run
        finally:
            embedded.stop()


def test_the_pipeline_reads_the_source_and_changes_nothing_there(server: Callable[..., Any]) -> None:
    server("postgres", "ecommerce_source", "create table orders as select 7 as n")
    assert server("pipeline", "ecommerce_source", "select n from orders") == 7
    with pytest.raises(errors.InsufficientPrivilege):
        server("pipeline", "ecommerce_source", "update orders set n = 8")
    with pytest.raises(errors.InsufficientPrivilege):
        server("pipeline", "ecommerce_source", "create table mine (n int)")


def test_gold_is_the_pipelines_and_notebooks_read_what_it_makes_there(server: Callable[..., Any]) -> None:
    server("pipeline", "ecommerce_gold", "create table gold.dim_mugs as select 7 as n")
    assert server("notebooks", "ecommerce_gold", "select n from gold.dim_mugs") == 7
    server("pipeline", "ecommerce_gold", "create materialized view marts.mugs as select n from gold.dim_mugs")
    assert server("notebooks", "ecommerce_gold", "select n from marts.mugs") == 7
    with pytest.raises(errors.InsufficientPrivilege):
        server("notebooks", "ecommerce_gold", "delete from gold.dim_mugs")
    with pytest.raises(errors.InsufficientPrivilege):
        server("notebooks", "ecommerce_gold", "create schema mine")


def test_tables_that_are_older_than_the_grants_are_read_too(server: Callable[..., Any]) -> None:
    assert server("pipeline", "ecommerce_source", "select n from old_orders") == 7


@pytest.mark.parametrize("table", ["pg_authid", "pg_statistic"])
@pytest.mark.parametrize(("role", "database"), [("pipeline", "ecommerce_source"), ("notebooks", "ecommerce_gold")])
def test_who_reads_tables_reads_neither_passwords_nor_statistics(
    server: Callable[..., Any], role: str, database: str, table: str
) -> None:
    with pytest.raises(errors.InsufficientPrivilege):
        server(role, database, f"select count(*) from {table}")


def test_notebooks_read_no_schema_that_is_not_theirs(server: Callable[..., Any]) -> None:
    server("pipeline", "ecommerce_gold", "create schema gold_staging; create table gold_staging.mugs as select 7 as n")
    with pytest.raises(errors.InsufficientPrivilege):
        server("notebooks", "ecommerce_gold", "select n from gold_staging.mugs")


@pytest.mark.parametrize(
    ("role", "database"),
    [
        ("notebooks", "ecommerce_source"),
        ("notebooks", "airflow"),
        ("pipeline", "airflow"),
        ("airflow", "ecommerce_source"),
        ("airflow", "ecommerce_gold"),
    ],
)
def test_a_role_gets_into_no_database_but_its_own(server: Callable[..., Any], role: str, database: str) -> None:
    with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
        server(role, database)


def test_airflow_has_its_metadata(server: Callable[..., Any]) -> None:
    assert server("airflow", "airflow", "create table dags as select 7 as n; select n from dags") == 7

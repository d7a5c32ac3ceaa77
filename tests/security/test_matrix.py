"""Every cell of docs/privileges.md, allowed and forbidden, tried on a real Postgres and a real MinIO."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from minio import Minio
from minio.error import S3Error
from psycopg2 import errors
from pydantic import SecretStr

from lakehouse.contracts import load_contracts
from lakehouse.settings import Settings
from lakehouse.warehouse import grants
from tests.conftest import ROOT, MinioForTests
from tests.security.test_setup import Server, drop_roles, new_server
from tools.dbt.access import let_in
from tools.stack.access import matrix
from tools.stack.access.buckets import make_buckets
from tools.stack.access.policies import BUCKETS, LIVE, USERS

pytestmark = pytest.mark.integration
CONTRACTS = load_contracts()
# Nobody logs in as dbt: who runs it takes its role on.
AS_DBT = f"set role {grants.DBT}; "


def test_the_page_says_what_the_code_says() -> None:
    assert (ROOT / "docs" / "privileges.md").read_text(encoding="utf-8") == matrix.page(), (
        "run: .venv/bin/python -m tools.stack.access.matrix > docs/privileges.md"
    )


# Postgres: each statement in a transaction that is taken back.


def allowed(dsn: str, statement: str) -> bool:
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        try:
            cursor.execute(statement)
        except errors.InsufficientPrivilege:
            return False
        return True


@pytest.fixture(scope="module")
def gold(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    for server in new_server(postgres, "_3"):
        server.setup()
        server.ask("create table gold_staging.of_a_run (n integer)", "gold_loader")
        loader, owner = (SecretStr(server.urls[name]) for name in ("gold_loader", "gold_owner"))
        let_in(
            Settings(home=tmp_path_factory.mktemp("home"), gold_dsn=loader, owner_dsn=owner), CONTRACTS["gold"].values()
        )
        server.ask(AS_DBT + "create table analytics.of_dbt (n integer)", "gold_loader")
        yield server
        server.ask(f"drop owned by {grants.DBT} cascade; drop role {grants.DBT}")


@pytest.mark.parametrize("cell", list(matrix.of_gold(CONTRACTS)), ids=lambda c: c.what)
def test_a_role_of_gold_may_what_the_page_says(gold: Server, cell: matrix.Cell) -> None:
    named = {role: (gold.urls.get(f"gold_{role}", ""), cell.how) for role in matrix.ROLES}
    named["dbt"] = gold.urls["gold_loader"], AS_DBT + cell.how
    assert {role for role, (dsn, statement) in named.items() if allowed(dsn, statement)} == cell.may


@pytest.fixture(scope="module")
def source(postgres: Any) -> Iterator[str]:
    """The shop's database and the role that docs/operations.md makes for the jobs."""
    server = Server(postgres.create_database("source_of_roles"), "_4")
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8").partition("## The source's role")[2]
    script = page.partition("```sql\n")[2].partition("```")[0]
    server.ask((ROOT / "samples" / "schema.sql").read_text())
    server.ask("drop role if exists lakehouse_reader")
    server.ask(script.replace("'…'", "'pw'"))
    server.ask("revoke create on schema public from public")
    yield f"postgresql://lakehouse_reader:pw@{server.where}"
    server.ask("drop owned by lakehouse_reader; drop role lakehouse_reader")
    drop_roles(server)


@pytest.mark.parametrize("cell", list(matrix.of_the_source(CONTRACTS)), ids=lambda c: c.what)
def test_the_role_of_the_source_may_what_the_page_says(source: str, cell: matrix.Cell) -> None:
    assert allowed(source, cell.how) is ("source" in cell.may)


# The store.


class Store:
    """A MinIO with the buckets and all users of the stack."""

    def __init__(self, server: MinioForTests, folder: Path) -> None:
        self.address, self.folder = f"127.0.0.1:{server.port}", folder
        for name in USERS:
            (folder / f"minio_{name}_user").write_text(f"user-of-{name}")
            (folder / f"minio_{name}_password").write_text(f"password-of-{name}")
        (folder / "minio_root_user").write_text(server.access_key)
        (folder / "minio_root_password").write_text(server.secret_key)
        make_buckets(self.address, folder)
        root = self.client("root")
        self.old = {}
        for bucket in (*BUCKETS, LIVE):
            for content in (b"old", b"new"):
                made = root.put_object(bucket_name=bucket, object_name="a/b", data=io.BytesIO(content), length=3)
                self.old.setdefault(bucket, made.version_id)

    def spare(self, bucket: str) -> str | None:
        """A version of an object that may go."""
        made = self.client("root").put_object(bucket_name=bucket, object_name="a/d", data=io.BytesIO(b"x"), length=1)
        return made.version_id

    def client(self, name: str) -> Minio:
        user, password = ((self.folder / f"minio_{name}_{what}").read_text() for what in ("user", "password"))
        return Minio(self.address, user, password, secure=False)


@pytest.fixture(scope="module")
def store(minio: MinioForTests, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    server = MinioForTests(minio.binary, tmp_path_factory.mktemp("minio"))
    server.start()
    try:
        yield Store(server, tmp_path_factory.mktemp("secrets"))
    finally:
        server.stop()


def put(client: Minio, bucket: str, name: str) -> None:
    client.put_object(bucket_name=bucket, object_name=name, data=io.BytesIO(b"x"), length=1)


def action(store: Store, how: str) -> Callable[[Minio], Any]:
    what, _, bucket = how.partition(":")
    return {
        "list": lambda c: list(c.list_objects(bucket_name=bucket)),
        "read": lambda c: c.get_object(bucket_name=bucket, object_name="a/b").data,
        "write": lambda c: put(c, bucket, "a/c"),
        "delete": lambda c: c.remove_object(bucket_name=bucket, object_name="a/c"),
        "list old versions of": lambda c: list(c.list_objects(bucket_name=bucket, include_version=True)),
        "read old versions of": lambda c: c.get_object(bucket_name=bucket, object_name="a/b", version_id=store.old[bucket]).data,
        "delete old versions of": lambda c: c.remove_object(bucket_name=bucket, object_name="a/d", version_id=store.spare(bucket)),
        "mark": lambda c: put(c, "bronze", f"_lakehouse/{bucket}"),
        "make": lambda c: c.make_bucket(bucket_name=bucket),
        "lifecycle": lambda c: c.delete_bucket_lifecycle(bucket_name=bucket),
    }[what]  # fmt: skip


def answer(client: Minio, do: Callable[[Minio], Any]) -> str:
    try:
        do(client)
    except S3Error as e:
        return e.code
    return "done"


@pytest.mark.parametrize("cell", list(matrix.of_the_store()), ids=lambda c: c.what)
def test_a_user_of_the_store_may_what_the_page_says(store: Store, cell: matrix.Cell) -> None:
    answers = {name: answer(store.client(name), action(store, cell.how)) for name in USERS}
    assert answers == {name: "done" if name in cell.may else "AccessDenied" for name in USERS}


def test_the_root_user_may_all_of_it(store: Store) -> None:
    """What is refused above is refused for lack of rights, not because it cannot be done."""
    for cell in matrix.of_the_store():
        action(store, cell.how)(store.client("root"))

"""A small source on the embedded Postgres."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import pytest
from psycopg2.extensions import cursor as Cursor

from lakehouse.database import Database
from lakehouse.errors import SourceError
from lakehouse.source.postgres import Source

SCHEMA = (Path(__file__).parent.parent.parent / "samples" / "schema.sql").read_text()


class Shop:
    """A database with the shop's tables, and the source that reads it, by its owner or by a role of its own."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.role = urlsplit(dsn).path.lstrip("/") + "_reader"
        self.opened: list[Database] = []
        self.do("drop role if exists " + self.role, SCHEMA)

    def do(self, *statements: str) -> None:
        with closing(psycopg2.connect(self.dsn)) as connection, connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def cursor(self) -> Cursor:
        return psycopg2.connect(self.dsn).cursor()

    def source(self, dsn: str | None = None) -> Source:
        database = Database(dsn or self.dsn, "source", SourceError)
        self.opened.append(database)
        return Source(database)

    def read_only(self, options: str = "") -> Source:
        """The source by a role that may log in and select, and nothing else."""
        self.do(f"create role {self.role} login password 'only-reads' {options}",
                f"grant select on all tables in schema public to {self.role}")  # fmt: skip
        account = urlsplit(self.dsn).netloc.rpartition("@")[0]
        return self.source(self.dsn.replace(account, f"{self.role}:only-reads"))

    def close(self) -> None:
        for database in self.opened:
            database.close()
        self.do(f"do $$ begin if exists (select from pg_roles where rolname = '{self.role}') then "
                f"drop owned by {self.role}; drop role {self.role}; end if; end $$")  # fmt: skip


@pytest.fixture
def shop(postgres: Any, request: pytest.FixtureRequest) -> Iterator[Shop]:
    made = Shop(postgres.create_database("".join(c if c.isalnum() else "_" for c in request.node.name.lower())[:50]))
    yield made
    made.close()

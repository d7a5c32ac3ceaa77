"""Which of Postgres' programs a backup calls: those that we bring speak no TLS, so a server that is asked for it needs others."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from pydantic import SecretStr

from lakehouse.cli.clients import program_for
from lakehouse.cli.databases import Role
from lakehouse.errors import SetupError
from lakehouse.recovery.clients import TLS, invocation
from lakehouse.server.embedded import binaries
from lakehouse.settings import Settings

pytestmark = pytest.mark.unit
SERVER = "postgresql://shop@db.example.com/gold"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one folder of PATH, in which there is nothing yet."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("PGSSLMODE", raising=False)
    return tmp_path


def program(dsn: str) -> str:
    command, _ = invocation("pg_dump", dsn)
    return command[0]


def test_the_programs_that_we_bring_speak_no_tls() -> None:
    said = subprocess.run([binaries() / "psql", f"{SERVER}?sslmode=require"], capture_output=True, text=True)
    assert "SSL support is not compiled in" in said.stderr


@pytest.mark.parametrize("mode", TLS)
def test_a_server_that_is_asked_for_tls_is_spoken_to_by_the_program_of_path(path: Path, mode: str) -> None:
    (path / "pg_dump").touch(mode=0o755)
    assert program(f"{SERVER}?sslmode={mode}") == str(path / "pg_dump")
    assert program(SERVER) == str(binaries() / "pg_dump")


def test_libpqs_own_variable_asks_for_tls_too(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path / "pg_dump").touch(mode=0o755)
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    assert program(SERVER) == str(path / "pg_dump")


def test_where_no_program_speaks_tls_that_is_said(path: Path) -> None:
    with pytest.raises(SetupError, match="the pg_dump that we bring speaks no TLS"):
        program(f"{SERVER}?sslmode=verify-full")


def test_a_persons_psql_says_it_too_and_takes_ours_where_no_tls_is_asked_for(path: Path) -> None:
    def psql(dsn: str) -> Path:
        return program_for("psql", dsn, Settings(gold_dsn=SecretStr(dsn)), Role.gold)

    with pytest.raises(SetupError, match=r"the psql that we bring speaks no TLS.*install Postgres' client programs"):
        psql(f"{SERVER}?sslmode=verify-full")
    assert psql(SERVER) == binaries() / "psql"
    (path / "psql").touch(mode=0o755)
    assert psql(f"{SERVER}?sslmode=verify-full") == path / "psql"

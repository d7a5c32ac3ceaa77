"""Runs dbt on the project in transform/, in its own environment: what it is told, and what became of each of its nodes.

dbt's own words may quote a row, so they go to a log in LAKEHOUSE_HOME, which is closed to other accounts; what is said here
are names and counts.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from psycopg2.extensions import parse_dsn

from lakehouse.errors import ConfigError, GateError, StoreError, may_quote
from lakehouse.settings import secret_variables
from tools.dbt.environment import DBT
from tools.setup.machine import ROOT

PROJECT = ROOT / "transform"
# libpq's parameters that dbt has no word for, by the variables that libpq reads by itself.
OF_LIBPQ = {
    "channel_binding": "PGCHANNELBINDING",
    "gssencmode": "PGGSSENCMODE",
    "hostaddr": "PGHOSTADDR",
    "krbsrvname": "PGKRBSRVNAME",
    "passfile": "PGPASSFILE",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "sslmode": "PGSSLMODE",
    "sslnegotiation": "PGSSLNEGOTIATION",
    "sslrootcert": "PGSSLROOTCERT",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
}
OF_THE_PROFILE = {"host", "port", "user", "password", "dbname", "options"}
# How a session is kept, which the profile says for all.
INDIFFERENT = {"application_name", "client_encoding", "connect_timeout", "fallback_application_name", "keepalives",
               "keepalives_count", "keepalives_idle", "keepalives_interval", "tcp_user_timeout"}  # fmt: skip
GOOD, BAD = ("success", "pass", "no-op"), ("error", "runtime error", "fail", "partial success")
MOST_NAMED = 10


@dataclass(frozen=True)
class Node:
    """A model, snapshot or test, what became of it, and how many rows are against a test."""

    kind: str
    name: str
    state: str
    rows: int

    @property
    def words(self) -> str:
        return f"{self.name} ({self.rows:,} rows)" if self.rows else self.name


@dataclass(frozen=True)
class Built:
    """What became of a build, node by node."""

    nodes: tuple[Node, ...]

    def of(self, *states: str) -> list[Node]:
        """The nodes that ended in one of these states."""
        return [n for n in self.nodes if n.state in states]

    def check(self, log: Path) -> None:
        """Raises StoreError where something could not be built, GateError where a test failed: all are named."""
        bad = self.of(*BAD)
        broken = [n.words for n in bad if n.kind not in ("test", "unit_test")]
        failed = [n.words for n in bad if n.kind in ("test", "unit_test")]
        skipped = [n.name for n in self.of("skipped") if n.kind in ("model", "snapshot")]
        left = f"; left as they were: {_listed(skipped)}" if skipped else ""
        if broken:
            raise StoreError(f"dbt could not build {_listed(broken)}{left}; {log} says why")
        if failed:
            raise GateError(f"{len(failed)} of dbt's tests failed: {_listed(failed)}{left}; {log} has their SQL")


def environment(dsn: str, home: Path) -> dict[str, str]:
    """The environment of dbt: where gold is, the password, and that nobody is told of anything.

    Raises ConfigError for a parameter of the URL that dbt would not keep to.
    """
    parts = parse_dsn(dsn)
    if unknown := sorted(parts.keys() - OF_LIBPQ.keys() - OF_THE_PROFILE - INDIFFERENT):
        raise ConfigError(f"LAKEHOUSE_GOLD_DSN sets what cannot be handed to dbt: {', '.join(unknown)}")
    theirs = {
        name: value
        for name, value in os.environ.items()
        if name not in secret_variables() and not name.startswith(("DBT_", "AWS_", "LAKEHOUSE_"))
    }
    folder = home / "dbt"
    return {
        **theirs,
        **{OF_LIBPQ[name]: value for name, value in parts.items() if name in OF_LIBPQ},
        # Only where the URL has some: a pooler refuses a session that begins with options.
        **({"PGOPTIONS": parts["options"]} if "options" in parts else {}),
        "LAKEHOUSE_DBT_HOST": parts["host"],
        "LAKEHOUSE_DBT_PORT": parts.get("port", "5432"),
        "LAKEHOUSE_DBT_USER": parts.get("user", ""),
        "LAKEHOUSE_DBT_DATABASE": parts["dbname"],
        "DBT_ENV_SECRET_GOLD": parts.get("password") or os.environ.get("PGPASSWORD", ""),
        "DBT_PROJECT_DIR": str(PROJECT),
        "DBT_PROFILES_DIR": str(PROJECT),
        "DBT_TARGET_PATH": str(folder / "target"),
        "DBT_LOG_PATH": str(folder / "logs"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "1",
    }


def build(given: Mapping[str, str], lock: int) -> Built:
    """Builds and tests everything. Where dbt ended before it began to, the one node is the project itself.

    `lock`: the socket of the session that holds the lock. dbt keeps it open too, so that a dbt which outlives this process
    is still alone.
    """
    results = Path(given["DBT_TARGET_PATH"]) / "run_results.json"
    results.unlink(missing_ok=True)
    _dbt(given, "build", kept=(lock,))
    return read_results(results) if results.is_file() else Built((Node("project", "anything", "error", 0),))


def document(given: Mapping[str, str]) -> str:
    """The page of what was built last, as dbt makes it. Raises StoreError where it could not."""
    page = Path(given["DBT_TARGET_PATH"]) / "static_index.html"
    page.unlink(missing_ok=True)
    code = _dbt(given, "docs", "generate", "--static", "--no-compile")
    if code or not page.is_file():
        raise StoreError(f"dbt ended with code {code} and made no page; {log_of(given)} says why")
    return page.read_text(encoding="utf-8")


def read_results(file: Path) -> Built:
    """What dbt noted of a build; its messages are left out, as they may quote a row."""
    return Built(
        tuple(
            Node(
                kind=(parts := str(r["unique_id"]).split("."))[0],
                name=parts[-1] if parts[0] == "unit_test" else parts[2],
                state=r["status"],
                rows=r.get("failures") or 0,
            )
            for r in json.loads(file.read_text(encoding="utf-8"))["results"]
        )
    )


def log_of(given: Mapping[str, str]) -> Path:
    """Where dbt's own words are."""
    return Path(given["DBT_LOG_PATH"]) / "dbt.log"


def _dbt(given: Mapping[str, str], *words: str, kept: tuple[int, ...] = ()) -> int:
    """dbt's exit code; what it says is shown only where a person wants words that may quote a row."""
    out = None if may_quote() else subprocess.DEVNULL
    command = [DBT.folder / "bin" / "dbt", "--no-use-colors", *words]
    return subprocess.run(
        command, cwd=PROJECT, env=dict(given), stdin=subprocess.DEVNULL, stdout=out, stderr=out, pass_fds=kept
    ).returncode


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(sorted(names)[:MOST_NAMED]) + more

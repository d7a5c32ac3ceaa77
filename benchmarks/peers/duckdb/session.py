"""What a run of the peer stands in: DuckDB with the Postgres scanner, a folder, a day, and the seconds of each phase."""

from __future__ import annotations

import uuid
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.peers.phases import Phases

# The words of the rules. A blank is any of six characters; clean text has single spaces inside and none at its ends.
MACROS = r"""
create macro has_blank(x) as regexp_matches(x, '[ \t\n\x0b\f\r\x{a0}]');
create macro clean(x) as
    case when has_blank(x) then nullif(trim(regexp_replace(x, '[ \t\n\x0b\f\r\x{a0}]+', ' ', 'g')), '')
         else nullif(x, '') end;
create macro ident(x) as
    case when regexp_full_match(x, '[0-9A-Z-]+') then x
         else regexp_replace(upper(clean(x)), '^([0-9]+)\.0$', '\1') end;
create macro title(x) as
    array_to_string(list_transform(string_split(clean(x), ' '), lambda w: upper(w[1]) || lower(w[2:])), ' ');
-- a / b rounded half away from zero to four decimals, exact: a and b are integers of the same unit
create macro ratio4(a, b) as
    ((case when (a < 0) <> (b < 0) then -1 else 1 end)
     * ((abs(a) * 20000 + abs(b)) // (2 * abs(b))) * 0.0001::decimal(5,4));
"""


class Session:
    """One run of the peer on one lake and one day."""

    def __init__(self, lake: Path, day: date, *, threads: int, memory: str) -> None:
        self.lake, self.day, self.run_id = lake, day, uuid.uuid4().hex
        self.phases = Phases()
        self.counts: dict[str, dict[str, int]] = {}
        self.connection = connected(lake, threads=threads, memory=memory)
        self.connection.execute(MACROS)
        self.phases.finished("start")

    def execute(self, statement: str) -> None:
        """Runs a statement, or several."""
        self.connection.execute(statement)

    def row(self, query: str) -> tuple[Any, ...]:
        """The first row of a query."""
        found = self.connection.execute(query).fetchone()
        return found if found is not None else ()

    def number(self, query: str) -> int:
        """The first value of a query: a count, or the rows that a statement touched."""
        return int(self.row(query)[0])


def connected(lake: Path, *, threads: int, memory: str) -> duckdb.DuckDBPyConnection:
    """DuckDB with its Postgres scanner, which comes as a package; what does not fit into memory goes to the lake's folder."""
    connection = duckdb.connect(
        config={
            "threads": threads,
            "memory_limit": memory,
            "preserve_insertion_order": False,
            "temp_directory": str(lake / "_tmp"),
        }
    )
    # Loaded from where it lies: installing it would copy it into the user's home.
    scanner = files("duckdb_extension_postgres_scanner") / "extensions" / f"v{duckdb.__version__}"
    connection.execute(f"load '{scanner}/postgres_scanner.duckdb_extension'")
    connection.execute("set timezone = 'UTC'")
    return connection


def literal(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"

"""What the machine can do at most, in the same hour as what it is compared with.

    copy out        the six source tables by COPY binary to nowhere; two clients take half of every table each
    copy in         rows as wide as fact_customer_orders by COPY binary into a logged table that has its primary key; two
                    clients bring half of them each
    key after       one client into the table without its key, then the key: what a staged load can do
    duckdb parquet  DuckDB scans the six tables (two threads) and writes Parquet with zstd
    session         an empty Spark session: until the first job has ended

Foreign keys and further indexes come on top and are not in a limit. The seconds of a row are the median of its repeats; one
that took a minute or more is not repeated.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from psycopg2.extensions import cursor as Cursor
from psycopg2.extensions import parse_dsn

from benchmarks.contestant import clean_environment
from benchmarks.peers.contestants import DUCKDB
from benchmarks.place import ROOT, Place, Site
from benchmarks.shop.load import STREAMS, connected
from lakehouse.contracts import load_contracts
from lakehouse.errors import StoreError
from lakehouse.server.embedded import binaries

LONG = 60
TABLES = tuple(STREAMS)
FACT = "limits_fact"
FACT_ROWS = """
select order_id, customer_id, campaign_id, ordered_at, ordered_at::date, status, true, 3::bigint, 7::bigint,
       123.45::numeric(18,4), 0::numeric(18,4), 6.78::numeric(18,4), 116.67::numeric(18,4), 2::bigint, false, 31::bigint,
       now(), '0123456789abcdef0123456789abcdef'::text
  from orders"""
EMPTY_SESSION = """
from lakehouse.session import spark_session
from lakehouse.settings import load_settings
spark_session(load_settings()).range(1).count()
"""


class Limit(NamedTuple):
    """One row: how often, and what is done each time; `before` is not counted."""

    name: str
    rows: int
    size: Callable[[], int]
    call: Callable[[], float]
    before: Callable[[], None]


def limits(place: Place, orders: int, repeats: int) -> Iterator[dict[str, Any]]:
    """Measures every limit on a shop of so many orders, one record each; nothing stays behind."""
    source = place.copied(place.shop(orders))
    with place.scratch() as folder, closing(connected(source)) as connection, connection.cursor() as cursor:
        for limit in [
            *_copies_out(cursor, source),
            *_copies_in(cursor, source, folder),
            *_others(cursor, source, folder),
        ]:
            yield _record(limit, repeats)


def _record(limit: Limit, repeats: int) -> dict[str, Any]:
    runs = list[float]()
    while len(runs) < repeats and not (runs and runs[-1] >= LONG):
        limit.before()
        runs.append(round(limit.call(), 3))
    seconds = statistics.median(runs)
    per_second = round(limit.rows / seconds) if limit.rows else None
    return {"limit": limit.name, "rows": limit.rows, "bytes": limit.size(), "runs": runs, "seconds": seconds,
            "rows_per_second": per_second}  # fmt: skip


def _copies_out(cursor: Cursor, source: str) -> Iterator[Limit]:
    rows, pages = _rows(cursor), _pages(cursor)
    size = sum(pages.values()) * 8192
    whole = "; ".join(f"copy {table} to stdout (format binary)" for table in TABLES)
    halves = [
        "; ".join(
            f"copy (select * from {t} where ctid {side} '({pages[t] // 2},0)') to stdout (format binary)"
            for t in TABLES
        )
        for side in ("<", ">=")
    ]

    def row(name: str, scripts: Sequence[str]) -> Limit:
        return Limit(name, sum(rows.values()), lambda: size, lambda: _timed(lambda: _psql(source, scripts)), _nothing)

    yield row("copy out, 1 client", [whole])
    yield row("copy out, 2 clients", halves)


def _copies_in(cursor: Cursor, source: str, folder: Path) -> Iterator[Limit]:
    rows, middle = _rows(cursor)["orders"], _pages(cursor)["orders"] // 2
    parts = {"": "whole", f" where ctid < '({middle},0)'": "first", f" where ctid >= '({middle},0)'": "second"}
    files = {name: folder / f"{name}.bin" for name in parts.values()}
    for where, name in parts.items():
        _psql(source, [f"copy ({FACT_ROWS}{where}) to stdout (format binary)"], outputs=[files[name]])
    cursor.execute("set maintenance_work_mem = '512MB'")

    def load(names: Sequence[str], then: str = "select") -> float:
        began = time.monotonic()
        _psql(source, [f"copy {FACT} from stdin (format binary)"] * len(names), inputs=[files[name] for name in names])
        cursor.execute(then)
        return time.monotonic() - began

    key = f"alter table {FACT} add primary key (order_id)"
    size = files["whole"].stat().st_size
    keyed, bare = (lambda: _fresh(cursor, "primary key (order_id)")), (lambda: _fresh(cursor, ""))
    yield Limit("copy in, 1 client", rows, lambda: size, lambda: load(["whole"]), keyed)
    yield Limit("copy in, 2 clients", rows, lambda: size, lambda: load(["first", "second"]), keyed)
    yield Limit("copy in, key after", rows, lambda: size, lambda: load(["whole"], key), bare)


def _others(cursor: Cursor, source: str, folder: Path) -> Iterator[Limit]:
    site = Site(source, source, folder / "scan")
    said = dict[str, float]()

    def scan() -> float:
        said.update(
            json.loads(_output(DUCKDB.program("scan", "", site.folder), DUCKDB.environment(site)).splitlines()[-1])
        )
        return said["seconds"]

    def session() -> float:
        environment = clean_environment({"LAKEHOUSE_HOME": str(site.folder)})
        return _timed(lambda: _output([sys.executable, "-c", EMPTY_SESSION], environment))

    yield Limit("duckdb parquet", sum(_rows(cursor).values()), lambda: int(said["bytes"]), scan, _nothing)
    yield Limit("spark session", 0, lambda: 0, session, _nothing)


def _rows(cursor: Cursor) -> dict[str, int]:
    return {table: _number(cursor, f"select count(*) from {table}") for table in TABLES}


def _pages(cursor: Cursor) -> dict[str, int]:
    return {table: _number(cursor, f"select pg_relation_size('{table}') / 8192") for table in TABLES}


def _number(cursor: Cursor, query: str) -> int:
    cursor.execute(query)
    (number,) = cursor.fetchone() or (0,)
    return int(number)


def _fresh(cursor: Cursor, key: str) -> None:
    """The empty table of the fact, as its contract has it, with the two technical columns of a publish."""
    columns = [f"{c.name} {c.type}" for c in load_contracts()["gold"]["fact_customer_orders"].columns]
    parts = [*columns, "_published_at timestamptz", "_run_id text", *([key] if key else [])]
    cursor.execute(f"drop table if exists {FACT}; create table {FACT} ({', '.join(parts)})")
    cursor.execute("checkpoint")


def _psql(dsn: str, scripts: Sequence[str], inputs: Sequence[Path] = (), outputs: Sequence[Path] = ()) -> None:
    """Runs scripts at once, a psql each; what they copy comes from and goes to files, or nowhere."""
    parts = parse_dsn(dsn)
    variables = {"PGHOST": "host", "PGPORT": "port", "PGUSER": "user", "PGPASSWORD": "password", "PGDATABASE": "dbname"}
    environment = clean_environment({variable: parts[name] for variable, name in variables.items()})
    with _opened(inputs, "rb") as given, _opened(outputs, "wb") as taken:
        processes = [
            subprocess.Popen(
                [binaries() / "psql", "--quiet", "--no-psqlrc", "--set", "ON_ERROR_STOP=1", "--command", script],
                env=environment,
                stdin=given[n] if given else subprocess.DEVNULL,
                stdout=taken[n] if taken else subprocess.DEVNULL,
            )
            for n, script in enumerate(scripts)
        ]
        codes = [process.wait() for process in processes]
        if any(codes):
            raise StoreError("psql could not copy the shop's tables; its words above say why")


@contextmanager
def _opened(paths: Sequence[Path], mode: str) -> Iterator[list[Any]]:
    files = [path.open(mode) for path in paths]
    try:
        yield files
    finally:
        for file in files:
            file.close()


def _output(command: list[str], environment: dict[str, str]) -> str:
    process = subprocess.run(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if process.returncode:
        raise StoreError(f"{Path(command[0]).name} did not reach its limit: it ended with code {process.returncode}")
    return process.stdout


def _timed(call: Callable[[], object]) -> float:
    began = time.monotonic()
    call()
    return time.monotonic() - began


def _nothing() -> None:
    """What comes before a limit that needs nothing."""

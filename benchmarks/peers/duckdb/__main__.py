"""`python -m benchmarks.peers.duckdb full|day DATE --lake FOLDER`, and `scan --lake FOLDER` for the limits.

The two databases are libpq URLs in SHOPDAY_SOURCE_DSN and SHOPDAY_GOLD_DSN: a password is on no command line. The last line
of the output is JSON: the seconds of each phase, and the rows of each table.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

from benchmarks.peers.duckdb import bronze, gold, silver
from benchmarks.peers.duckdb.session import Session, connected, literal
from benchmarks.peers.publish import publish
from benchmarks.peers.source import SOURCE
from benchmarks.peers.warehouse import STAGING


def main() -> None:
    """Runs the peer once."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.duckdb")
    parser.add_argument("step", choices=["full", "day", "scan"])
    parser.add_argument("date", nargs="?", type=date.fromisoformat, default=date.min)
    parser.add_argument("--lake", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory", default="12GB")
    arguments = parser.parse_args()
    arguments.lake.mkdir(parents=True, exist_ok=True)
    options = {"threads": arguments.threads, "memory": arguments.memory}
    run = scan(arguments.lake, **options) if arguments.step == "scan" else brought(arguments, options)
    print(json.dumps({"duckdb": version("duckdb"), **run}))


def brought(arguments: argparse.Namespace, options: dict[str, int | str]) -> dict[str, object]:
    """A first load or a day, from the source to gold."""
    began = time.monotonic()
    session = Session(arguments.lake, arguments.date, **options)  # type: ignore[arg-type]
    is_day = arguments.step == "day"
    bronze.extract(session, os.environ["SHOPDAY_SOURCE_DSN"], session.day if is_day else None)
    if is_day:
        silver.bring_day(session)
    else:
        silver.make_whole(session)
    rows = gold.compute(session)
    gold_dsn = os.environ["SHOPDAY_GOLD_DSN"]
    session.execute(f"attach {literal(gold_dsn)} as warehouse (type postgres)")
    publish(gold_dsn, rows, lambda table: sent(session, table), session.phases)
    seconds = round(time.monotonic() - began, 2)
    return {"seconds": seconds, "phases": session.phases.seconds, "silver": session.counts, "gold": rows}


def sent(session: Session, table: str) -> int:
    """Copies a table of gold into the staging schema, on a connection of its own; returns its rows."""
    connection = session.connection.cursor()
    connection.execute("set timezone = 'UTC'")
    connection.execute(f"insert into warehouse.{STAGING}.{table} select *, now(), '{session.run_id}' from gold_{table}")
    found = connection.fetchone()
    return int(found[0]) if found else 0


def scan(folder: Path, *, threads: int, memory: str) -> dict[str, object]:
    """Writes the six tables of the source as Parquet, nothing else: the seconds of it, and the bytes."""
    connection = connected(folder, threads=threads, memory=memory)
    connection.execute(f"attach {literal(os.environ['SHOPDAY_SOURCE_DSN'])} as source (type postgres, read_only)")
    began = time.monotonic()
    connection.execute("begin")
    for table in SOURCE:
        target = folder / f"{table}.parquet"
        connection.execute(f"copy (from source.public.{table}) to '{target}' (format parquet, compression zstd)")
    connection.execute("commit")
    seconds = time.monotonic() - began
    return {"seconds": round(seconds, 3), "bytes": sum(f.stat().st_size for f in folder.glob("*.parquet"))}


if __name__ == "__main__":
    main()

"""`python -m benchmarks.peers.pandas full|day DATE --lake FOLDER`.

The two databases are libpq URLs in SHOPDAY_SOURCE_DSN and SHOPDAY_GOLD_DSN: a password is on no command line. The last line
of the output is JSON: the seconds of each phase, and the rows of each table.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import time
import uuid
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv

from benchmarks.peers.pandas import bronze, gold, silver
from benchmarks.peers.pandas.frames import table_of
from benchmarks.peers.phases import Phases
from benchmarks.peers.publish import publish, statements
from benchmarks.peers.warehouse import COLUMNS, STAGING

COLUMN = re.compile(r"(\w+) (\w+)(?:\([\d,]+\))?")


def main() -> None:
    """Runs the peer once."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.pandas")
    parser.add_argument("step", choices=["full", "day"])
    parser.add_argument("date", type=date.fromisoformat)
    parser.add_argument("--lake", type=Path, required=True)
    arguments = parser.parse_args()
    print(json.dumps(brought(arguments.lake, arguments.date, is_day=arguments.step == "day")))


def brought(lake: Path, day: date, *, is_day: bool) -> dict[str, object]:
    """A first load or a day, from the source to gold."""
    began, phases, counts = time.monotonic(), Phases(), dict[str, dict[str, int]]()
    extracted = bronze.extract(os.environ["SHOPDAY_SOURCE_DSN"], lake, day, day if is_day else None, phases)
    tables = gold.compute(silver.bring(extracted, lake, counts, phases, is_day=is_day), day, phases)
    gold_dsn, run_id = os.environ["SHOPDAY_GOLD_DSN"], uuid.uuid4().hex
    rows = {table: len(frame) for table, frame in tables.items()}
    publish(gold_dsn, rows, lambda table: sent(gold_dsn, table, tables[table], run_id), phases)
    return {"seconds": round(time.monotonic() - began, 2), "phases": phases.seconds, "silver": counts, "gold": rows}


def sent(gold_dsn: str, table: str, frame: Any, run_id: str) -> int:
    """Copies a table into the staging schema, as CSV; returns its rows."""
    kinds = dict(COLUMN.findall(COLUMNS[table]))
    rows = table_of(frame, kinds).append_column("_run_id", pa.array([run_id] * len(frame), pa.string()))
    text = io.BytesIO()
    pyarrow.csv.write_csv(rows, text, pyarrow.csv.WriteOptions(include_header=False, batch_size=65536))
    text.seek(0)
    with statements(gold_dsn) as cursor:
        cursor.execute(f"alter table {STAGING}.{table} alter _published_at set default now()")
        columns = ", ".join(rows.column_names)
        cursor.copy_expert(f"copy {STAGING}.{table} ({columns}) from stdin (format csv)", text, 1 << 20)
        return int(cursor.rowcount)


if __name__ == "__main__":
    main()

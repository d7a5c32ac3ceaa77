"""Bronze: the source as it is, by COPY into Parquet; rows held against a count in the same snapshot, keys against null."""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ
from psycopg2.extensions import cursor as Cursor

from benchmarks.peers.pandas.frames import INSTANT
from benchmarks.peers.phases import Phases, require
from benchmarks.peers.source import KEYS, SOURCE

TYPES = {
    **dict.fromkeys(("quantity", "quantity_on_hand", "quantity_reserved", "reorder_point"), pa.int32()),
    **dict.fromkeys(("price", "cost", "unit_price", "discount", "unit_cost"), pa.decimal128(12, 4)),
    **dict.fromkeys(("ordered_at", "created_at", "updated_at"), pa.timestamp("us")),
    **dict.fromkeys(("start_date", "end_date"), pa.date32()),
    "budget": pa.decimal128(14, 2),
    "is_active": pa.bool_(),
}


def extract(source_dsn: str, lake: Path, day: date, since: date | None, phases: Phases) -> Mapping[str, Any]:
    """Brings what changed up to the end of the day, `since` a day or ever, as Arrow tables and into the day's partitions."""
    changed = f"updated_at < timestamptz '{day + timedelta(days=1)} 00:00:00+00'"
    if since:
        changed += f" and updated_at >= timestamptz '{since} 00:00:00+00'"
    with closing(psycopg2.connect(source_dsn, options="-c timezone=UTC")) as connection:
        connection.set_session(isolation_level=ISOLATION_LEVEL_REPEATABLE_READ, readonly=True)
        with connection.cursor() as cursor:
            tables = {table: _extracted(cursor, table, changed) for table in SOURCE}
    for table, rows in tables.items():
        folder = lake / "bronze" / table / f"year={day:%Y}" / f"month={day:%m}" / f"day={day:%d}"
        write(rows, folder / "part-0.parquet")
    phases.finished("P1 extract")
    for table, rows in tables.items():
        keys = rows.select(KEYS[table])
        require(not any(keys[name].null_count for name in keys.column_names), f"bronze {table}: null keys")
        distinct = keys.group_by(keys.column_names).aggregate([]).num_rows
        require(distinct == rows.num_rows, f"bronze {table}: key not unique")
    phases.finished("P5 gates")
    return tables


def write(table: Any, path: Path) -> None:
    """Writes a Parquet file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    pyarrow.parquet.write_table(table, new, compression="zstd", compression_level=1)
    new.replace(path)


def _extracted(cursor: Cursor, table: str, changed: str) -> Any:
    # Arrow reads times without a zone: the session's is UTC, and so are they.
    times = {name for name, kind in TYPES.items() if kind == pa.timestamp("us")}
    columns = [f"{name} at time zone 'UTC' as {name}" if name in times else name for name in SOURCE[table]]
    text = io.BytesIO()
    query = f"select {', '.join(columns)} from {table} where {changed}"
    cursor.copy_expert(f"copy ({query}) to stdout (format csv)", text, 1 << 20)
    rows = _parsed(text, table)
    cursor.execute(f"select count(*) from {table} where {changed}")
    (count,) = cursor.fetchone() or (0,)
    require(rows.num_rows == count, f"bronze {table}: {rows.num_rows} rows, {count} in the source")
    for position, name in enumerate(rows.column_names):
        if name in times:
            rows = rows.set_column(position, name, pc.cast(rows[name], INSTANT))
    return rows


def _parsed(text: io.BytesIO, table: str) -> Any:
    """CSV as Postgres writes it: null is nothing between two commas, an empty text has its quotes."""
    kinds = {name: TYPES.get(name, pa.string()) for name in SOURCE[table]}
    if not text.tell():
        return pa.schema(kinds.items()).empty_table()
    text.seek(0)
    return pyarrow.csv.read_csv(
        text,
        read_options=pyarrow.csv.ReadOptions(column_names=list(kinds), block_size=16 << 20),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=kinds, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False,
            true_values=["t"], false_values=["f"],
        ),
    )  # fmt: skip

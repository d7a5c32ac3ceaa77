"""What gold and silver hold, as sums that do not depend on the order of rows; columns of a run's own are left out."""

from __future__ import annotations

import hashlib
from contextlib import closing

import psycopg2
from deltalake import DeltaTable
from psycopg2 import sql

from lakehouse import address
from lakehouse.contracts import load_contracts
from tools.drill.place import Place

SUM = """
select count(*), coalesce(sum(('x' || left(md5(row({row})::text), 15))::bit(60)::bigint), 0) from {table}
"""
# Rows and sum of each table.
Content = dict[str, tuple[int, int]]


def content(place: Place) -> Content:
    """Gold as the server shows it, silver and quarantine at their published versions."""
    return {**_gold(place), **_silver(place)}


def rows_of(held: Content) -> int:
    """All rows."""
    return sum(rows for rows, _ in held.values())


def _gold(place: Place) -> Content:
    found: Content = {}
    with closing(psycopg2.connect(place.gold_dsn)) as connection, connection.cursor() as cursor:
        cursor.execute("set timezone to 'UTC'")
        for table, contract in load_contracts()["gold"].items():
            row = sql.SQL(", ").join(sql.Identifier(name) for name in contract.names if not name.startswith("_"))
            cursor.execute(sql.SQL(SUM).format(row=row, table=sql.Identifier("gold", table)))
            rows, total = cursor.fetchone() or (0, 0)
            found[f"gold.{table}"] = int(rows), int(total)
    return found


def _silver(place: Place) -> Content:
    found: Content = {}
    ledger, settings = place.ledger(), place.settings
    for table, published in ledger.published("silver").items():
        path = address.arrow_path(settings.lake_root, "silver", table)
        held = DeltaTable(path, version=published.version, storage_options=address.storage_options(settings))
        rows = held.to_pyarrow_table()
        rows = rows.select([n for n in rows.column_names if not n.startswith("_")])
        sums = (int(hashlib.md5(repr(r).encode()).hexdigest()[:15], 16) for r in rows.to_pylist())  # noqa: S324
        found[f"silver.{table}"] = rows.num_rows, sum(sums)
    return found

"""Two ways to load a frame's rows into a staging table: COPY from this machine's disk, JDBC from wherever executors are.

COPY costs far less. Its files lie in the folder of temporary files, closed to others and deleted with the load, so
executors must be on this machine.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg2
from py4j.protocol import Py4JJavaError
from pyspark.errors.exceptions.captured import CapturedException
from pyspark.sql import Column as Expression
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.contracts import Column, Contract
from lakehouse.database import Database

BATCH_ROWS = 5_000
MOST_CONNECTIONS = 4
# A batch goes into a table without index or key that nobody else touches: what takes longer is a server that is gone.
BATCH_SECONDS = 600
PREFIX, LEFT_SECONDS = "staging-", 24 * 60 * 60
# What COPY's text form cannot hold as it is, in the order of replacing; a null is `\N`.
ESCAPED = (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r"))


def load(frame: DataFrame, contract: Contract, database: Database, table: str) -> None:
    """Appends a frame, in the staged form, to a table. Raises StoreError for whatever Postgres refuses."""
    on_this_machine = (frame.sparkSession.sparkContext.master or "").startswith("local[")
    rows = frame.select(*(_staged(c) for c in contract.columns)).coalesce(MOST_CONNECTIONS)
    doing = f"while {contract.id} was staged, and nothing was published"
    if on_this_machine:
        _by_copy(rows, contract.columns, database, table, doing)
    else:
        _by_jdbc(rows, database, table, doing)


def _by_jdbc(rows: DataFrame, database: Database, table: str, doing: str) -> None:
    address = database.jdbc(reWriteBatchedInserts="true", socketTimeout=str(BATCH_SECONDS))
    writer = rows.write.format("jdbc").options(**address, batchsize=str(BATCH_ROWS)).option("dbtable", table)
    try:
        writer.mode("append").save()
    except (Py4JJavaError, CapturedException) as e:
        refused = database.refused_by_jdbc(e, doing)
        if refused is None:
            raise
        raise refused from None


def _by_copy(rows: DataFrame, columns: Sequence[Column], database: Database, table: str, doing: str) -> None:
    statement = f"copy {table} from stdin with (format text, encoding 'UTF8')"

    def copy(file: Path) -> None:
        with file.open("rb") as lines, database.connection() as connection, connection.cursor() as cursor:
            try:
                cursor.copy_expert(statement, lines)
            except psycopg2.Error as e:
                raise database.refused(e, doing) from None

    temporary = Path(_temporary(rows))
    _sweep(temporary)
    with TemporaryDirectory(prefix=PREFIX, dir=temporary) as folder:
        # Not as_uri(): Hadoop takes %20 for what it says.
        rows.select(_line(columns)).write.mode("append").text(f"file://{folder}")
        with ThreadPoolExecutor(MOST_CONNECTIONS) as pool:
            list(pool.map(copy, sorted(Path(folder).glob("part-*"))))


def _sweep(temporary: Path) -> None:
    """Deletes what drivers that were killed left a day ago and longer."""
    for folder in temporary.glob(f"{PREFIX}*"):
        with suppress(OSError):
            if folder.stat().st_mtime < time.time() - LEFT_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


def _temporary(rows: DataFrame) -> str:
    """Java's folder of temporary files, which the session has put into the home."""
    jvm = rows.sparkSession._jvm
    assert jvm is not None  # noqa: S101 - there is a session
    return str(jvm.java.lang.System.getProperty("java.io.tmpdir"))


def _staged(column: Column) -> Expression:
    """Instants as microseconds and dates as days, as contracts/types.py says."""
    if column.type == "timestamptz":
        return F.unix_micros(column.name).alias(column.name)
    return F.unix_date(column.name).alias(column.name) if column.type == "date" else F.col(column.name)


def _line(columns: Sequence[Column]) -> Expression:
    """A row in COPY's text form."""
    return F.concat_ws("\t", *(F.coalesce(_field(c), F.lit("\\N")) for c in columns))


def _field(column: Column) -> Expression:
    field = F.col(column.name)
    if column.type != "text":
        return field.cast("string")
    for plain, escaped in ESCAPED:
        field = F.replace(field, F.lit(plain), F.lit(escaped))
    return field

"""The shop's database, only ever read: one snapshot for every table and partition of a run, and no right but SELECT.

Late commits. A transaction may stamp a row before a window's end and commit after the window's snapshot. The next run
looks back over the indexed `updated_at` for rows whose writing transaction the last snapshot could not see: the row's
`xmin`, widened by the epoch of now, is not below the snapshot's own xmin. Rows between the snapshot's xmin and xmax that
it does not list are either old (seen already) or of a subtransaction, which snapshots do not list. Both kinds are
*late* rows, and dropped where bronze holds an equal image: a replaced day may have brought them already.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import reduce
from typing import Any

import psycopg2
from psycopg2.extensions import cursor as Cursor
from py4j.protocol import Py4JJavaError
from pyspark.errors.exceptions.captured import CapturedException
from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.contracts import Column, Contract
from lakehouse.database import Database
from lakehouse.errors import SourceError
from lakehouse.records import Counts, Window

SCHEMA = "public"
FETCH_ROWS = 10_000
LIMITS = "('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')"
MOST_CAUSES = 20
# 16 MiB of table a slice: below it one connection is as fast as several.
PAGES_A_SLICE = 2048
MAX_SLICES = 16
FIRST, LAST = "0001-01-01", "10000-01-01"
TWO_32 = 4_294_967_296


class Snapshot:
    """One moment of the source, shared by every connection that reads in it while this one is open."""

    def __init__(self, database: Database, cursor: Cursor) -> None:
        self._database, self._cursor = database, cursor
        cursor.execute("select pg_export_snapshot(), pg_current_snapshot()::text")
        self._name, self.transactions = _one(cursor)

    def schema(self, table: str) -> dict[str, str]:
        """Column name to Postgres type, as the source has them. Raises SourceError where the table is missing."""
        with _readable(self._database, table):
            self._cursor.execute(
                "select attname, format_type(atttypid, atttypmod) from pg_attribute "
                "where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped order by attnum",
                (f'{SCHEMA}."{table}"',),
            )
            columns = dict(self._cursor.fetchall())
        if not columns:
            raise SourceError(f"the source database at {self._database.where} has no table {SCHEMA}.{table}, or we may "
                              f"not see it; create it, or grant the role select on it")  # fmt: skip
        return columns

    def counts(self, contract: Contract, window: Window) -> Counts:
        """Counts a window, its late rows, and the rows outside every window (updated_at null or infinite)."""
        column = f'"{_mark_column(contract)}"'
        where, late = self._where(contract, window)
        with _readable(self._database, contract.table):
            self._cursor.execute(
                f"select count(*) filter (where {where}), count(*) filter (where {late}), "
                f"count(*) filter (where {column} is null or not isfinite({column})) from {_name(contract)}"
                if window.mark is None
                # With a mark the index answers; two small counts instead of one pass over everything.
                else f"select (select count(*) from {_name(contract)} where {where}), "
                f"(select count(*) from {_name(contract)} where {late}), "
                f"(select count(*) from {_name(contract)} where {column} is null or {column} in ('infinity', '-infinity'))"
            )
            return Counts(*_one(self._cursor))

    def frame(self, spark: SparkSession, contract: Contract, extra: dict[str, str], window: Window) -> DataFrame:
        """The rows of a window, unchanged; `extra` columns beyond the contract come by their Postgres type."""
        where, _ = self._where(contract, window)
        return self._read(spark, contract, extra, where, slices=self._slices(contract, window))

    def late(self, spark: SparkSession, contract: Contract, extra: dict[str, str], window: Window) -> DataFrame:
        """The rows below the window that the last snapshot did not see, or may not have seen."""
        return self._read(spark, contract, extra, self._where(contract, window)[1], slices=1)

    def _where(self, contract: Contract, window: Window) -> tuple[str, str]:
        """Two conditions: the rows of the window, and late ones."""
        column, end = f'"{_mark_column(contract)}"', _instant(window.end)
        if window.mark is None:
            return f"({column} > '-infinity' and {column} < {end})", "false"
        mark = _instant(window.mark)
        within = f"({column} >= {mark} and {column} < {end})"
        if not window.snapshot or not self._has_xmin(contract):
            return within, "false"
        low, _, _ = window.snapshot.split(":")
        below = f"{column} >= {_instant(window.mark - window.lookback)} and {column} < {mark}"
        now = int(self.transactions.split(":")[1])
        if now < int(low):
            # Transaction numbers went back: the source was restored elsewhere, and old numbers say nothing.
            return within, f"({below})"
        age = f"mod(mod({now} - xmin::text::bigint, {TWO_32}) + {TWO_32}, {TWO_32})"
        transaction = f"({now} - {age})"
        # From low on a number was unseen, or may be of a subtransaction; whatever is below it, the snapshot saw.
        return within, f"({below} and {transaction} >= {low})"

    def _read(
        self, spark: SparkSession, contract: Contract, extra: dict[str, str], where: str, slices: int
    ) -> DataFrame:
        columns = [
            *contract.columns,
            *(Column.model_validate({"name": n, "physicalType": t, "description": n}) for n, t in extra.items()),
        ]
        select = ", ".join([*(f'{_carried(c)} as "{c.name}"' for c in columns), f"{_unfit(columns)} as _unfit"])
        frames = [
            spark.read.format("jdbc")
            .options(**self._database.jdbc(), fetchsize=str(FETCH_ROWS), sessionInitStatement=self._session())
            .option("dbtable", f"(select {select} from {_name(contract)} where {where} and {piece}) q")
            .load()
            for piece in _pieces(slices, self._pages(contract) if slices > 1 else 0)
        ]
        whole = reduce(DataFrame.union, frames)
        return whole.select(
            *(_restored(c).alias(c.name) for c in columns),
            F.split(F.col("_unfit"), ",").alias("_not_representable"),
        )

    def _session(self) -> str:
        # Holds only because fetchsize > 0 makes Spark switch autocommit off; without it each read would see live rows.
        # A role's own limit on statements is for people; a table takes as long as it takes.
        return (f"set statement_timeout = 0; set transaction isolation level repeatable read read only; "
                f"set transaction snapshot '{self._name}'")  # fmt: skip

    def _kind(self, contract: Contract) -> str:
        self._cursor.execute("select relkind::text from pg_class where oid = to_regclass(%s)", (_name(contract),))
        return str(_one(self._cursor)[0])

    def _has_xmin(self, contract: Contract) -> bool:
        return self._kind(contract) in "rpm"

    def _pages(self, contract: Contract) -> int:
        self._cursor.execute(
            "select pg_relation_size(to_regclass(%s)) / current_setting('block_size')::int", (_name(contract),)
        )
        return int(_one(self._cursor)[0] or 0)

    def _slices(self, contract: Contract, window: Window) -> int:
        """First loads of big ordinary tables are read in parallel by ctid; what the index finds is small."""
        if window.mark is not None or self._kind(contract) not in "rm":
            return 1
        return max(1, min(MAX_SLICES, self._pages(contract) // PAGES_A_SLICE))


class Source:
    """The source database."""

    def __init__(self, database: Database) -> None:
        self.database = database

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """Opens a snapshot and keeps it open; everything read through it is of one moment."""
        with self.database.connection() as connection:
            connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
            with connection.cursor() as cursor:
                # This session idles while Spark reads in its snapshot: no limit of the role's may end it.
                cursor.execute(f"select set_config(name, '0', true) from pg_settings where name in {LIMITS}")
                yield Snapshot(self.database, cursor)
            connection.rollback()

    @contextmanager
    def read(self) -> Iterator[None]:
        """Around Spark's reading of the source: raises SourceError for what Postgres or the way to it broke off."""
        try:
            yield
        except (Py4JJavaError, CapturedException) as e:
            causes = java_causes(e)
            if not any(c.startswith("org.postgresql.") for c in causes):
                raise
            raise SourceError(f"the source database at {self.database.where} broke off while it was read "
                              f"({causes[-1]}); check that it runs and can read its rows, and run bronze again") from None  # fmt: skip


def java_causes(error: Py4JJavaError | CapturedException) -> list[str]:
    """The classes of a Java error and its causes, outermost first. Their words may quote a row, their names do not."""
    java = error.java_exception if isinstance(error, Py4JJavaError) else error._origin
    names: list[str] = []
    while java is not None and len(names) < MOST_CAUSES:
        names.append(str(java.getClass().getName()))
        java = java.getCause()
    return names


def _pieces(slices: int, pages: int) -> list[str]:
    """Conditions on ctid that cut a table into slices; the last is open, so rows beyond the counted pages are in it."""
    bounds = [pages * i // slices for i in range(slices)]
    return ["true"] if slices == 1 else [
        f"ctid >= '({low},0)'::tid" + (f" and ctid < '({bounds[i + 1]},0)'::tid" if i + 1 < slices else "")
        for i, low in enumerate(bounds)
    ]  # fmt: skip


def _carried(column: Column) -> str:
    """SQL that brings a value in a form no clock, calendar or driver can bend: instants as microseconds, dates as days."""
    name = f'"{column.name}"'
    if not (fits := _fits(column)):
        return name
    value = {
        "timestamptz": f"(extract(epoch from {name}) * 1000000)::bigint",
        "date": f"({name} - date '1970-01-01')",
    }.get(column.type, f"{name}::{column.type}")
    return f"case when {fits} then {value} end"


def _fits(column: Column) -> str | None:
    """SQL that is true where Spark can hold the value: finite, years 0001-9999, digits within the type."""
    name = f'"{column.name}"'
    if column.type == "timestamptz":
        return f"({name} >= '{FIRST} 00:00:00+00' and {name} < '{LAST} 00:00:00+00')"
    if column.type == "date":
        return f"({name} >= '{FIRST}' and {name} < '{LAST}')"
    if column.numeric:
        # NaN sorts above every number, so one comparison finds it and infinity too.
        return f"(abs({name}) < 1e{column.numeric[0] - column.numeric[1]})"
    return None


def _unfit(columns: list[Column]) -> str:
    """SQL for the comma-separated names of columns whose value cannot be carried; null where all can."""
    names = ", ".join(f"case when not {fits} then '{c.name}' end" for c in columns if (fits := _fits(c)))
    return f"nullif(concat_ws(',', {names}), '')" if names else "null::text"


def _restored(column: Column) -> SparkColumn:
    """The carried form back in the contract's Spark type."""
    if column.type == "timestamptz":
        return F.timestamp_micros(column.name)
    if column.type == "date":
        return F.date_from_unix_date(column.name)
    return F.col(column.name).cast(column.spark_type)


def _name(contract: Contract) -> str:
    return f'{SCHEMA}."{contract.table}"'


def _mark_column(contract: Contract) -> str:
    assert contract.extraction is not None, "bronze contracts say how they are extracted"  # noqa: S101
    return contract.extraction.column


def _instant(moment: datetime) -> str:
    return f"'{moment.isoformat()}'::timestamptz"


@contextmanager
def _readable(database: Database, table: str) -> Iterator[None]:
    try:
        yield
    except psycopg2.errors.InsufficientPrivilege:
        raise SourceError(f"the role may not read {SCHEMA}.{table} at {database.where}; grant it usage on the "
                          f"schema and select on the table") from None  # fmt: skip


def _one(cursor: Cursor) -> tuple[Any, ...]:
    row = cursor.fetchone()
    assert row is not None  # noqa: S101 - an aggregate always answers
    return tuple(row)

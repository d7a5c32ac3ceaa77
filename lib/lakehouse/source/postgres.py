"""The shop's database, only ever read: one snapshot for every table and partition of a run, and no right but SELECT."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from threading import Lock
from typing import Any

import psycopg2
from psycopg2.extensions import cursor as Cursor
from py4j.protocol import Py4JJavaError
from pyspark.errors.exceptions.captured import CapturedException
from pyspark.sql import DataFrame, SparkSession

from lakehouse.contracts import Column, Contract
from lakehouse.database import Database
from lakehouse.database.meanings import meaning
from lakehouse.errors import SourceError, UsageError, safe_words
from lakehouse.records import Counts, Window
from lakehouse.source import carried
from lakehouse.source.position import Position, oid
from lakehouse.source.questions import POLICY, READABLE, RELATIONS, STANDING, UNIQUE
from lakehouse.source.windows import Conditions, bears_key, conditions, mark_column

SCHEMA = "public"
FETCH_ROWS = 10_000
# 16 MiB of table a slice: below it one connection is as fast as several.
PAGES_A_SLICE = 2048
MAX_SLICES = 16


@dataclass(frozen=True)
class Standing:
    """How the server stood just before the snapshot: its clock, and of a standby the newest commit it had replayed."""

    clock: datetime
    is_standby: bool
    replayed: datetime | None
    encoding: str
    server: str


class Snapshot:
    """One moment of the source, shared by every connection that reads in it while this one is open."""

    def __init__(self, database: Database, cursor: Cursor, standing: Standing, jdbc: Mapping[str, str]) -> None:
        self._database, self._cursor, self.standing, self._jdbc = database, cursor, standing, jdbc
        self._one_at_a_time = Lock()
        self._relations: dict[str, frozenset[str]] = {}
        self._is_written: dict[str, str] = {}
        self.release: int = cursor.connection.info.server_version
        self._name, self.transactions = self._ask("select pg_export_snapshot(), pg_current_snapshot()::text")[0]

    def require_over(self, end: datetime) -> None:
        """Raises UsageError where a window's end lies ahead of the source's clock, SourceError for a standby behind it.

        A standby shows that it has all of a day by a commit of its primary from after the day, and by nothing else: that
        it has replayed what it received says nothing of what it did not receive.
        """
        standing, where = self.standing, self._database.where
        if standing.clock < end:
            raise UsageError(f"the day is not over by the clock of the source database at {where}: there it is "
                             f"{_told(standing.clock)}, and the window ends at {_told(end)}; run for a day that is over, and "
                             f"set the clock that is wrong")  # fmt: skip
        if standing.is_standby and (standing.replayed is None or standing.replayed < end):
            newest = f"of {_told(standing.replayed)}" if standing.replayed else "unknown"
            raise SourceError(f"the source database at {where} is a standby, and the newest commit it has replayed is {newest}, "
                              f"before the window's end at {_told(end)}: rows may still be on their way. Run again when replay "
                              f"has caught up; where the primary is idle, any commit there shows it (select "
                              f"pg_current_xact_id())")  # fmt: skip

    def require_readable(self, tables: Iterable[str]) -> None:
        """Raises SourceError that names, all at once, the tables which are missing and those that our role may not read."""
        found = self._ask(READABLE, {"schema": SCHEMA, "tables": sorted(tables)})
        missing = ", ".join(f"{SCHEMA}.{name}" for name, is_there, _ in found if not is_there)
        closed = ", ".join(f"{SCHEMA}.{name}" for name, is_there, is_open in found if is_there and not is_open)
        faults = [f"it has no {missing}: create them, or correct the DSN"] if missing else []
        faults += (
            [f"the role may not read {closed}: grant it usage on the schema and select on the tables"] if closed else []
        )
        if faults:
            raise SourceError(f"not every table can be read from the source database at {self._database.where}: "
                              f"{'; '.join(faults)}")  # fmt: skip

    def schema(self, table: str) -> dict[str, str]:
        """Column name to Postgres type, as the source has them. Raises SourceError where the table is missing."""
        columns = dict(
            self._ask(
                "select attname, format_type(atttypid, atttypmod) from pg_attribute "
                "where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped order by attnum",
                (f'{SCHEMA}."{table}"',),
                table,
            )
        )
        if not columns:
            raise SourceError(f"the source database at {self._database.where} has no table {SCHEMA}.{table}, or we may "
                              f"not see it; create it, or grant the role select on it")  # fmt: skip
        return columns

    def position(self, table: str) -> Position:
        """What is kept with a window that is read in this snapshot."""
        if table not in self._relations:
            found = self._ask(RELATIONS, {"name": f'{SCHEMA}."{table}"', "policy": POLICY}, table)
            self._relations[table] = frozenset(relation for (relation,) in found)
        return Position(self.transactions, self.standing.server, self._relations[table])

    def hides_rows(self, table: str) -> bool:
        """Whether a row security policy decides which rows our role sees: the counts are then of those alone."""
        return any(r.endswith(f".{POLICY}") for r in self.position(table).relations or ())

    def counts(self, contract: Contract, window: Window) -> Counts:
        """Counts a window, its late rows, and the rows outside every window (updated_at null or infinite)."""
        column, name = f'"{mark_column(contract)}"', _name(contract)
        where = self.conditions(contract, window)
        sql = (
            f"select count(*) filter (where {where.within}), count(*) filter (where {where.late}), "
            f"count(*) filter (where {column} is null or not isfinite({column})) from {name}"
            if window.mark is None
            # With a mark the index answers; two small counts instead of one pass over everything.
            else f"select (select count(*) from {name} where {where.within}), "
            f"(select count(*) from {name} where {where.late}), "
            f"(select count(*) from {name} where {column} is null or {column} in ('infinity', '-infinity'))"
        )
        return Counts(*self._ask(sql, table=contract.table)[0])

    def keeps_keys_once(self, contract: Contract) -> bool:
        """Whether the server lets no key stand twice; of a view, or a table without such an index, it says nothing."""
        return bool(self._ask(UNIQUE, {"name": _name(contract), "key": list(contract.key)}, contract.table)[0][0])

    def conditions(self, contract: Contract, window: Window) -> Conditions:
        """Which rows a window brings, and which are late."""
        position, has_xmin = self.position(contract.table), self._kind(contract) in "rpm"
        is_written = self._is_written.get(contract.table)
        return conditions(contract, window, position, has_xmin=has_xmin, is_written=is_written)

    def know_written(self, contract: Contract, keys: Collection[tuple[str, ...]]) -> None:
        """From now on late rows are those too that bear one of these keys, which were written since the last window."""
        if keys:
            self._is_written[contract.table] = bears_key(contract, keys, self.schema(contract.table))

    def oldest_late(self, contract: Contract, window: Window) -> datetime | None:
        """The stamp of the oldest late row."""
        where = self.conditions(contract, window).late
        sql = f'select min("{mark_column(contract)}") from {_name(contract)} where {where}'
        oldest: datetime | None = self._ask(sql, table=contract.table)[0][0]
        return oldest

    def gained(self, contract: Contract, window: Window) -> list[str]:
        """Oids of the relations that hold rows of the table and that the last window did not have."""
        if window.mark is None or not window.snapshot:
            return []
        return sorted(oid(r) for r in Position.parse(window.snapshot).gained(self.position(contract.table)))

    def frame(self, spark: SparkSession, contract: Contract, extra: Mapping[str, str], window: Window) -> DataFrame:
        """The rows of a window, unchanged; `extra` columns beyond the contract come by their Postgres type."""
        where = self.conditions(contract, window).within
        return self._read(spark, contract, extra, where, slices=self._slices(contract, window))

    def late(self, spark: SparkSession, contract: Contract, extra: Mapping[str, str], window: Window) -> DataFrame:
        """The rows below the window that the last snapshot did not see, or may not have seen."""
        return self._read(spark, contract, extra, self.conditions(contract, window).late, slices=1)

    def _read(
        self, spark: SparkSession, contract: Contract, extra: Mapping[str, str], where: str, slices: int
    ) -> DataFrame:
        columns = [
            *contract.columns,
            *(Column.model_validate({"name": n, "physicalType": t, "description": n}) for n, t in extra.items()),
        ]
        select = carried.selected(columns, raw_text=self.standing.encoding == "SQL_ASCII")
        frames = [
            self.frame_of(spark, f"select {select} from {_name(contract)} where {where} and {piece}")
            for piece in _pieces(slices, self._pages(contract) if slices > 1 else 0)
        ]
        return reduce(DataFrame.union, frames).select(*carried.restored(columns))

    def frame_of(self, spark: SparkSession, sql: str) -> DataFrame:
        """What a query finds in this snapshot, read by Spark."""
        reader = spark.read.format("jdbc").option("dbtable", f"({sql}) q")
        return reader.options(**self._jdbc, fetchsize=str(FETCH_ROWS), sessionInitStatement=self._session()).load()

    def rows(self, sql: str, table: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        """The few rows that a query about a table finds in this snapshot. Raises SourceError where Postgres refuses."""
        return self._ask(sql, parameters, table)

    def _session(self) -> str:
        # Holds only because fetchsize > 0 makes Spark switch autocommit off; without it each read would see live rows.
        return f"set transaction isolation level repeatable read read only; set transaction snapshot '{self._name}'"

    def _kind(self, contract: Contract) -> str:
        sql = "select relkind::text from pg_class where oid = to_regclass(%s)"
        return str(self._ask(sql, (_name(contract),), contract.table)[0][0])

    def _pages(self, contract: Contract) -> int:
        sql = "select pg_relation_size(to_regclass(%s)) / current_setting('block_size')::int"
        return int(self._ask(sql, (_name(contract),), contract.table)[0][0] or 0)

    def _slices(self, contract: Contract, window: Window) -> int:
        """First loads of big ordinary tables are read in parallel by ctid; what the index finds is small."""
        if window.mark is not None or self._kind(contract) not in "rm":
            return 1
        return max(1, min(MAX_SLICES, self._pages(contract) // PAGES_A_SLICE))

    def _ask(self, sql: str, parameters: Any = None, table: str | None = None) -> list[tuple[Any, ...]]:
        """Rows of a query. Raises SourceError for whatever Postgres refuses."""
        with self._one_at_a_time:  # threads share the cursor, and with it the answer
            return _asked(self._database, self._cursor, sql, parameters, table)


class Source:
    """The source database."""

    def __init__(self, database: Database) -> None:
        self.database = database

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """Opens a snapshot and keeps it open; everything read through it is of one moment."""
        # Before the session of the snapshot is taken from the pool, as a role may have few.
        jdbc = self.database.jdbc()
        with self.database.connection() as connection:
            connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
            with connection.cursor() as cursor:
                # Before the snapshot, in a transaction of its own: what had been replayed by now, the snapshot sees.
                standing = Standing(*_asked(self.database, cursor, STANDING)[0])
                connection.commit()
                yield Snapshot(self.database, cursor, standing, jdbc)
            connection.rollback()

    @contextmanager
    def read(self, table: str) -> Iterator[None]:
        """Around Spark's reading of a table: raises SourceError for what Postgres or the way to it broke off."""
        try:
            yield
        except (Py4JJavaError, CapturedException) as e:
            if refused := self.database.refused_by_jdbc(e, f"while {SCHEMA}.{table} was read"):
                raise refused from None
            raise


def _asked(
    database: Database, cursor: Cursor, sql: str, parameters: Any = None, table: str | None = None
) -> list[tuple[Any, ...]]:
    try:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())
    except psycopg2.errors.InsufficientPrivilege:
        raise SourceError(f"the role may not read {SCHEMA}.{table or '*'} at {database.where}; grant it usage on the "
                          f"schema and select on the table") from None  # fmt: skip
    except psycopg2.Error as e:
        happened, advice = meaning(e.pgcode)
        raise SourceError(f"the source database at {database.where} {happened} while {SCHEMA}.{table or '*'} was read "
                          f"({safe_words(e)}); {advice}") from None  # fmt: skip


def _pieces(slices: int, pages: int) -> list[str]:
    """Conditions on ctid that cut a table into slices; the last is open, so rows beyond the counted pages are in it."""
    bounds = [pages * i // slices for i in range(slices)]
    return ["true"] if slices == 1 else [
        f"ctid >= '({low},0)'::tid" + (f" and ctid < '({bounds[i + 1]},0)'::tid" if i + 1 < slices else "")
        for i, low in enumerate(bounds)
    ]  # fmt: skip


def _name(contract: Contract) -> str:
    return f'{SCHEMA}."{contract.table}"'


def _told(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")

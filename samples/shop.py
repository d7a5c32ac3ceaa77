"""A sample shop's source database: load its history up to a day, then advance it day by day as a living shop would.

A database that a sample made carries a mark, `lakehouse_sample.state` (shop, until). Whatever does not carry it belongs
to somebody, and is left alone. Each of the two acts is one transaction: it happens, or the database is as before.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import psycopg2
from psycopg2 import errors, extensions, sql

from lakehouse.errors import SourceError, UsageError
from samples.images import TABLES, Image, Row, changes

SCHEMA = Path(__file__).parent / "schema.sql"
ROWS_PER_COPY = 50_000
CONNECT_SECONDS = 10
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Shop:
    """A data set that can fill a source database. `first_date` and `last_date` are its first and last trading day."""

    name: str
    first_date: date
    default_until: date
    last_date: date
    read_images: Callable[[date], Iterable[Image]]
    """All images up to a day at least, each key's in the order of time."""

    def load(self, dsn: str, until: date | None = None, progress: Progress | None = None) -> dict[str, int]:
        """Fill an empty database, or start again one that a sample made, with the history up to and including a day.

        Returns the rows of each table. Raises UsageError, and touches nothing, where one of the six tables exists that
        no sample made; SourceError where the database cannot be reached. A reset keeps the grants on the tables.
        """
        until, say = until or self.default_until, progress or _silent
        with _transaction(dsn) as cursor:
            if _state(cursor) is None:
                _refuse_tables_of_others(cursor)
            say(f"reading {self.name} up to {until}")
            rows = changes(self.read_images(until), None, until)
            _create_tables(cursor)
            for table in TABLES:
                _copy(cursor, sql.Identifier("public", table), TABLES[table].columns, rows[table])
                say(f"{table}: {len(rows[table]):,} rows")
            _mark(cursor, self.name, until)
        return _counts(rows)

    def advance(self, dsn: str, to: date, progress: Progress | None = None) -> dict[str, int]:
        """Bring what changed after the day the database stands at, up to and including another; that day: nothing.

        Returns the rows of each table that were inserted or overwritten. Raises UsageError, and touches nothing, where
        the database is not this shop's or is past that day; SourceError where it cannot be reached.
        """
        say = progress or _silent
        with _transaction(dsn) as cursor:
            after = self._stands_at(cursor)
            if to < after:
                raise UsageError(f"the database stands at {after} and cannot go back to {to}: load it again up to {to}")
            if to == after:
                return _counts({})
            say(f"reading {self.name} after {after} up to {to}")
            rows = changes(self.read_images(to), after, to)
            for table in TABLES:
                _upsert(cursor, table, rows[table])
                say(f"{table}: {len(rows[table]):,} rows")
            _mark(cursor, self.name, to)
        return _counts(rows)

    def _stands_at(self, cursor: extensions.cursor) -> date:
        state = _state(cursor)
        if state is None:
            raise UsageError(f"no sample made this database: load {self.name} into it first")
        shop, until = state
        if shop != self.name:
            raise UsageError(
                f"the database is sample {shop}'s, not {self.name}'s: advance that one, or load {self.name}"
            )
        return until


def _silent(_: str) -> None:
    """The progress of a caller that does not want to hear it."""


def _counts(rows: Mapping[str, list[Row]]) -> dict[str, int]:
    return {table: len(rows.get(table, ())) for table in TABLES}


@contextmanager
def _transaction(dsn: str) -> Iterator[extensions.cursor]:
    """One transaction, and no other sample's beside it.

    No error shows the server's own words: they may quote a value, or part of a password whose `@` was not escaped.
    """
    try:
        connection = psycopg2.connect(dsn, connect_timeout=CONNECT_SECONDS)
    except psycopg2.Error:
        raise SourceError(
            "cannot connect to the source database: check its address, its name, the user and the password"
        ) from None
    try:
        with closing(connection), connection, connection.cursor() as cursor:
            connection.set_client_encoding("UTF8")
            cursor.execute("set local timezone = 'UTC'")
            cursor.execute("select pg_advisory_xact_lock(hashtext('lakehouse_sample'))")
            yield cursor
    except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
        raise SourceError(f"the source database broke off ({_code(error)}): run the same command again") from None
    except errors.InsufficientPrivilege:
        raise UsageError("the user may not create and fill the sample's tables: use the database's owner") from None
    except (errors.UndefinedTable, errors.UndefinedColumn):
        raise UsageError("a table of the sample is not as the sample made it: load it again") from None
    except errors.DependentObjectsStillExist:
        raise UsageError(
            "something else depends on the sample's tables, a view perhaps: drop it, then load again"
        ) from None
    except psycopg2.Error as error:
        raise SourceError(f"the source database refused ({_code(error)}) and is as it was before") from None


def _code(error: psycopg2.Error) -> str:
    return f"SQLSTATE {error.pgcode}" if error.pgcode else type(error).__name__


def _state(cursor: extensions.cursor) -> tuple[str, date] | None:
    """Which shop made the database, and the day it stands at; None where no sample did."""
    cursor.execute("select to_regclass('lakehouse_sample.state')")
    if cursor.fetchone() == (None,):
        return None
    cursor.execute("select shop, until from lakehouse_sample.state")
    state: tuple[str, date] | None = cursor.fetchone()
    return state


def _mark(cursor: extensions.cursor, shop: str, until: date) -> None:
    cursor.execute("create schema if not exists lakehouse_sample")
    cursor.execute("create table if not exists lakehouse_sample.state (shop text not null, until date not null)")
    cursor.execute("delete from lakehouse_sample.state")
    cursor.execute("insert into lakehouse_sample.state (shop, until) values (%s, %s)", (shop, until))


def _refuse_tables_of_others(cursor: extensions.cursor) -> None:
    cursor.execute(
        "select t from unnest(%s) with ordinality u(t, n) where to_regclass('public.' || t) is not null order by n",
        (list(TABLES),),
    )
    found = [table for (table,) in cursor]
    if found:
        raise UsageError(
            f"no sample made this database, and it holds {', '.join(found)}: name an empty one (nothing was touched)"
        )


def _create_tables(cursor: extensions.cursor) -> None:
    """The six tables as schema.sql has them, empty; who was granted something on them still is."""
    grants = _grants(cursor)
    cursor.execute("set local client_min_messages = warning")  # says of each table that is not there yet
    for table in TABLES:
        cursor.execute(sql.SQL("drop table if exists {}").format(sql.Identifier("public", table)))
    if _state(cursor) is not None:
        cursor.execute("drop function if exists public.set_updated_at()")
    cursor.execute(SCHEMA.read_text(encoding="utf-8"))
    for grant in grants:
        cursor.execute(grant)


def _grants(cursor: extensions.cursor) -> list[str]:
    cursor.execute(
        """select format('grant %%s on %%s to %%s%%s', privilege_type, c.oid::regclass,
                         case grantee when 0 then 'public' else grantee::regrole::text end,
                         case when is_grantable then ' with grant option' else '' end)
             from unnest(%s) t
             join pg_class c on c.oid = to_regclass('public.' || t)
            cross join aclexplode(c.relacl)
            where grantee <> c.relowner""",
        (list(TABLES),),
    )
    return [grant for (grant,) in cursor]


def _copy(cursor: extensions.cursor, relation: sql.Identifier, columns: tuple[str, ...], rows: list[Row]) -> None:
    """Append rows in bulk. In CSV nothing between two commas is null, and no sample has an empty text."""
    copy = sql.SQL("copy {} ({}) from stdin (format csv)").format(relation, _names(columns)).as_string(cursor)
    for start in range(0, len(rows), ROWS_PER_COPY):
        lines = io.StringIO(newline="")
        csv.writer(lines).writerows(rows[start : start + ROWS_PER_COPY])
        lines.seek(0)
        cursor.copy_expert(copy, lines)


def _upsert(cursor: extensions.cursor, table: str, rows: list[Row]) -> None:
    """Insert the rows, or overwrite those of their keys.

    The trigger leaves updated_at as the rows have it: it is later than the one it replaces, which is of a day before.
    """
    spec = TABLES[table]
    incoming = sql.Identifier(f"incoming_{table}")
    names = {
        "table": sql.Identifier("public", table),
        "incoming": incoming,
        "columns": _names(spec.columns),
        "key": _names(spec.key),
        "values": sql.SQL(", ").join(
            sql.SQL("{0} = excluded.{0}").format(sql.Identifier(column)) for column in spec.columns[spec.key_length :]
        ),
    }
    cursor.execute(
        sql.SQL("create temp table {incoming} on commit drop as select {columns} from {table} limit 0").format(**names)
    )
    _copy(cursor, incoming, spec.columns, rows)
    cursor.execute(
        sql.SQL(
            "insert into {table} ({columns}) select {columns} from {incoming} "
            "on conflict ({key}) do update set {values}"
        ).format(**names)
    )


def _names(columns: tuple[str, ...]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(column) for column in columns)

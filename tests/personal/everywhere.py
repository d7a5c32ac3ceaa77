"""Looks for texts everywhere a lakehouse keeps something: raw bytes of files, every value of Parquet, every row of Postgres."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pyarrow.parquet

from tests.e2e.small_shop import dump


def found_in_folder(folder: Path, texts: Iterable[str]) -> set[str]:
    """Where a folder holds one of the texts, in any case: the file and the text."""
    wanted = [t.lower() for t in texts]
    return {f"{file.relative_to(folder)}: {text}" for file in folder.rglob("*") if file.is_file()
            for text in wanted if any(text in content for content in _contents(file))}  # fmt: skip


def _contents(file: Path) -> Iterator[str]:
    yield file.read_bytes().decode("latin-1").lower()
    if file.suffix == ".parquet":
        yield str(pyarrow.parquet.ParquetFile(file).read().to_pylist()).lower()


def found_in_database(dsn: str, texts: Iterable[str]) -> set[str]:
    """The tables of every schema, those of Postgres' own among them, of which a row holds one of the texts; and the dump."""
    wanted, found = [t.lower() for t in texts], set[str]()
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace "
            "where c.relkind in ('r', 'm')"
        )
        tables = [name for (name,) in cursor.fetchall()]
        assert "pg_catalog.pg_statistic" in tables
        for table in tables:
            for text in wanted:
                cursor.execute(f"select count(*) from {table} t where position(%s in lower(t::text)) > 0", (text,))
                if (cursor.fetchone() or (0,))[0]:
                    found.add(f"{table}: {text}")
    written = dump(dsn).decode("utf-8").lower()
    return found | {f"pg_dump: {text}" for text in wanted if text in written}

"""Bronze: the source as it is, in Parquet, a partition of each table per day; its rows and keys held against the source."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

from benchmarks.peers.duckdb.session import Session, literal
from benchmarks.peers.phases import require
from benchmarks.peers.source import KEYS, SOURCE


def partition(session: Session, table: str) -> Path:
    """The file of a table's rows that the session's day brought."""
    day = session.day
    return session.lake / "bronze" / table / f"year={day:%Y}" / f"month={day:%m}" / f"day={day:%d}" / "part-0.parquet"


def extract(session: Session, source_dsn: str, since: date | None) -> None:
    """Brings what changed up to the end of the day, `since` a day or ever, in one snapshot of the source."""
    end = session.day + timedelta(days=1)
    changed = f"updated_at < timestamptz '{end} 00:00:00+00'"
    if since:
        changed += f" and updated_at >= timestamptz '{since} 00:00:00+00'"
    session.execute(f"attach {literal(source_dsn)} as source (type postgres, read_only)")
    session.execute("begin")
    for table in SOURCE:
        session.counts[table] = {"read": _extracted(session, table, changed, whole=since is None)}
    session.execute("commit")
    session.phases.finished("P1 extract")
    for table in SOURCE:
        _check_keys(session, table)
    session.phases.finished("P5 gates")


def _extracted(session: Session, table: str, changed: str, *, whole: bool) -> int:
    """The rows brought. A whole table is read in ranges of its pages; what a day changed is found by Postgres's index."""
    path, columns = partition(session, table), ", ".join(SOURCE[table])
    path.parent.mkdir(parents=True, exist_ok=True)
    query = literal(f"select {columns} from {table} where {changed}")
    rows = f"source.public.{table} where {changed}" if whole else f"postgres_query('source', {query})"
    new = path.with_name("part-0.new")
    brought = session.number(
        f"""copy (select {columns}, now() as _ingested_at, 'ecommerce_source' as _source_system,
                         '{session.run_id}' as _run_id
                    from {rows})
              to '{new}' (format parquet, compression zstd, compression_level 1)"""
    )
    count = literal(f"select count(*) from {table} where {changed}")
    there = session.number(f"select * from postgres_query('source', {count})")
    require(brought == there, f"bronze {table}: {brought} rows, {there} in the source")
    new.replace(path)
    return brought


def _check_keys(session: Session, table: str) -> None:
    file, names = f"'{partition(session, table)}'", KEYS[table]
    key = names[0] if len(names) == 1 else f"({', '.join(names)})"
    some_null = " or ".join(f"{name} is null" for name in names)
    nulls, is_unique = session.row(
        f"select count(*) filter (where {some_null}), count(*) = count(distinct hash({key})) from {file}"
    )
    require(nulls == 0, f"bronze {table}: {nulls} null keys")
    if not is_unique:  # two keys may share a hash
        is_unique = session.row(f"select count(*) = count(distinct {key}) from {file}")[0]
        require(is_unique, f"bronze {table}: key not unique")

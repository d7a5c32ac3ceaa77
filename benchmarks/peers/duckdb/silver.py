"""Silver: the latest valid row of each key. What breaks a rule waits in quarantine, as the source wrote it, with reasons.

`mask` has a bit for each reason by which a row stays out, 0 for none; `n` is the row's number among those that came in.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks.peers.duckdb.bronze import partition
from benchmarks.peers.duckdb.rules import SILVER
from benchmarks.peers.duckdb.session import Session
from benchmarks.peers.phases import require
from benchmarks.peers.source import KEYS, SOURCE


def make_whole(session: Session) -> None:
    """Makes every table again from the bronze rows of the session's day, which hold the whole history."""
    for table in SILVER:
        silver, folder = f"silver_{table}", session.lake / "silver" / table
        came_in = (
            f"(select {', '.join(SOURCE[table])}, file_row_number as n from read_parquet("
            f"'{partition(session, table)}', file_row_number = true, hive_partitioning = false))"
        )
        _stage(session, table, came_in, silver)
        deduplicated = _deduplicate(session, table, came_in, silver)
        waiting = _quarantine(session, table, came_in, silver, silver)
        taken_out = session.number(f"delete from {silver} where mask <> 0")
        shutil.rmtree(folder, ignore_errors=True)
        kept = _write(session, table, silver, folder / "base.parquet")
        counts = session.counts[table]
        counts.update(kept=kept, quarantined=waiting, deduplicated=deduplicated + taken_out - waiting)
        require(counts["read"] == kept + deduplicated + taken_out, f"silver {table}: rows in are not rows out")
        session.execute(f"alter table {silver} drop n")
    session.phases.finished("P2 silver")


def bring_day(session: Session) -> None:
    """Upserts the day's bronze rows, with those that wait in quarantine: the base stays, what is new is one more file."""
    for table in SILVER:
        silver, columns = f"silver_{table}", ", ".join(SOURCE[table])
        session.execute(
            f"""create or replace temp table batch as
                select *, row_number() over () - 1 as n
                  from (select {columns} from read_parquet('{partition(session, table)}', hive_partitioning = false)
                        union select {columns} from '{_waiting(session, table)}')"""
        )
        _read(session, table)
        _stage(session, table, "batch", "incoming")
        _deduplicate(session, table, "batch", "incoming")
        same_key = " and ".join(f"s.{key} = i.{key}" for key in KEYS[table])
        session.execute(
            f"""delete from incoming i where mask = 0
                   and exists (select 1 from {silver} s where {same_key} and s.updated_at >= i.updated_at);
                delete from {silver} s where exists (select 1 from incoming i where i.mask = 0 and {same_key});
                insert into {silver} by name select * exclude (n) from incoming where mask = 0"""
        )
        # A day that is run again finds nothing newer than what is there, and adds no file.
        delta = session.lake / "silver" / table / f"delta-{session.day}-{session.run_id[:8]}.parquet"
        upserted = _write(session, table, "(select * from incoming where mask = 0)", delta)
        if not upserted:
            delta.unlink()
        waiting = _quarantine(session, table, "batch", "incoming", silver)
        kept = session.number(f"select count(*) from {silver}")
        session.counts[table].update(upserted=upserted, quarantined=waiting, kept=kept)
    session.phases.finished("P2 silver")


def _waiting(session: Session, table: str) -> Path:
    return session.lake / "quarantine" / f"{table}.parquet"


def _key(table: str) -> str:
    return " || chr(31) || ".join(KEYS[table])


def _stage(session: Session, table: str, came_in: str, target: str) -> None:
    """Cleans the rows that came in into the table `target`, each with its mask."""
    rules = SILVER[table]
    bits = [
        f"case when {rules.filled(reason)} then {1 << n} else 0 end" for n, reason in enumerate(rules.reasons.values())
    ]
    columns = {
        **rules.columns,
        **rules.memory,
        "created_at": "b.created_at",
        "updated_at": "b.updated_at",
        "mask": f"({' + '.join(bits)})::usmallint",
        "n": "b.n",
    }
    selected = ", ".join(f"{expression} as {name}" for name, expression in columns.items())
    session.execute(
        f"create or replace table {target} as select {selected} from {came_in} b {rules.filled(rules.joins)}"
    )


def _deduplicate(session: Session, table: str, came_in: str, target: str) -> int:
    """Leaves one valid row of each key: the latest, ties decided by the key as written and the row; returns how many went.

    Only keys that occur twice are sorted; they are found by a hash, which two keys may share.
    """
    key = _key(table)
    session.execute(
        f"""create or replace temp table double as
            select hash({key}) as h from {target} where mask = 0 group by 1 having count(*) > 1"""
    )
    if not session.number("select count(*) from double"):
        return 0
    written = f"(select n, {key} as written, hash({', '.join(SOURCE[table])}) as h from {came_in})"
    return session.number(
        f"""delete from {target} where rowid in (
              select id from (
                select s.id, row_number() over (partition by s.k order by s.updated_at desc, r.written, r.h) as place
                  from (select rowid as id, n, {key} as k, updated_at from {target}
                         where mask = 0 and hash({key}) in (from double)) s
                  join {written} r using (n))
               where place > 1)"""
    )


def _quarantine(session: Session, table: str, came_in: str, staged: str, silver: str) -> int:
    """Writes the rows that stay out, but those that a newer valid row in `silver` has overtaken; returns how many."""
    same_key = " and ".join(f"v.{key} = x.{key}" for key in KEYS[table])
    session.execute(
        f"""create or replace temp table held as
            select n, mask from {staged} x
             where mask <> 0
               and not exists (select 1 from {silver} v
                                where v.mask = 0 and {same_key} and v.updated_at > x.updated_at)"""
    )
    named = ", ".join(
        f"case when mask & {1 << n} <> 0 then '{name}' end" for n, name in enumerate(SILVER[table].reasons)
    )
    path = _waiting(session, table)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    rows = session.number(
        f"""copy (select r.* exclude (n), list_filter([{named}], lambda r: r is not null) as reasons
                    from held join (from {came_in}) r on r.n = held.n)
              to '{new}' (format parquet, compression zstd)"""
    )
    new.replace(path)
    return rows


def _write(session: Session, table: str, relation: str, path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    rows = session.number(
        f"""copy (select {", ".join(SILVER[table].columns)}, created_at, updated_at, now() as _transformed_at,
                         '{session.run_id}' as _run_id
                    from {relation})
              to '{new}' (format parquet, compression zstd, compression_level 1)"""
    )
    new.replace(path)
    return rows


def _read(session: Session, table: str) -> None:
    """The table as the lake has it, into memory: base and deltas, the newest row of each key."""
    rules, folder = SILVER[table], session.lake / "silver" / table
    columns = [*rules.columns, "created_at", "updated_at"]
    rows, names = f"read_parquet('{folder}/base.parquet')", ", ".join(columns)
    deltas = sorted(folder.glob("delta-*.parquet"))
    if deltas:
        files = ", ".join(f"'{file}'" for file in deltas)
        session.execute(
            f"""create or replace temp table latest as select {names} from read_parquet([{files}])
                qualify row_number() over (partition by {", ".join(KEYS[table])} order by updated_at desc) = 1"""
        )
        same_key = " and ".join(f"l.{key} = b.{key}" for key in KEYS[table])
        rows = f"""(select {names} from {rows} b where not exists (select 1 from latest l where {same_key})
                    union all by name select * from latest)"""
    joins = rules.joins.format(**{name: f"b.{name}" for name in rules.columns})
    memory = "".join(f", {expression} as {name}" for name, expression in rules.memory.items())
    session.execute(
        f"""create table silver_{table} as
            select {", ".join(f"b.{name}" for name in columns)}, 0::usmallint as mask{memory} from {rows} b {joins}"""
    )

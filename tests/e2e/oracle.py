"""The judge: what gold, silver and quarantine must be, computed by plain SQL and not by the pipeline.

Written from the rules alone, it shares no code with the package. It works in the source database, beside `public`:

- `archive_day` keeps in schema `archive` the rows that a run of that business date brings (one table per source table), and
  in `archive.gone` the keys that are gone from the source by then;
- `expect` fills schema `expected` from that archive: the six gold tables, `silver_<table>`, `quarantine` (one row per
  open image and reason), `counts` (since the beginning) and `run_counts` (of the last day archived).

Needs PostgreSQL 18 (see oracle_words.sql).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from psycopg2.extensions import connection

SQL = [Path(__file__).parent / "hostile" / f"oracle_{part}.sql" for part in ("words", "silver", "gold")]

# Each table's key, in the contract's order of columns.
SOURCE_KEYS = {
    "customers": ("customer_id",),
    "products": ("product_id",),
    "orders": ("order_id",),
    "order_items": ("order_item_id",),
    "inventory": ("product_id", "warehouse_id"),
    "campaigns": ("campaign_id",),
}
GOLD_KEYS = {
    "dim_products": ("product_id",),
    "dim_customers": ("customer_id",),
    "fact_daily_sales": ("sales_date", "product_id"),
    "fact_customer_orders": ("order_id",),
    "agg_campaign_performance": ("campaign_id",),
    "agg_inventory_status": ("product_id", "warehouse_id"),
}

ARCHIVE = """
create schema if not exists archive;
create table if not exists archive.runs (business_date date, ends_at timestamptz, seen pg_snapshot);
create table if not exists archive.open_after (business_date date, source_table text, image bigint);
create table if not exists archive.kept_after (business_date date, source_table text, image bigint);
create table if not exists archive.gone (business_date date, source_table text, key text[] collate "C");
"""
ARCHIVE_TABLE = """
create table if not exists archive.{table} (
    like public.{table}, brought_on date, image bigint generated always as identity
);
"""
# The window; and late commits, stamped below the mark but unseen by the last run's snapshot.
BRING = """
insert into archive.{table}
select source.*, %(business_date)s
from public.{table} as source
    left join archive.runs as last on last.ends_at = (select max(ends_at) from archive.runs)
where isfinite(updated_at) and updated_at < %(ends_at)s and (
    last.ends_at is null
    or updated_at >= last.ends_at
    or updated_at >= last.ends_at - %(look_back)s and not pg_visible_in_snapshot(source.xmin::text::xid8, last.seen)
)
"""
# Keys with an image that counts, brought before, that no row of the source has any more, in whatever spelling.
GONE = """
insert into archive.gone
select %(business_date)s, '{table}', key
from (select distinct array[{key}] collate "C" as key, brought_on from archive.{table}) as held
where brought_on < %(business_date)s and array_position(key, null) is null
    and not exists (
        select from archive.gone g where g.source_table = '{table}' and g.key = held.key and g.business_date >= held.brought_on
    )
    and not exists (select from public.{table} where array[{key}] collate "C" = held.key)
group by key
"""


def archive_day(conn: connection, business_date: date, zone: str, look_back: timedelta = timedelta(0)) -> None:
    """Keep what a run of `business_date` brings from `public`; a day below the mark brings nothing.

    With `look_back`, rows stamped below the mark that became visible after the last run are brought as well.
    """
    with conn, conn.cursor() as cur:
        cur.execute(ARCHIVE)
        cur.execute("select %s::timestamp at time zone %s", (business_date + timedelta(days=1), zone))
        window = {"business_date": business_date, "ends_at": cur.fetchone()[0], "look_back": look_back}
        cur.execute("select from archive.runs where ends_at >= %(ends_at)s", window)
        if cur.rowcount:
            return
        for table in SOURCE_KEYS:
            cur.execute(ARCHIVE_TABLE.format(table=table))
            cur.execute(BRING.format(table=table), window)
        cur.execute("select from archive.runs")
        if cur.rowcount:  # the words of the rules are those of the day before
            for table, key in SOURCE_KEYS.items():
                identifiers = ", ".join(f"expected.identifier({part})" for part in key)
                cur.execute(GONE.format(table=table, key=identifiers), window)
        cur.execute("insert into archive.runs values (%(business_date)s, %(ends_at)s, pg_current_snapshot())", window)


def expect(conn: connection, business_date: date, zone: str) -> None:
    """Fill schema `expected` again: what a run of `business_date`, the greatest so far, must leave."""
    with conn, conn.cursor() as cur:
        cur.execute("drop schema if exists expected cascade; create schema expected; set local search_path = expected")
        cur.execute("select set_config('timezone', %s, true)", (zone,))
        cur.execute("create table parameters as select %s::date as business_date", (business_date,))
        for script in SQL:
            cur.execute(script.read_text(encoding="utf-8"))


def cells(conn: connection, relation: str, columns: Sequence[str] = ()) -> tuple[list[str], list[tuple[Any, ...]]]:
    """The names and the rows of a table, as Python values; timestamps in UTC."""
    with conn, conn.cursor() as cur:
        cur.execute("set local timezone = 'UTC'")
        cur.execute(f"select {', '.join(columns) or '*'} from {relation}")
        return [column.name for column in cur.description], cur.fetchall()


def content_hash(conn: connection, relation: str) -> tuple[int, str]:
    """Rows, and the sum of the first 15 hex digits of the md5 of each row's text (see `cell` in oracle_words.sql)."""
    names, _ = cells(conn, f"{relation} limit 0")
    row = ", ".join(f"cell({name})" for name in names)
    with conn, conn.cursor() as cur:
        cur.execute("set local search_path = expected")
        cur.execute(
            f"select count(*), coalesce(sum(('x' || left(md5(row), 15))::bit(60)::bigint), 0)::text "
            f"from (select concat_ws(chr(31), {row}) as row from {relation}) as texts"
        )
        return cur.fetchone()

"""The hostile shop: its days, and what a lakehouse holds after each of them, as plain rows that can be compared."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import psycopg2
from psycopg2.extensions import connection

from tests.e2e.oracle import GOLD_KEYS, SOURCE_KEYS, archive_day, cells, expect

FOLDER = Path(__file__).parent
LOOK_BACK = timedelta(days=1)  # the default of extract_lookback; the shop's late rows are well within it
ZONES = ("Europe/Berlin", "America/Sao_Paulo")
DAYS = {
    date(2018, 10, 27): ("day1.sql",),
    date(2018, 10, 28): ("day2.sql",),  # 25 hours in Berlin
    date(2018, 11, 3): ("day3.sql", "unseen.sql"),  # six days in one run; it ends where Sao Paulo has no midnight
    date(2018, 11, 4): ("day4.sql",),  # 23 hours in Sao Paulo
}
DAY_1, DAY_2, DAY_3, DAY_4 = DAYS
SOURCE_COLUMNS = {
    "customers": "customer_id first_name last_name email phone city state country",
    "products": "product_id product_name category brand price cost is_active",
    "orders": "order_id customer_id campaign_id status ordered_at",
    "order_items": "order_item_id order_id product_id quantity unit_price discount unit_cost",
    "inventory": "product_id warehouse_id quantity_on_hand quantity_reserved reorder_point",
    "campaigns": "campaign_id campaign_name channel start_date end_date budget",
}

Row = Mapping[str, Any]


@dataclass(frozen=True)
class State:
    """What a lakehouse holds: Python's values (Decimal, date, timestamps with their zone), no technical columns."""

    gold: dict[str, list[Row]]
    silver: dict[str, list[Row]]
    quarantine: dict[str, Counter[tuple[str, str, frozenset[str]]]]
    """Of each open image: its key as the source wrote it, the md5 of its row text, and every reason."""
    counts: dict[str, Row]
    run_counts: dict[str, Row]


@dataclass(frozen=True)
class Lived:
    """What the pipeline held after each day, and before and after the last day was run once more."""

    days: dict[date, State]
    rerun: State
    published: dict[str, list[Row]]
    published_after_rerun: dict[str, list[Row]]


class Pipeline(Protocol):
    """The pipeline under test, on one source, one gold database, one lake and one zone."""

    def run_day(self, business_date: date) -> None:
        """Run bronze, silver and gold of a business date."""

    def silver(self, table: str) -> Iterable[Row]:
        """The rows of a published silver table, all its columns."""

    def quarantine(self, table: str) -> Iterable[tuple[Row, Iterable[str]]]:
        """What is open of a source table: each original row (its source columns, as bronze has them), every reason."""

    def counts(self, table: str) -> Row:
        """Of a source table since the beginning: extracted, kept, deduplicated, removed, open."""

    def run_counts(self, table: str) -> Row:
        """Of its last run that brought a day: batch, open_before, recalled, kept, deduplicated, removed, open_after."""


def apply(source: connection, *scripts: str) -> None:
    """Run scripts of this folder, each in a transaction of its own."""
    for script in scripts:
        with source, source.cursor() as cur:
            cur.execute("set local timezone = 'UTC'")
            cur.execute((FOLDER / script).read_text(encoding="utf-8"))


def fill_in_one_go(source: connection) -> None:
    """Bring the source to its last day, with every image that the days have shown as a row of its own.

    Without rows that leave when their key is gone: a first load has never seen them.
    """
    apply(source, "schema.sql", "keep_every_image.sql", *(scripts[0] for scripts in DAYS.values()))
    with source, source.cursor() as cur:
        cur.execute("select kept.bring_back()")


def judged(source: connection, business_date: date, zone: str) -> State:
    """What the judge expects of a run of that day on the source as it is now."""
    archive_day(source, business_date, zone, LOOK_BACK)
    expect(source, business_date, zone)
    open_images = (
        "(select source_table, key, row_md5, array_agg(reason) from expected.quarantine group by 1, 2, 3, image)"
    )
    _, quarantined = cells(source, f"{open_images} as images")
    return State(
        gold={table: rows(source, f"expected.{table}") for table in GOLD_KEYS},
        silver={table: rows(source, f"expected.silver_{table}") for table in SOURCE_KEYS},
        quarantine={
            table: Counter((key, md5, frozenset(reasons)) for of, key, md5, reasons in quarantined if of == table)
            for table in SOURCE_KEYS
        },
        counts=_by_table(source, "expected.counts"),
        run_counts=_by_table(source, "expected.run_counts"),
    )


def found(pipeline: Pipeline, gold_dsn: str, expected: State) -> State:
    """What the pipeline has left, in the columns that are expected."""
    with closing(psycopg2.connect(gold_dsn)) as gold:
        return State(
            gold={table: rows(gold, f"gold.{table}", columns(expected.gold[table])) for table in GOLD_KEYS},
            silver={
                table: [
                    {name: _no_discount_is_none(name, row[name]) for name in columns(expected.silver[table])}
                    for row in pipeline.silver(table)
                ]
                for table in SOURCE_KEYS
            },
            quarantine={
                table: Counter(
                    (row_text([row[part] for part in key]), row_md5(table, row), frozenset(reasons))
                    for row, reasons in pipeline.quarantine(table)
                )
                for table, key in SOURCE_KEYS.items()
            },
            counts={table: dict(pipeline.counts(table)) for table in SOURCE_KEYS},
            run_counts={table: dict(pipeline.run_counts(table)) for table in SOURCE_KEYS},
        )


def published(gold_dsn: str) -> dict[str, list[Row]]:
    """The gold tables with all their columns, also by whom and when a row was last changed."""
    with closing(psycopg2.connect(gold_dsn)) as gold:
        return {table: rows(gold, f"gold.{table}") for table in GOLD_KEYS}


def _no_discount_is_none(name: str, value: object) -> object:
    """Silver may hold an absent discount as null or as 0: the rules say that they are the same."""
    return Decimal(0) if name == "discount" and value is None else value


def rows(database: connection, relation: str, names: Sequence[str] = ()) -> list[Row]:
    """The rows of a relation of Postgres."""
    names, values = cells(database, relation, names)
    return [dict(zip(names, row, strict=True)) for row in values]


def columns(of: Sequence[Row]) -> list[str]:
    return list(of[0])


def _by_table(source: connection, relation: str) -> dict[str, Row]:
    return {
        row["source_table"]: {k: v for k, v in row.items() if k != "source_table"} for row in rows(source, relation)
    }


def row_text(values: Iterable[object]) -> str:
    """The text of a row: see `cell` in oracle_words.sql, of which this is the Python."""
    return "\x1f".join(map(_cell, values))


def row_md5(table: str, row: Row) -> str:
    text = row_text(row[name] for name in f"{SOURCE_COLUMNS[table]} created_at updated_at".split())
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _cell(value: object) -> str:
    match value:
        case None:
            return r"\N"
        case bool():
            return str(value).lower()
        case Decimal():
            return f"{value:.4f}"
        case datetime():
            return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
        case _:
            return str(value)


def differences(table_key: Sequence[str], expected: Sequence[Row], found: Sequence[Row]) -> list[str]:
    """What differs between two tables, cell by cell: one line each, long texts cut short."""
    wanted, there = (Counter(tuple(row[part] for part in table_key) for row in some) for some in (expected, found))
    said = [f"missing: {_short(key)}" for key in wanted - there]
    said += [f"doubled: {_short(key)}" if wanted[key] else f"extra: {_short(key)}" for key in there - wanted]
    by_key = {tuple(row[part] for part in table_key): row for row in found}
    for row in expected:
        key = tuple(row[part] for part in table_key)
        said += [
            f"{_short(key)} {name}: expected {_short(value)}, found {_short(by_key[key][name])}"
            for name, value in row.items()
            if key in by_key and value != by_key[key][name]
        ]
    return said


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:100]}… ({len(text)} characters)"


def of_a_first_load(day_by_day: State) -> State:
    """What day by day has left, as a run finds it that brings all at once: nothing was ever missed, and nothing removed."""
    counts = {}
    for table, row in day_by_day.counts.items():
        counts[table] = {**row, "extracted": row["extracted"] - row["removed"], "removed": 0}
    silver = {
        table: [{k: v for k, v in row.items() if k != "_deleted_at"} for row in of]
        for table, of in day_by_day.silver.items()
    }
    return replace(day_by_day, counts=counts, silver=silver)

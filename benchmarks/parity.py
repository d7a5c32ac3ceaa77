"""Whether two golds are the same: rows and content hash of each table, over the columns that its contract has.

The technical columns (`_published_at`, `_run_id`) are in no contract. The hash does not depend on the order of rows, the width
of types or a session's settings: it is the one by which the tests compare days brought one by one and in one go.
"""

from __future__ import annotations

from contextlib import closing
from typing import NamedTuple

import psycopg2

from benchmarks.shop.load import connected
from lakehouse.contracts import load_contracts
from tests.content_hash import content_hash


class Content(NamedTuple):
    """What a table holds: its rows, and their hash."""

    rows: int
    hash: str


Gold = dict[str, Content]


def gold_content(dsn: str) -> Gold:
    """Every table of gold that is there as its contract says; one that is not is left out, and so equals no other."""
    found: Gold = {}
    with closing(connected(dsn)) as connection, connection.cursor() as cursor:
        for table, contract in load_contracts()["gold"].items():
            try:
                rows, digest = content_hash(cursor, f"gold.{table}", {c.name: c.type for c in contract.columns})
            except (psycopg2.errors.UndefinedTable, psycopg2.errors.UndefinedColumn):
                continue
            found[table] = Content(rows, str(digest))
    return found


def differences(one: Gold, other: Gold) -> list[str]:
    """The tables of gold that two do not have alike, and those that either lacks."""
    tables = sorted({*load_contracts()["gold"], *one, *other})
    return [table for table in tables if one.get(table) is None or one.get(table) != other.get(table)]

"""The next business day of a shop, in one transaction: new orders, updates, rows that arrive late, and deletes on request.

A day has the same size whatever the history: 10,000 new orders with their lines, of which one in a hundred was placed one
to three days before, 5,000 updates of orders, 2,000 of customers, 500 of products. Nine updates of orders in ten hit the
last 30,000 orders, the others any. The size is multiplied by `scale`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from datetime import date

import numpy as np
import psycopg2
import pyarrow as pa
from psycopg2.extensions import cursor as Cursor

from benchmarks.shop.columns import (
    NO_BREAK_SPACE,
    Column,
    Numbers,
    Table,
    amounts,
    customer_ids,
    edited,
    generator,
    instants,
    integers,
    microseconds,
    one_of,
    order_ids,
    product_ids,
    words,
)
from benchmarks.shop.load import copy
from benchmarks.shop.masters import CITIES
from benchmarks.shop.sales import some_lines, some_orders
from benchmarks.shop.size import DAY, END, Shop, business_date
from lakehouse.errors import UsageError
from samples.images import TABLES

NEW_ORDERS, ORDER_UPDATES, CUSTOMER_UPDATES, PRODUCT_UPDATES, DELETED_ORDERS = 10_000, 5_000, 2_000, 500, 200
RECENT_ORDERS = 30_000
STATUSES, SHARES = ("shipped", "delivered", "cancelled", "returned"), (0.3, 0.6, 0.06, 0.04)


def advance(
    dsn: str, day: int, *, scale: float = 1, deletes: bool = False, late_stamps: bool = False
) -> tuple[date, dict[str, int]]:
    """Brings business day 1, 2, … after the load; returns its date, and the rows by what became of them.

    `deletes` removes orders with their lines too. With `late_stamps` an order that arrives late bears the stamp of the day
    it was placed, which an extract by `updated_at` alone cannot see. Raises UsageError where another day is next.
    """
    with (
        closing(psycopg2.connect(dsn, options="-c timezone=UTC")) as connection,
        connection,
        connection.cursor() as cursor,
    ):
        return business_date(day), _Day(cursor, day, scale).bring(deletes, late_stamps)


class _Day:
    """One day: everything is drawn in one order, by one generator."""

    def __init__(self, cursor: Cursor, day: int, scale: float) -> None:
        cursor.execute("select orders, loaded, day from shop_state.state")
        found = cursor.fetchone()
        if found is None or day != found[2] + 1:
            stands_at = "nowhere" if found is None else f"day {found[2]}"
            raise UsageError(f"day {day} cannot follow: the shop stands at {stands_at}, and days come in order")
        self._cursor, self._day, self._scale = cursor, day, scale
        self._orders = int(found[0])
        self._shop, self._draw = Shop(int(found[1])), generator(9, day)
        self._start = END + (day - 1) * DAY
        self._end = self._start + DAY
        self._counts: dict[str, int] = {}

    def bring(self, deletes: bool, late_stamps: bool) -> dict[str, int]:
        self._update_orders()
        self._update_customers()
        self._update_products()
        new_orders = self._add_orders(late_stamps)
        if deletes:
            self._delete_orders()
        self._cursor.execute(
            "update shop_state.state set orders = %s, day = %s", (self._orders + new_orders, self._day)
        )
        return self._counts

    def _rows(self, rows: int) -> int:
        return round(rows * self._scale)

    def _moments(self, rows: int) -> Numbers:
        """Moments of the day, in order."""
        moments: Numbers = np.sort(self._start + (self._draw.random(rows) * DAY).astype(np.int64))
        return moments

    def _update_orders(self) -> None:
        rows, draw, orders = self._rows(ORDER_UPDATES), self._draw, self._orders
        is_recent = draw.random(2 * rows) < 0.9
        recent = orders - 1 - draw.integers(0, min(max(RECENT_ORDERS, 3 * rows), orders), 2 * rows)
        candidates = np.where(is_recent, recent, draw.integers(0, orders, 2 * rows))
        statuses = words(STATUSES, draw.choice(len(STATUSES), rows, p=SHARES))
        statuses = edited(statuses, (draw.random(rows) < 0.01, one_of(" Completed", None, "lost", "REFUNDED")))
        self._update("orders", order_ids(candidates), "status", "text", statuses)

    def _update_customers(self) -> None:
        rows, draw = self._rows(CUSTOMER_UPDATES), self._draw
        cities = words(CITIES, draw.integers(0, len(CITIES), rows))
        cities = edited(
            cities,
            (draw.random(rows) < 0.01, lambda text, n: f" {text.upper()}{NO_BREAK_SPACE}" if n % 2 else None),
        )
        candidates = customer_ids(draw.permutation(self._shop.customers)[: 2 * rows])
        self._update("customers", candidates, "city", "text", cities, also="email = 'new.' || t.email")

    def _update_products(self) -> None:
        rows, draw = self._rows(PRODUCT_UPDATES), self._draw
        candidates = draw.permutation(self._shop.products)[: 2 * rows]
        prices = self._shop.prices[candidates[:rows]] * draw.integers(90, 111, rows) // 100
        prices = np.where(draw.random(rows) < 0.01, -prices, prices)
        self._update("products", product_ids(candidates), "price", "numeric(12,4)", amounts(prices))

    def _update(self, table: str, candidates: Column, column: str, kind: str, values: Column, also: str = "") -> None:
        """Gives a column these values, in as many of the rows among the candidate keys as are there, the first ones."""
        cursor, key, moments = self._cursor, TABLES[table].key[0], instants(self._moments(len(values)))
        names = candidates.to_pylist()
        cursor.execute(f"select {key} from {table} where {key} = any(%s)", (names,))
        there = {name for (name,) in cursor}
        keys = [name for name in dict.fromkeys(names) if name in there][: len(values)]
        cursor.execute(f"create temp table hit (n int, key text, value {kind}, at timestamptz) on commit drop")
        hit = {"n": integers(np.arange(len(keys))), "key": pa.array(keys, type=pa.string())}
        copy(cursor, "hit", pa.table({**hit, "value": values[: len(keys)], "at": moments[: len(keys)]}))
        sets = ", ".join([f"{column} = hit.value", *([also] if also else []), "updated_at = hit.at"])
        cursor.execute(f"update {table} t set {sets} from hit where t.{key} = hit.key")
        self._counts[f"{table} updated"] = cursor.rowcount
        cursor.execute("drop table hit")

    def _add_orders(self, late_stamps: bool) -> int:
        rows = self._rows(NEW_ORDERS)
        numbers = np.arange(self._orders, self._orders + rows)
        arrived = self._moments(rows) // 1000 * 1000
        is_late = self._draw.random(rows) < 0.01
        placed = np.where(is_late, arrived - self._draw.integers(1, 4, rows) * DAY, arrived)
        for table, some in (("orders", some_orders), ("order_items", some_lines)):
            new, _ = some(self._shop, generator(10, self._day, len(table)), numbers, placed, self._end)
            copy(self._cursor, table, self._stamped(new, late_stamps))
            self._counts[f"{table} new"] = len(new)
        self._counts["orders late"] = int(is_late.sum())
        return rows

    def _stamped(self, new: Table, late_stamps: bool) -> Table:
        """The rows, changed within the day whenever they were placed; with late stamps, when they were placed."""
        created = microseconds(new["created_at"])
        steps = self._start + np.arange(len(new)) * 7_919_000_000 % DAY
        changed = np.maximum(microseconds(new["updated_at"]), steps)
        if late_stamps:
            changed = np.where(created < self._start, created, changed)
        return new.set_column(new.num_columns - 1, "updated_at", instants(np.minimum(changed, self._end - 1)))

    def _delete_orders(self) -> None:
        keys: Sequence[str] = order_ids(self._draw.permutation(self._orders)[: self._rows(DELETED_ORDERS)]).to_pylist()
        self._cursor.execute("delete from order_items where order_id = any(%s)", (keys,))
        self._cursor.execute("delete from orders where order_id = any(%s)", (keys,))
        self._counts["orders deleted"] = self._cursor.rowcount

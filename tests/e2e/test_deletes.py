"""Rows that are gone from the source: what becomes of them in silver, quarantine and gold, day by day, at once, and rebuilt."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from lakehouse.business_date import BusinessDate
from lakehouse.errors import GateError
from lakehouse.frame.published import published_frame
from lakehouse.layers import silver as silver_layer
from lakehouse.records import Outcome
from lakehouse.runs import day as days
from lakehouse.runs import rebuild
from lakehouse.upkeep.verify import verify
from tests.e2e.lakehouse import RealPipeline, rows
from tests.e2e.small_shop import EVERY_DAY, SmallShop, day

pytestmark = pytest.mark.e2e

# Without keys, so that two spellings of one may stand there.
NO_KEYS = (Path(__file__).parent / "hostile" / "schema.sql").read_text(encoding="utf-8")


@pytest.fixture
def shop(postgres: Any, tmp_path: Path) -> Iterator[SmallShop]:
    made = SmallShop(postgres, "deletes", tmp_path / "lake", NO_KEYS)
    yield made
    made.close()


def layer(shop: SmallShop, name: str, n: int, **options: Any) -> Outcome:
    business_date = BusinessDate(day(n), shop.lakehouse.settings.zone)
    return days.run(shop.lakehouse, name, business_date, **options)[0]


def judge(shop: SmallShop, *numbers: int) -> None:
    """Runs days without gold, which has nothing to say of most of this."""
    for n in numbers:
        layer(shop, "bronze", n)
        layer(shop, "silver", n)


def live(shop: SmallShop, *numbers: int) -> None:
    """Brings days of the small shop's life, and judges each."""
    for n in numbers:
        shop.write(shop.source, EVERY_DAY.format(n=n, next=n + 1, day=day(n).isoformat()))
        judge(shop, n)


def silver(shop: SmallShop, table: str, *columns: str) -> list[tuple[Any, ...]]:
    """Some columns of a silver table, in order."""
    found = rows(published_frame(shop.lakehouse, "silver", table).select(*columns))
    return sorted(tuple(r[c] for c in columns) for r in found)


def waiting(shop: SmallShop, table: str) -> dict[str, list[str]]:
    """What is open of a table: key and reasons."""
    key = shop.lakehouse.contracts["bronze"][table].key[0]
    return {
        r[key]: r["_reasons"]
        for r in rows(published_frame(shop.lakehouse, "quarantine", table).select(key, "_reasons"))
    }


def broken(shop: SmallShop) -> list[Any]:
    return [c.row() for c in verify(shop.lakehouse) if not c.holds]


def order(key: str, stamp: str) -> str:
    return ("insert into orders (order_id, customer_id, status, ordered_at, created_at, updated_at) "
            f"values ('{key}', 'C1', 'paid', '{stamp}', '{stamp}', '{stamp}');")  # fmt: skip


def line(key: str, of: str, quantity: int, stamp: str) -> str:
    return ("insert into order_items (order_item_id, order_id, product_id, quantity, unit_price, created_at, updated_at) "
            f"values ('{key}', '{of}', 'P1', {quantity}, 4, '{stamp}', '{stamp}');")  # fmt: skip


def test_what_is_gone_leaves_or_stays_marked_and_comes_back(shop: SmallShop) -> None:
    live(shop, 1, 2)
    shop.write(
        shop.source,
        "delete from order_items where order_item_id = 'I2'; delete from customers where customer_id = 'C1'",
    )
    shop.run(3)
    assert silver(shop, "order_items", "order_item_id") == [("I1",), ("L1",)], "I2 is gone"
    missed_since = BusinessDate(day(3), shop.lakehouse.settings.zone).end
    assert silver(shop, "customers", "customer_id", "_deleted_at") == [("C1", missed_since), ("C2", None)]
    assert shop.ask("select customer_id, lifetime_orders from gold.dim_customers where customer_id = 'C1'") == [
        ("C1", 1)
    ]
    assert shop.ask("select line_count from gold.fact_customer_orders where order_id = 'O2'") == [(0,)]

    # An order goes and its lines stay: they wait for it.
    shop.write(shop.source, "delete from orders where order_id = 'O1'")
    judge(shop, 4)
    assert silver(shop, "orders", "order_id") == [("O2",)]
    assert silver(shop, "order_items", "order_item_id") == []
    assert {k: r for k, r in waiting(shop, "order_items").items() if k in ("I1", "L1")} == {
        "I1": ["order_missing"],
        "L1": ["order_missing"],
    }
    assert silver(shop, "customers", "customer_id", "_deleted_at")[0] == ("C1", missed_since), (
        "since it was missed first"
    )

    # It comes back in another spelling, and the customer with an image older than the one that silver has.
    shop.write(shop.source, order("o1 ", "2020-01-05") + "insert into customers (customer_id, first_name, created_at, updated_at) "
                            "values ('c1', 'Eve', '2019-12-01', '2020-01-04 12:00')")  # fmt: skip
    judge(shop, 5)
    layer(shop, "gold", 5)
    assert silver(shop, "orders", "order_id") == [("O1",), ("O2",)]
    assert silver(shop, "order_items", "order_item_id") == [("I1",), ("L1",)]
    assert silver(shop, "customers", "customer_id", "first_name", "_deleted_at")[0] == ("C1", "Eve", None)
    assert broken(shop) == []
    held = shop.hashes()
    assert [rebuild.rebuild(shop.lakehouse, of).state for of in ("silver", "gold")] == ["published"] * 2
    assert shop.hashes() == held


@pytest.mark.slow
def test_a_key_is_gone_only_when_no_row_has_it(shop: SmallShop) -> None:
    """Another spelling keeps it, and so does a row outside every window."""
    shop.write(shop.source, EVERY_DAY.format(n=1, next=2, day=day(1).isoformat()))
    stamp = "2020-01-01 10:00"
    keys = [
        "85123a",
        "85123A",
        "17850.0",
        "17850",
        "a\u00a0b",
        "A B",
        "\u00df",
        "SS",
        "never",
        "always",
        "later",
        "plain",
    ]
    shop.write(shop.source, "".join(order(key, stamp) for key in keys))
    judge(shop, 1)
    held = silver(shop, "orders", "order_id")
    assert held == [
        ("17850",),
        ("85123A",),
        ("A B",),
        ("ALWAYS",),
        ("LATER",),
        ("NEVER",),
        ("O1",),
        ("PLAIN",),
        ("SS",),
    ]
    shop.write(
        shop.source,
        """
        delete from orders where order_id in ('85123A', '17850', 'A B', 'SS', 'plain');
        update orders set updated_at = null where order_id = 'never';
        update orders set updated_at = 'infinity' where order_id = 'always';
        update orders set updated_at = '2999-01-01' where order_id = 'later';
    """,
    )
    judge(shop, 2)
    assert silver(shop, "orders", "order_id") == [k for k in held if k != ("PLAIN",)]
    shop.write(shop.source, "delete from orders where order_id in ('85123a', 'a\u00a0b', '\u00df', 'later')")
    judge(shop, 3)
    assert silver(shop, "orders", "order_id") == [("17850",), ("ALWAYS",), ("NEVER",), ("O1",)]
    assert broken(shop) == []


@pytest.mark.slow
def test_a_row_that_comes_back_as_it_was_is_brought_again(postgres: Any, tmp_path: Path) -> None:
    """Its image is in bronze already, and void: late rows are held against what counts."""
    shop = SmallShop(postgres, "deletes", tmp_path / "lake", NO_KEYS, extract_lookback=timedelta(days=30))
    live(shop, 1, 2)
    before = shop.lake_hashes()["silver.order_items"]
    shop.write(shop.source, "create table aside as select * from order_items where order_item_id = 'I2'; "
                            "delete from order_items where order_item_id = 'I2'")  # fmt: skip
    judge(shop, 3)
    assert ("I2",) not in silver(shop, "order_items", "order_item_id")
    shop.write(shop.source, "insert into order_items select * from aside")
    judge(shop, 4)
    assert shop.lake_hashes()["silver.order_items"] == before
    assert broken(shop) == []
    shop.close()


@pytest.mark.slow
def test_a_row_that_was_made_again_after_midnight_and_deleted_by_the_next_run_is_gone(shop: SmallShop) -> None:
    """No run ever brings the later row, and yet its key is held."""
    shop.write(shop.source, EVERY_DAY.format(n=1, next=2, day=day(1).isoformat()))
    shop.write(shop.source, order("X", "2020-01-01 10:00"))
    judge(shop, 1, 2)
    shop.write(shop.source, "delete from orders where order_id = 'X'; " + order("x", "2020-01-04 00:30"))
    judge(shop, 3)
    assert silver(shop, "orders", "order_id") == [("O1",), ("X",)]
    shop.write(shop.source, "delete from orders where order_id = 'x'")
    judge(shop, 4)
    assert silver(shop, "orders", "order_id") == [("O1",)]
    assert broken(shop) == []


@pytest.mark.slow
def test_a_line_whose_order_is_gone_leaves_though_one_of_the_same_text_is_open(shop: SmallShop) -> None:
    """A discount that is no number is carried as none, which the other line has."""
    shop.write(shop.source, EVERY_DAY.format(n=1, next=2, day=day(1).isoformat()))
    both = line("V", "X", 1, "2020-01-01 10:00")
    shop.write(shop.source, order("X", "2020-01-01") + both)
    shop.write(shop.source, "update order_items set discount = 'NaN' where order_item_id = 'V'; " + both)
    judge(shop, 1)
    assert silver(shop, "order_items", "order_item_id") == [("I1",), ("V",)]
    shop.write(shop.source, "delete from orders where order_id = 'X'")
    judge(shop, 2)
    assert silver(shop, "order_items", "order_item_id") == [("I1",)]
    open_images = rows(published_frame(shop.lakehouse, "quarantine", "order_items").where("order_item_id = 'V'"))
    assert sorted(sorted(r["_reasons"]) for r in open_images) == [
        ["not_representable", "order_missing"],
        ["order_missing"],
    ]
    assert broken(shop) == []
    held = content(shop)
    rebuild.rebuild(shop.lakehouse, "silver")
    assert content(shop) == held


@pytest.mark.slow
def test_what_bronze_publishes_once_silver_has_planned_is_for_the_next_run(
    shop: SmallShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of a line that is judged once more, as its order is gone."""
    shop.write(shop.source, EVERY_DAY.format(n=1, next=2, day=day(1).isoformat()))
    shop.write(shop.source, order("X", "2020-01-01") + line("V", "X", 1, "2020-01-01 10:00"))
    judge(shop, 1)
    shop.write(shop.source, "delete from orders where order_id = 'X'")
    layer(shop, "bronze", 2)
    shop.write(
        shop.source,
        "update order_items set quantity = 0, updated_at = '2020-01-03 10:00' where order_item_id = 'V'",
    )
    entered = silver_layer._entered

    def beside_bronze(*arguments: Any) -> Any:
        layer(shop, "bronze", 3)
        return entered(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(silver_layer, "_entered", beside_bronze)
        layer(shop, "silver", 2)
    assert waiting(shop, "order_items")["V"] == ["order_missing"]
    layer(shop, "silver", 3)
    assert broken(shop) == []
    held = content(shop)
    rebuild.rebuild(shop.lakehouse, "silver")
    assert content(shop) == held


@pytest.mark.slow
def test_images_that_a_line_now_held_back_had_overtaken_are_open_again(shop: SmallShop) -> None:
    shop.write(shop.source, EVERY_DAY.format(n=1, next=2, day=day(1).isoformat()))
    shop.write(shop.source, order("X", "2020-01-01") + line("V", "X", 0, "2020-01-01 01:00"))
    judge(shop, 1)
    shop.write(shop.source, "update order_items set quantity = 1, updated_at = '2020-01-02' where order_item_id = 'V'")
    judge(shop, 2)
    shop.write(shop.source, "update order_items set quantity = 2, updated_at = '2020-01-03' where order_item_id = 'V'")
    judge(shop, 3)
    assert silver(shop, "order_items", "order_item_id", "quantity")[-1] == ("V", 2)
    shop.write(shop.source, "delete from orders where order_id = 'X'")
    judge(shop, 4)
    open_images = [(r["quantity"], sorted(r["_reasons"])) for r in rows(published_frame(shop.lakehouse, "quarantine", "order_items"))
                   if r["order_item_id"] == "V"]  # fmt: skip
    assert sorted(open_images) == [
        (0, ["order_missing", "quantity_zero"]),
        (1, ["order_missing"]),
        (2, ["order_missing"]),
    ]
    assert broken(shop) == []
    held = shop.lake_hashes()
    rebuild.rebuild(shop.lakehouse, "silver")
    assert shop.lake_hashes() == held
    shop.write(shop.source, order("X", "2020-01-05"))
    judge(shop, 5)
    assert silver(shop, "order_items", "order_item_id", "quantity")[-1] == ("V", 2)
    assert "V" not in waiting(shop, "order_items")
    # What waits in quarantine may be gone, too.
    shop.write(shop.source, "delete from order_items where order_item_id = 'Z1'")
    assert "Z1" in waiting(shop, "order_items")
    judge(shop, 6)
    assert "Z1" not in waiting(shop, "order_items")
    assert broken(shop) == []


def test_a_truncated_table_stops_the_night_until_a_person_lets_it_through(shop: SmallShop) -> None:
    shop.write(shop.source, EVERY_DAY.format(n=1, next=2, day=day(1).isoformat()))
    shop.write(shop.source, "insert into orders (order_id, customer_id, status, ordered_at, created_at, updated_at) "
                            "select 'T' || n, 'C1', 'paid', '2020-01-02', '2020-01-02', '2020-01-02' from generate_series(1, 400) n")  # fmt: skip
    layer(shop, "day", 2)
    before = shop.lake_hashes()
    shop.write(shop.source, "truncate orders")
    with pytest.raises(GateError, match=r"every key of orders \(401\), .*--date 2020-01-03 --accept-deletes orders"):
        layer(shop, "bronze", 3)
    assert shop.lake_hashes() == before
    assert layer(shop, "day", 3, accept=["orders"]).message == "0 rows of 6 tables, 401 keys gone from the source"
    assert silver(shop, "orders", "order_id") == []
    assert shop.ask("select count(*) from gold.fact_customer_orders") == [(0,)]
    assert shop.ask(
        "select reason from ops.runs where layer = 'bronze' and state = 'published' order by seq desc limit 1"
    ) == [("--accept-deletes orders",)]
    assert broken(shop) == []


# Days in any order of what can happen to a shop, drawn for each seed.

SPELLINGS = ("{}", "{}", "{}", " {}", "{}\u00a0")
KEYS = {"customers": 3, "products": 3, "orders": 4, "order_items": 6}


def happenings(draw: random.Random, n: int) -> str:
    """What happens on a day: rows made, changed and deleted, some stamped late, some at the same moment."""

    def stamp() -> str:
        late = n > 1 and draw.random() < 0.2
        return f"{day(n - 1 if late else n)} {draw.choice((1, 9, 9, 17)):02}:00"

    def key(table: str, beyond: int = 0) -> str:
        return f"{table[:2].upper() if table != 'order_items' else 'IT'}{draw.randint(1, KEYS[table] + beyond)}"

    def spelt(name: str) -> str:
        return draw.choice(SPELLINGS).format(draw.choice((name, name.lower())))

    made = {
        "customers": lambda at: (
            f"(customer_id, first_name, created_at, updated_at) values ('{spelt(key('customers'))}', "
            f"'{draw.randint(1, 9)}', '{at}', '{at}')"
        ),
        "products": lambda at: (
            f"(product_id, product_name, price, created_at, updated_at) values ('{spelt(key('products'))}', "
            f"'{draw.randint(1, 9)}', {draw.choice((-1, 2, 3))}, '{at}', '{at}')"
        ),
        "orders": lambda at: (
            "(order_id, customer_id, status, ordered_at, created_at, updated_at) values "
            f"('{spelt(key('orders'))}', '{key('customers', 1)}', '{draw.choice(('paid', 'shipped', 'lost'))}', '{at}', '{at}', '{at}')"
        ),
        "order_items": lambda at: (
            "(order_item_id, order_id, product_id, quantity, unit_price, created_at, updated_at) values "
            f"('{spelt(key('order_items'))}', '{key('orders', 1)}', '{key('products')}', {draw.choice((0, 1, 2, 3))}, 4, '{at}', '{at}')"
        ),
    }
    script = []
    for table in KEYS:
        column = f"upper(btrim({table.rstrip('s') if table != 'order_items' else 'order_item'}_id, E' \\u00a0'))"
        for _ in range(4 if n == 1 else 2):
            script.append(f"insert into {table} {made[table](stamp())}")
        if n > 1:
            script.append(f"update {table} set updated_at = '{stamp()}' where {column} = '{key(table)}'")
            script.append(f"delete from {table} where {column} = '{key(table)}'")
            if draw.random() < 0.5:
                script.append(f"delete from {table} where {column} = '{key(table)}'")
    return ";\n".join(script)


def content(shop: SmallShop) -> dict[str, list[Any]]:
    """Silver and quarantine, with what decides between images, marks of deletes, and reasons."""
    found: dict[str, list[Any]] = {}
    for table in KEYS:
        held = published_frame(shop.lakehouse, "silver", table).drop("_transformed_at", "_run_id")
        open_rows = published_frame(shop.lakehouse, "quarantine", table).drop(
            "_run_id", "_first_seen_at", "_last_seen_at"
        )
        for name, frame in (("silver", held), ("quarantine", open_rows)):
            found[f"{name}.{table}"] = sorted(str(sorted(r.items())) for r in rows(frame))
    return found


def test_an_image_that_lost_by_a_tie_is_open_once_its_order_is_gone(shop: SmallShop) -> None:
    live(shop, 1)
    stamp = f"{day(2)} 09:00"
    # One line in two spellings, as new as each other: the key that is least in byte order wins.
    lines = line("T1", "A1", 1, stamp) + line("t1", "A2", 1, stamp)
    shop.write(shop.source, order("A1", stamp) + order("A2", stamp) + lines)
    judge(shop, 2)
    totals = shop.lakehouse.ledger.totals("silver")
    assert {t for t, of in totals.items() if of.has_ties} == {"order_items"}
    assert "t1" not in waiting(shop, "order_items")

    shop.write(shop.source, "delete from orders where order_id = 'A2'")
    judge(shop, 3)
    assert waiting(shop, "order_items")["t1"] == ["order_missing"]
    assert ("T1", "A1") in silver(shop, "order_items", "order_item_id", "order_id")
    assert broken(shop) == []
    before = content(shop)
    rebuild.rebuild(shop.lakehouse, "silver")
    assert content(shop) == before


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_day_by_day_is_all_at_once_is_a_rebuild(postgres: Any, tmp_path: Path, seed: int) -> None:
    by_day = SmallShop(postgres, "by_day", tmp_path / "by_day", NO_KEYS)
    at_once = SmallShop(postgres, "at_once", tmp_path / "at_once", NO_KEYS)
    at_once.close()
    at_once.source, draw, last = by_day.source, random.Random(seed), 5
    at_once.pipeline = RealPipeline(by_day.source, at_once.gold, tmp_path / "at_once")
    at_once.lakehouse = at_once.pipeline.lakehouse
    for n in range(1, last + 1):
        by_day.write(by_day.source, happenings(draw, n))
        judge(by_day, n)
        layer(at_once, "bronze", n)
        if n == 3 and seed == 2:
            layer(at_once, "silver", n)
    layer(by_day, "gold", last)
    assert broken(by_day) == []
    for of in ("silver", "gold"):
        layer(at_once, of, last)
    assert broken(at_once) == []
    assert content(at_once) == content(by_day)
    assert at_once.hashes() == by_day.hashes()

    for table in ("orders", "order_items"):
        key = by_day.lakehouse.contracts["silver"][table].key[0]
        assert {k for (k,) in silver(by_day, table, key)} <= keys_of_source(by_day, table)
    missed = {k for k, missed_at in silver(by_day, "customers", "customer_id", "_deleted_at") if missed_at}
    assert missed == {k for (k,) in silver(by_day, "customers", "customer_id")} - keys_of_source(by_day, "customers")

    before = content(by_day), by_day.hashes()
    for of in ("silver", "gold"):
        rebuild.rebuild(by_day.lakehouse, of)
    assert (content(by_day), by_day.hashes()) == before
    assert broken(by_day) == []
    by_day.close()
    at_once.close()


def keys_of_source(shop: SmallShop, table: str) -> set[str]:
    """The keys that the source has now, as identifiers."""
    key = shop.lakehouse.contracts["bronze"][table].key[0]
    with closing(psycopg2.connect(shop.source)) as connection, connection.cursor() as cursor:
        cursor.execute(f"select distinct upper(btrim({key}, E' \\u00a0')) from {table}")
        return {k for (k,) in cursor.fetchall()}

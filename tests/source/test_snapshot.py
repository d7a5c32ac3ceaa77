"""One moment of a real source: its clock and its server, what a table is made of, and what it refuses."""

from __future__ import annotations

from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg2
import pytest
from pyspark.sql import SparkSession

from lakehouse.database.sessions import LIFTED as LIMITS
from lakehouse.errors import SourceError, UsageError
from lakehouse.records import Counts, Window
from lakehouse.source.position import Position
from tests.source.conftest import Shop
from tests.tables import contract, instant

pytestmark = pytest.mark.integration

ORDERS, CUSTOMERS = contract("bronze.orders"), contract("bronze.customers")
MARK, END, DAY = instant("2020-01-03"), instant("2020-01-04"), timedelta(days=1)
WINDOW = Window(MARK, END)
ORDER = "insert into {} (order_id, status, ordered_at, created_at, updated_at) select {} || n, 'paid', {}, {}, {} from generate_series(1, {}) n"


def orders(table: str, name: str, stamp: str, count: int) -> str:
    moment = f"timestamptz '{stamp} 10:00+00'"
    return ORDER.format(table, f"'{name}-'", moment, moment, moment, count)


def after(shop: Shop, window: Window = WINDOW) -> Window:
    """The window that follows on one that is read now."""
    with shop.source().snapshot() as snapshot:
        return replace(window, snapshot=str(snapshot.position("orders")), lookback=DAY)


def counted(shop: Shop, window: Window) -> Counts:
    with shop.source().snapshot() as snapshot:
        return snapshot.counts(ORDERS, window)


# Its clock.


def test_a_window_that_is_not_over_by_the_clock_of_the_source_is_refused(shop: Shop) -> None:
    with shop.source().snapshot() as snapshot:
        assert abs(snapshot.standing.clock - datetime.now(UTC)) < timedelta(minutes=5)
        snapshot.require_over(snapshot.standing.clock)
        with pytest.raises(
            UsageError, match=r"not over by the clock of the source database at 127\.0\.0\.1:\d+/test_a_"
        ) as refused:
            snapshot.require_over(snapshot.standing.clock + timedelta(seconds=1))
    assert "run for a day that is over" in str(refused.value)


# What it says of keys.


@pytest.mark.parametrize(
    ("made", "vouches"),
    [
        ("create table orders (order_id text primary key)", True),
        ("create table orders (order_id text unique deferrable)", True),
        ("create table orders (order_id text, status text, unique (order_id) include (status))", True),
        ("create table orders (order_id text) partition by list (order_id);"
         "create unique index on orders (order_id)", True),
        ("create table orders (order_id text)", False),
        ("create table orders (order_id text); create index on orders (order_id)", False),
        ("create table orders (order_id text, status text, unique (order_id, status))", False),
        ("create table orders (order_id text); create unique index on orders (order_id) where order_id > 'b'", False),
        ("create table orders (order_id text); create unique index on orders (lower(order_id))", False),
        ("create table orders (order_id text primary key); create table older () inherits (orders)", False),
        ("create table held (order_id text primary key); create view orders as select * from held", False),
    ],
)  # fmt: skip
def test_only_a_unique_index_over_the_whole_table_vouches_for_its_keys(shop: Shop, made: str, vouches: bool) -> None:
    shop.do("drop table orders cascade", made)
    with shop.source().snapshot() as snapshot:
        assert snapshot.keeps_keys_once(ORDERS) == vouches


def test_an_index_over_a_part_of_the_key_vouches_for_all_of_it(shop: Shop) -> None:
    shop.do("drop table inventory", "create table inventory (product_id text unique, warehouse_id text)")
    with shop.source().snapshot() as snapshot:
        assert snapshot.keeps_keys_once(contract("bronze.inventory"))


# Where it was read.


def test_a_position_is_the_same_in_each_snapshot_of_a_server_and_survives_the_ledger(shop: Shop) -> None:
    source = shop.read_only()
    with source.snapshot() as snapshot:
        first = snapshot.position("orders")
    with source.snapshot() as snapshot:
        second = snapshot.position("orders")
    assert first.server == second.server is not None
    assert first.is_of(second)
    assert first.gained(second) == frozenset() != first.relations
    assert Position.parse(str(first)) == first
    assert Position.parse("100:200:150") == Position("100:200:150")


def test_what_an_attached_partition_makes_visible_is_late_however_old_it_is(shop: Shop) -> None:
    shop.do(
        "alter table orders rename to plain",
        "create table orders (like plain) partition by range (ordered_at)",
        "create table orders_1 partition of orders for values from ('2020-01-01') to ('2020-01-02')",
        "create table orders_2 (like orders)",
        orders("orders_1", "a", "2020-01-01", 3),
        orders("orders_2", "b", "2020-01-02", 5),
    )
    window = after(shop, Window(MARK + DAY, END + DAY))
    assert counted(shop, window) == Counts(0, 0, 0)
    shop.do("alter table orders attach partition orders_2 for values from ('2020-01-02') to ('2020-01-03')")
    # Its rows lie before the look-back, and their transaction was over long ago.
    assert counted(shop, window) == Counts(0, 5, 0)
    assert counted(shop, after(shop, window)) == Counts(0, 0, 0)


@pytest.mark.parametrize(
    "change",
    [
        ["alter table orders rename to old", "alter table other rename to orders"],
        ["create temporary table kept as select * from other", "truncate orders", "insert into orders select * from kept"],
        ["drop table orders cascade", "create table orders (like other)", "insert into orders select * from other"],
        ["alter table other inherit orders"],
    ],
    ids=["swapped by rename", "truncated and loaded", "restored", "inherited"],
)  # fmt: skip
def test_what_other_ddl_makes_visible_is_late_however_old_it_is(shop: Shop, change: list[str]) -> None:
    shop.do("create table other (like orders including all)", orders("other", "b", "2019-06-01", 5))
    window = after(shop)
    shop.do(*change)
    assert counted(shop, window).late == 5


def test_a_view_whose_relations_changed_is_looked_through_whole(shop: Shop) -> None:
    shop.do(
        "alter table orders rename to plain",
        "create table other (like plain)",
        orders("plain", "a", "2019-06-01", 2),
        orders("other", "b", "2019-06-01", 3),
        "create view orders as select * from plain",
    )
    window = after(shop)
    assert counted(shop, window).late == 0
    shop.do("create or replace view orders as select * from plain union all select * from other")
    assert counted(shop, window).late == 5


@pytest.mark.parametrize("partitioned", [False, True])
def test_rows_that_a_policy_hid_are_told_of_and_late_once_it_is_gone(shop: Shop, partitioned: bool) -> None:
    if partitioned:
        shop.do("alter table orders rename to plain", "create table orders (like plain) partition by list (status)",
                "create table orders_paid partition of orders for values in ('paid')")  # fmt: skip
    shop.do(orders("orders", "a", "2019-06-01", 3), "alter table orders enable row level security")
    source = shop.read_only()
    with source.snapshot() as snapshot:
        assert snapshot.counts(ORDERS, Window(None, MARK)) == Counts(0, 0, 0)
        assert snapshot.hides_rows("orders")
        assert not snapshot.hides_rows("customers")
        window = replace(WINDOW, snapshot=str(snapshot.position("orders")), lookback=DAY)
    shop.do("alter table orders disable row level security")
    with source.snapshot() as snapshot:
        assert not snapshot.hides_rows("orders")
        assert snapshot.counts(ORDERS, window).late == 3


def test_a_row_that_committed_late_is_found_by_its_transaction(shop: Shop) -> None:
    shop.do(orders("orders", "seen", "2020-01-02", 1))
    writing = shop.cursor()
    writing.execute(orders("orders", "late", "2020-01-02", 1))
    window = after(shop)
    writing.connection.commit()
    writing.connection.close()
    assert counted(shop, window).late == 1
    # Of another server nothing is known by its numbers.
    before = Position.parse(str(window.snapshot))
    elsewhere = replace(window, snapshot=str(replace(before, server="1@10.0.0.1:5432")))
    assert counted(shop, elsewhere).late == 2


def test_what_was_touched_since_is_counted_with_the_newest_day(shop: Shop) -> None:
    shop.do(
        orders("orders", "a", "2020-01-03", 1),
        "insert into orders (order_id, ordered_at, created_at, updated_at) values "
        "('touched', '2020-01-01', '2020-01-01', '2020-01-04 00:15+00'), ('new', '2020-01-04', '2020-01-04', '2020-01-04'), "
        "('endless', '2020-01-01', '2020-01-01', 'infinity')",
    )
    window = Window(MARK, END)
    assert counted(shop, window) == Counts(1, 0, 1)
    assert counted(shop, replace(window, touched_since=True)) == Counts(2, 0, 1)
    assert counted(shop, Window(None, END, touched_since=True)) == Counts(2, 0, 1)


# What it refuses, and what stands in the way.


def test_a_missing_table_is_named_with_where_it_was_looked_for_and_no_password(shop: Shop) -> None:
    shop.do("drop table orders cascade")
    with shop.read_only().snapshot() as snapshot, pytest.raises(SourceError) as caught:
        snapshot.schema("orders")
    assert "has no table public.orders, or we may not see it" in str(caught.value)
    assert "only-reads" not in str(caught.value)


def test_all_tables_that_are_missing_or_closed_are_named_at_once(shop: Shop) -> None:
    source = shop.read_only()
    with source.snapshot() as snapshot:
        snapshot.require_readable(["orders", "products"])
    shop.do(
        "drop table inventory",
        "alter table campaigns rename to old_campaigns",
        f"revoke select on orders, products from {shop.role}",
        f"grant select (product_id, updated_at) on products to {shop.role}",
        f"revoke select on order_items from {shop.role}",
    )
    with source.snapshot() as snapshot, pytest.raises(SourceError) as caught:
        snapshot.require_readable(["orders", "products", "order_items", "inventory", "campaigns", "customers"])
    assert "it has no public.campaigns, public.inventory: create them" in str(caught.value)
    assert "may not read public.order_items, public.orders: grant it" in str(caught.value)
    assert "products" not in str(caught.value)
    assert "customers" not in str(caught.value)


def test_a_table_that_may_not_be_read_is_named_with_what_to_do(shop: Shop) -> None:
    source = shop.read_only()
    shop.do(f"revoke select on orders from {shop.role}")
    with (
        source.snapshot() as snapshot,
        pytest.raises(SourceError, match=r"the role may not read public\.orders at ") as caught,
    ):
        snapshot.counts(ORDERS, Window(None, END))
    assert "grant it usage on the schema and select on the table" in str(caught.value)


def test_limits_of_a_role_are_lifted_for_every_session_of_ours(shop: Shop, spark: SparkSession) -> None:
    shop.do(
        "drop table customers cascade",
        "create view customers as select customer_id, concat_ws(',', "
        + ", ".join(f"current_setting('{name}')" for name in LIMITS)
        + ") as first_name, customer_id as last_name, customer_id as email, customer_id as phone, customer_id as city, "
        "customer_id as state, customer_id as country, now() - interval '1 day' as created_at, "
        "timestamptz '2020-01-03 12:00+00' as updated_at from (values ('c')) as t (customer_id)",
    )
    source = shop.read_only()
    shop.do(*(f"alter role {shop.role} set {name} = '1h'" for name in LIMITS))
    with source.snapshot() as snapshot:
        frame = snapshot.frame(spark, CUSTOMERS, {}, Window(MARK, END))
        assert [r["first_name"] for r in frame.collect()] == ["0,0,0,0"]
        assert snapshot._ask("select first_name from customers") == [("0,0,0,0",)]


def test_a_role_that_may_have_no_more_sessions_is_told_so(shop: Shop, spark: SparkSession) -> None:
    source = shop.read_only("connection limit 2")
    held = source.database.dedicated()
    with (
        source.snapshot() as snapshot,
        pytest.raises(
            SourceError, match=r"has no connection left for us while public\.orders was read \(\S+ 53300\)"
        ) as caught,
        source.read("orders"),
    ):
        snapshot.frame(spark, ORDERS, {}, Window(None, END)).collect()
    held.close()
    assert "raise the role's" in str(caught.value)


def test_a_snapshot_whose_session_was_ended_is_an_error_of_the_source(shop: Shop, spark: SparkSession) -> None:
    reading = r"while public\.orders was read"
    with suppress(SourceError), shop.source().snapshot() as snapshot:
        pid = snapshot._ask("select pg_backend_pid()")[0][0]
        frame = snapshot.frame(spark, ORDERS, {}, Window(None, END))
        shop.do(f"select pg_terminate_backend({pid}, 5000)")
        with (
            pytest.raises(SourceError, match=rf"lacks an object that should be there {reading} \(\S+ 42704\)"),
            shop.source().read("orders"),
        ):
            frame.collect()
        with pytest.raises(SourceError, match=rf"broke off the work {reading} \(\w+\); check that the server runs"):
            snapshot.counts(ORDERS, Window(None, END))


# What it holds.


def test_text_that_is_no_unicode_is_null_and_named_and_the_rest_goes_on(shop: Shop, spark: SparkSession) -> None:
    raw = f"{shop.role}_raw"
    with closing(psycopg2.connect(shop.dsn)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"drop database if exists {raw}")
            cursor.execute(
                f"create database {raw} template template0 encoding 'SQL_ASCII' locale 'C' locale_provider libc"
            )
    elsewhere = Shop(shop.dsn.rpartition("/")[0] + f"/{raw}")
    city = "insert into customers (customer_id, city, created_at, updated_at) values ('{}', convert_from('\\x{}', 'SQL_ASCII'), '2020-01-01', '2020-01-01')"
    texts = {
        "latin": "4dfc6e636865", "utf-8": "4dc3bc6e6368656e", "ascii": "4d", "empty": "", "japanese": "e697a5e69cac",
        "emoji": "f09f8d8c", "cut off": "4dc3", "overlong": "c1a1", "surrogate": "eda080", "beyond": "f4908080",
        "del": "7f",
    }  # fmt: skip
    elsewhere.do(*(city.format(name, text) for name, text in texts.items()))
    with elsewhere.source().snapshot() as snapshot:
        frame = snapshot.frame(spark, CUSTOMERS, {}, Window(None, END))
        found = {r["customer_id"]: (r["city"], r["_not_representable"]) for r in frame.collect()}
    elsewhere.close()
    lost = (None, ["city"])
    assert found == {
        "latin": lost, "utf-8": ("München", None), "ascii": ("M", None), "empty": ("", None), "japanese": ("日本", None),
        "emoji": ("🍌", None), "cut off": lost, "overlong": lost, "surrogate": lost, "beyond": lost, "del": ("\x7f", None),
    }  # fmt: skip

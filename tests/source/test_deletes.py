"""Keys of the source against keys that are held: figures that agree, figures that differ, and what is gone then."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from lakehouse.contracts import Contract
from lakehouse.source import deletes
from lakehouse.source.deletes import (
    IS_LATER,
    MOST_BUCKETS,
    STRANGE,
    Seen,
    counted,
    differing,
    held_figures,
    keys_seen,
    source_figures,
    unmet,
)
from lakehouse.source.digests import CRC_32, SHA_256, Digest, digest_of
from lakehouse.source.postgres import Snapshot
from tests.source.conftest import Shop
from tests.tables import contract, instant

pytestmark = pytest.mark.integration
ORDERS, INVENTORY = contract("bronze.orders"), contract("bronze.inventory")
MARK = instant("2020-01-03")
# Every printable character of ASCII, in either case, and numbers as floats write them.
PLAIN = [*(f"k{chr(c)}" for c in range(0x21, 0x7F)), "17850.0", "1.00", ".0", "A1.0", "0.0", "x.0.0", "1.0.0", "007"]
PLAIN_HELD = sorted({k.upper() for k in PLAIN} - {"17850.0", "0.0"} | {"17850", "0"})


@pytest.fixture(autouse=True, params=[pytest.param(CRC_32, id="crc-32"), pytest.param(SHA_256, id="sha-256")])
def digest(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Digest:
    """What a server of today is asked for, and what one before release 18 is, which every server can answer."""
    digest: Digest = request.param
    monkeypatch.setattr(deletes, "digest_of", lambda _: digest)
    return digest


def held(spark: SparkSession, *keys: str) -> DataFrame:
    return spark.createDataFrame([(k,) for k in keys], "order_id string")


def have(shop: Shop, *keys: str | None, made: str = "2020-01-01") -> None:
    """Orders with these keys, in a table that asks for none."""
    with shop.cursor() as cursor:
        cursor.execute(
            "alter table orders drop constraint if exists orders_pkey; alter table orders alter order_id drop not null"
        )
        cursor.executemany(
            "insert into orders (order_id, status, ordered_at, created_at, updated_at) values (%s, 'paid', %s, %s, %s)",
            [(key, made, made, made) for key in keys],
        )
        cursor.connection.commit()


def gone(spark: SparkSession, snapshot: Snapshot, of: Contract, keys: DataFrame, buckets: Collection[str]) -> DataFrame:
    """Keys that no row of the source has any more."""
    return unmet(spark, snapshot, of, keys, buckets, MARK).where(f"not {IS_LATER}").select(*of.key)


def compared(spark: SparkSession, shop: Shop, keys: DataFrame, source: Any = None) -> tuple[set[str], list[str]]:
    """Buckets that differ, and keys that are gone."""
    with (source or shop.source()).snapshot() as snapshot:
        ours = {
            b: (n, total)
            for _, b, n, total in held_figures(keys, ORDERS, deletes.digest_of(snapshot.release)).collect()
        }
        buckets = differing(source_figures(snapshot, ORDERS, MARK), ours)
        return buckets, sorted(r[0] for r in gone(spark, snapshot, ORDERS, keys, buckets).collect()) if buckets else []


def test_the_server_makes_of_plain_keys_what_spark_does(shop: Shop, spark: SparkSession) -> None:
    have(shop, *PLAIN_HELD)
    assert compared(spark, shop, held(spark, *PLAIN_HELD)) == (set(), [])
    with shop.cursor() as cursor:
        cursor.execute("truncate orders")
        cursor.connection.commit()
    spelt = {k.upper(): k for k in PLAIN}
    have(shop, *(spelt.get(k, f"{k}.0") for k in PLAIN_HELD))
    assert compared(spark, shop, held(spark, *PLAIN_HELD)) == (set(), [])


def test_rows_made_since_the_mark_make_no_bucket_differ(shop: Shop, spark: SparkSession) -> None:
    have(shop, "A", "B")
    have(shop, *(f"new-{n}" for n in range(50)), made="2020-01-03 10:00")
    assert compared(spark, shop, held(spark, "A", "B")) == (set(), [])


def test_only_buckets_with_a_key_that_may_be_gone_are_read(shop: Shop, spark: SparkSession) -> None:
    keys = [f"K{n}" for n in range(200)]
    have(shop, *keys[1:], "unknown to all")
    buckets, missing = compared(spark, shop, held(spark, *keys))
    assert (len(buckets), missing) == (1, ["K0"])


@pytest.mark.parametrize(
    ("there", "missing"),
    [
        (["85123a"], []),
        (["85123B"], ["85123A"]),
        ([" 85123A"], []),
        (["85123A\t"], []),
        (["\u00a085123a\u00a0"], []),
        ([None], ["85123A"]),
        ([""], ["85123A"]),
        (["85123A.0"], ["85123A"]),
        (["85123\uff21"], ["85123A"]),
    ],
)
def test_another_spelling_keeps_a_key_and_another_key_does_not(
    shop: Shop, spark: SparkSession, there: list[str | None], missing: list[str]
) -> None:
    have(shop, *there)
    assert compared(spark, shop, held(spark, "85123A"))[1] == missing


def test_keys_that_are_not_plain_are_compared_by_themselves(shop: Shop, spark: SparkSession) -> None:
    strange = ["STRASSE 1", "\u00c9", "A B", "\u65e5\u672c"]
    have(shop, "stra\u00dfe\u00a0 1", "e\u0301", "a  b", "\u65e5\u672c")
    buckets, missing = compared(spark, shop, held(spark, *strange, "STRASSE"))
    assert missing == ["STRASSE", "\u00c9"], "nothing is normalised"
    assert STRANGE in buckets


def test_keys_that_stand_twice_or_between_blanks_agree_and_are_not_read(shop: Shop, spark: SparkSession) -> None:
    have(shop, "a", "A", "B", "B", "b\t", "\u00a0b \v", " \r\n17850.0\f")
    assert compared(spark, shop, held(spark, "A", "B", "17850")) == (set(), [])


def test_a_key_in_blanks_that_are_none_to_the_rule_is_another_key(shop: Shop, spark: SparkSession) -> None:
    have(shop, "A\u2003", "\u200bB", "C\u2028")
    assert compared(spark, shop, held(spark, "A", "B", "C"))[1] == ["A", "B", "C"]


def test_rows_without_a_time_are_there(shop: Shop, spark: SparkSession) -> None:
    have(shop, "A")
    shop.do("alter table orders alter created_at drop not null, alter updated_at drop not null",
            "update orders set created_at = null, updated_at = null")  # fmt: skip
    buckets, missing = compared(spark, shop, held(spark, "A", "B"))
    assert (len(buckets), missing) == (1, ["B"])


def test_a_key_of_two_columns_is_gone_where_one_of_them_differs(shop: Shop, spark: SparkSession) -> None:
    shop.do("insert into inventory (product_id, warehouse_id, quantity_on_hand, quantity_reserved, created_at, updated_at) "
            "values ('p', 'W1', 1, 0, '2020-01-01', '2020-01-01'), ('q', 'W2', 1, 0, '2020-01-01', '2020-01-01')")  # fmt: skip
    keys = spark.createDataFrame([("P", "W1"), ("P", "W2"), ("Q", "W2")], "product_id string, warehouse_id string")
    with shop.source().snapshot() as snapshot:
        ours = {
            b: (n, total)
            for _, b, n, total in held_figures(keys, INVENTORY, deletes.digest_of(snapshot.release)).collect()
        }
        buckets = differing(source_figures(snapshot, INVENTORY, MARK), ours)
        assert [tuple(r) for r in gone(spark, snapshot, INVENTORY, keys, buckets).collect()] == [("P", "W2")]


def test_it_takes_no_more_than_select_on_a_view(shop: Shop, spark: SparkSession) -> None:
    have(shop, "A", "B")
    shop.do("alter table orders rename to held", "create view orders as select * from held")
    with ExitStack() as kept:
        source = shop.read_only()
        kept.callback(source.database.close)
        shop.do(f"revoke select on held from {shop.role}")
        assert compared(spark, shop, held(spark, "A", "B"), source) == (set(), [])
        assert compared(spark, shop, held(spark, "A", "C"), source)[1] == ["C"]


def test_it_is_of_the_snapshots_moment(shop: Shop, spark: SparkSession) -> None:
    have(shop, "A", "B")
    keys = held(spark, "A", "B")
    with shop.source().snapshot() as snapshot:
        shop.do("delete from orders")
        assert sum(n for n, _ in source_figures(snapshot, ORDERS, MARK).values()) == 2
        every = {r["bucket"] for r in held_figures(keys, ORDERS, deletes.digest_of(snapshot.release)).collect()}
        assert gone(spark, snapshot, ORDERS, keys, every).collect() == []
    assert compared(spark, shop, keys)[1] == ["A", "B"]


NEXT = instant("2020-01-04")


def seen(
    shop: Shop, end: datetime = MARK, last: Seen | None = None, of: Contract = ORDERS
) -> tuple[Seen, set[str] | None]:
    """What is seen before an end, as it is read again by the next run; and where a key that was seen last may be gone."""
    with shop.source().snapshot() as snapshot:
        now, suspect = keys_seen(snapshot, of, end, last)
    assert Seen.parse(str(now)) == now
    return now, suspect


def test_where_no_key_went_no_bucket_is_suspect(shop: Shop) -> None:
    have(shop, "A", "B", " é\t", None)
    first, suspect = seen(shop)
    assert suspect is None  # nothing was seen before
    shop.do("update orders set status = 'shipped', updated_at = '2020-01-03 10:00'")
    shop.do("insert into orders (order_id, status, ordered_at, created_at, updated_at) select order_id, status, ordered_at, "
            "created_at, updated_at from orders where order_id = 'A'; delete from orders where ctid = (select min(ctid) from "
            "orders where order_id = 'A')")  # fmt: skip
    have(shop, "C", "D", None, made="2020-01-03 10:00")
    second, suspect = seen(shop, NEXT, first)
    assert suspect == set()
    assert second.sums != first.sums
    assert seen(shop, NEXT, second)[1] == set()


@pytest.mark.parametrize(
    "sql",
    ["delete from orders where order_id = 'A'", "update orders set order_id = 'b' where order_id = 'B'",
     "update orders set order_id = '' where order_id = 'A'", "delete from orders where order_id is null",
     "delete from orders where order_id ~ 'é'", "truncate orders",
     "update orders set created_at = '2020-01-09', updated_at = '2020-01-09' where order_id = 'A'"],
)  # fmt: skip
def test_where_a_key_went_a_bucket_is_suspect(shop: Shop, spark: SparkSession, sql: str) -> None:
    have(shop, "A", "B", " é\t", None)
    first, _ = seen(shop)
    shop.do(sql)
    have(shop, "C", made="2020-01-03 10:00")
    _, suspect = seen(shop, NEXT, first)
    assert suspect != set()
    keys, everywhere = held(spark, "A", "B", "É"), {str(n) for n in range(MOST_BUCKETS + 1)}
    with shop.source().snapshot() as snapshot:
        every = gone(spark, snapshot, ORDERS, keys, everywhere).collect()
        assert gone(spark, snapshot, ORDERS, keys, suspect or everywhere).collect() == every


@pytest.mark.parametrize("key", ["A", "\u00e9"], ids=["plain", "strange"])
def test_a_key_that_only_a_row_made_after_the_end_has_is_not_gone_and_may_be_by_the_next_run(
    shop: Shop, spark: SparkSession, key: str
) -> None:
    have(shop, key, "B")
    first, _ = seen(shop)
    # Deleted, and made again after midnight, before the night's run.
    shop.do(f"delete from orders where order_id = '{key}'")
    have(shop, key, made="2020-01-04 00:30")
    second, suspect = seen(shop, NEXT, first)
    keys, everywhere = held(spark, key.upper(), "B"), {str(n) for n in range(MOST_BUCKETS + 1)}
    with shop.source().snapshot() as snapshot:
        found = unmet(spark, snapshot, ORDERS, keys, suspect or everywhere, NEXT)
        assert [tuple(r) for r in found.collect()] == [(key.upper(), True)]
        number, doubtful = counted(found, snapshot, ORDERS)
    assert (number, len(doubtful)) == (0, 1)
    shop.do(f"delete from orders where order_id = '{key}'")
    unsure = second.unsure_of(doubtful)
    assert Seen.parse(str(unsure)) == unsure
    _, suspect = seen(shop, instant("2020-01-05"), unsure)
    assert suspect == (doubtful if key == "A" else None)


def test_a_row_that_is_of_a_bucket_by_its_stamp_alone_is_seen(shop: Shop) -> None:
    # Made after the end by its own words, and stamped before it: its window brings it.
    have(shop, "A")
    shop.do("update orders set created_at = '2020-01-09', updated_at = '2020-01-02'")
    first, _ = seen(shop)
    shop.do("delete from orders")
    assert seen(shop, NEXT, first)[1] != set()


def test_a_key_that_is_not_plain_makes_every_bucket_suspect(shop: Shop) -> None:
    have(shop, "A", "\u3000B")
    first, _ = seen(shop)
    shop.do("delete from orders where order_id <> 'A'")
    assert seen(shop, NEXT, first)[1] is None


def test_what_was_seen_by_another_digest_or_of_another_key_tells_nothing(shop: Shop) -> None:
    have(shop, "A")
    first, _ = seen(shop)
    for scheme in ("md5/UTF8/order_id", f"{first.scheme}/warehouse_id"):
        assert seen(shop, NEXT, replace(first, scheme=scheme))[1] is None
    # As an earlier release wrote it.
    assert Seen.parse("4:712") is Seen.parse(None) is None


def test_parts_of_a_key_are_told_apart(shop: Shop) -> None:
    found = []
    for parts in (("a", "bc"), ("ab", "c"), ("abc", "")):
        with shop.cursor() as cursor:
            cursor.execute("truncate inventory; insert into inventory (product_id, warehouse_id, created_at, updated_at) "
                           "values (%s, %s, '2020-01-01', '2020-01-01')", parts)  # fmt: skip
            cursor.connection.commit()
        found.append(str(seen(shop, of=INVENTORY)[0]))
    assert len(set(found)) == 3


def test_the_cheaper_digest_is_for_servers_that_know_it() -> None:
    assert [digest_of(release) for release in (140_019, 179_999, 180_000, 190_001)] == [
        SHA_256,
        SHA_256,
        CRC_32,
        CRC_32,
    ]

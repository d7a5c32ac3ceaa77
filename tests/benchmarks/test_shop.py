"""The synthetic shop: the same rows wherever it is made, and what its pages say of them."""

from __future__ import annotations

import hashlib
import io
from contextlib import closing
from datetime import date
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.csv
import pytest

from benchmarks.shop.columns import Faults, Zipf, amounts, generator, identifiers, respelt
from benchmarks.shop.day import advance
from benchmarks.shop.load import STREAMS, connected, load
from benchmarks.shop.size import LAST_DATE, Shop, Size, business_date
from lakehouse.errors import UsageError
from samples.images import TABLES

ORDERS, SCALE = 2_000, 0.02
# The first sixteen digits of the SHA-256 of each table's rows as CSV: another digest is another benchmark.
STREAMED = {
    "customers": "8a54385ed9962b12",
    "products": "c9cb49f82e4e6405",
    "campaigns": "3c240cef6623f67e",
    "orders": "f14ef47d161a4af3",
    "order_items": "a0c0f0b884dc9dd2",
    "inventory": "3a18025ae3b7a698",
}
LOADED = {
    "customers": (405, "21b97801d477941c"),
    "products": (200, "ec5962e0fe68e52c"),
    "campaigns": (201, "171d208c527fb33b"),
    "orders": (2005, "209651470fb07993"),
    "order_items": (5025, "91125183b4b3892b"),
    "inventory": (200, "c4584342e96ed519"),
}
AFTER_A_DAY = {
    **LOADED,
    "customers": (405, "df5b33e7698c0a96"),
    "products": (200, "0393e50026b2f32a"),
    "orders": (2205, "2bfeb8bbcaca9118"),
    "order_items": (5536, "7f7c745f805802a4"),
}
AFTER_A_DAY_WITH_DELETES = {
    **LOADED,
    "customers": (405, "44b2cc0b0315ef96"),
    "products": (200, "ab5d4e02f1798393"),
    "orders": (2401, "308f127aa0237aaa"),
    "order_items": (6023, "1c071dd594f8b076"),
}
AFTER_A_DAY_WITH_LATE_STAMPS = {
    **LOADED,
    "customers": (405, "8da15d76a18cbcc3"),
    "products": (200, "5dffb0802300bfc6"),
    "orders": (2601, "98f2c8bb0a59d1b0"),
    "order_items": (6519, "fc8c9de221baed9b"),
}


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def as_csv(table: Any) -> bytes:
    text = io.BytesIO()
    pyarrow.csv.write_csv(table, text, pyarrow.csv.WriteOptions(include_header=False))
    return text.getvalue()


def held(dsn: str) -> dict[str, tuple[int, str]]:
    """Rows and digest of each table, in the order of its key."""
    found = {}
    with closing(connected(dsn)) as connection, connection.cursor() as cursor:
        for table, spec in TABLES.items():
            text = io.BytesIO()
            rows = f"select * from {table} order by {', '.join(spec.key)}"
            cursor.copy_expert(f"copy ({rows}) to stdout (format csv)", text)
            found[table] = (cursor.rowcount, digest(text.getvalue()))
    return found


@pytest.mark.unit
@pytest.mark.parametrize("table", STREAMS)
def test_the_same_size_gives_the_same_rows(table: str) -> None:
    first, again = (b"".join(map(as_csv, STREAMS[table](Shop(ORDERS)))) for _ in range(2))
    assert first == again
    assert digest(first) == STREAMED[table]


@pytest.mark.unit
def test_another_size_is_another_shop() -> None:
    (products,) = STREAMS["products"](Shop(20_000))
    assert digest(as_csv(products)) != STREAMED["products"]


@pytest.mark.integration
def test_the_same_days_give_the_same_rows(postgres: Any) -> None:
    dsn = postgres.create_database("shopday_rows")
    assert load(dsn, ORDERS) == {table: rows for table, (rows, _) in LOADED.items()}
    assert held(dsn) == LOADED
    assert advance(dsn, 1, scale=SCALE) == (
        date(2026, 1, 1),
        {"orders updated": 100, "customers updated": 40, "products updated": 10, "orders new": 200,
         "order_items new": 511, "orders late": 3},
    )  # fmt: skip
    assert held(dsn) == AFTER_A_DAY
    _, counts = advance(dsn, 2, scale=SCALE, deletes=True)
    assert counts["orders deleted"] == 4
    assert held(dsn) == AFTER_A_DAY_WITH_DELETES
    advance(dsn, 3, scale=SCALE, late_stamps=True)
    assert held(dsn) == AFTER_A_DAY_WITH_LATE_STAMPS
    with pytest.raises(UsageError, match="day 5 cannot follow: the shop stands at day 3"):
        advance(dsn, 5, scale=SCALE)
    assert held(dsn) == AFTER_A_DAY_WITH_LATE_STAMPS


@pytest.mark.unit
def test_a_shop_has_customers_and_products_by_its_orders() -> None:
    assert [size.orders for size in Size] == [100_000, 1_000_000, 10_000_000]
    assert [(shop.customers, shop.products) for shop in map(Shop, (100, 100_000))] == [(100, 200), (20_000, 2_000)]
    assert (business_date(0), business_date(1)) == (LAST_DATE, date(2026, 1, 1))


@pytest.mark.unit
def test_one_row_in_a_hundred_is_dirty_and_its_faults_are_equally_likely() -> None:
    faults = Faults(generator(0), 1_000_000, ("torn", "wet"))
    torn, wet = faults["torn"].sum(), faults["wet"].sum()
    assert not (faults["torn"] & faults["wet"]).any()
    assert 9_500 < torn + wet < 10_500
    assert 0.9 < torn / wet < 1.1


@pytest.mark.unit
def test_a_popular_product_sells_as_zipfs_law_says() -> None:
    zipf = Zipf(1_000, 1.0)
    drawn = zipf.draw(generator(0), 1_000_000)
    first, second = ((drawn == zipf.number_of(rank)).sum() for rank in (0, 1))
    assert 1.9 < first / second < 2.1


@pytest.mark.unit
def test_identifiers_and_amounts_are_exact() -> None:
    assert identifiers("O", [7, 1_234], 5, line=[1, 2]).to_pylist() == ["O00007-1", "O01234-2"]
    assert [str(a) for a in amounts([1, -12_345]).to_pylist()] == ["0.0001", "-1.2345"]
    assert amounts([1, 2], missing=np.array([True, False])).null_count == 1
    assert pc.sum(amounts([-1, 1])).as_py() == 0


@pytest.mark.unit
@pytest.mark.parametrize(
    ("text", "spellings"),
    [
        ("12", ["12.0", " 12", "12\u00a0", "\t12 "]),
        ("P7", ["p7", "P7 ", "\u00a0p7", "P7\t"]),
        (None, [None] * 4),
    ],
)
def test_an_identifier_is_spelt_otherwise_in_four_ways(text: str | None, spellings: list[str | None]) -> None:
    assert [respelt(text, number) for number in range(4)] == spellings

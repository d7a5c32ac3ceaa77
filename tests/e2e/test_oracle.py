"""The judge itself is judged: by totals that another reading of two public data sets gave, and by Python's Unicode."""

from __future__ import annotations

from contextlib import closing
from datetime import date
from typing import Any

import psycopg2
import pytest

from samples import foodmart, online_retail
from samples.shop import Shop
from tests.e2e.hostile.shop import DAY_4, State, differences, of_a_first_load
from tests.e2e.oracle import GOLD_KEYS, SOURCE_KEYS, archive_day, cells, content_hash, expect

pytestmark = pytest.mark.e2e

EMPTY = (0, "0")
FOODMART_1998_12_30 = {
    "dim_products": (1_560, "907431607782013730628"),
    "dim_customers": (10_282, "5853763157366006850785"),
    "fact_daily_sales": (92_484, "53122811477550276264276"),
    "fact_customer_orders": (24_311, "14047912610183038939930"),
    "agg_campaign_performance": (1_863, "1073622293699651907267"),
    "agg_inventory_status": (9_084, "5252612470909314355926"),
}
ONLINE_RETAIL_2011_12_09 = {
    "dim_products": (3_958, "2284952283407414704040"),
    "dim_customers": (4_373, "2515642858819266870934"),
    "fact_daily_sales": (279_601, "161216732917863908860870"),
    "fact_customer_orders": (25_900, "14871018640534905819101"),
    "agg_campaign_performance": EMPTY,
    "agg_inventory_status": EMPTY,
}


@pytest.mark.parametrize(
    ("shop", "until", "gold", "quarantined", "deduplicated"),
    [
        pytest.param(foodmart.SHOP, date(1998, 12, 30), FOODMART_1998_12_30, [], {}, id="foodmart"),
        pytest.param(
            online_retail.SHOP,
            date(2011, 12, 9),
            ONLINE_RETAIL_2011_12_09,
            [("A563186-001", "unit_price_negative"), ("A563187-001", "unit_price_negative")],
            {"products": 112},
            id="online_retail",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_it_gives_the_control_totals_of_a_sample(
    postgres: Any, shop: Shop, until: date, gold: Any, quarantined: Any, deduplicated: Any
) -> None:
    dsn = postgres.create_database(f"judged_{shop.name}")
    shop.load(dsn, until)
    with closing(psycopg2.connect(dsn)) as source:
        archive_day(source, until, "UTC")
        expect(source, until, "UTC")
        assert {table: content_hash(source, f"expected.{table}") for table in gold} == gold
        assert sorted(cells(source, "expected.quarantine", ["key", "reason"])[1]) == quarantined
        _, counts = cells(source, "expected.counts", ["source_table", "deduplicated"])
        assert {table: count for table, count in counts if count} == deduplicated


ODD_TEXTS = [
    *["straße", "ŉaB", "ẞ", "ſ", "ﬁﬂ", "ǰ", "Ǆǅǆ", "É", "E\u0301", "Å", "\u212a", "µ", "İstanbul", "ıI", "ΐ", "ᾳ"],
    *["ΟΔΥΣΣΕΥΣ", "οδυσσεύς", "ὈΔΥΣΣΕΎΣ", "ΑΣ", "Σ", "ΟΔΟΣ@X", "ΟΔΟΣ ΟΔΟΣ", "\uab70\u13a1", "\u10d0"],
    *["\U00010428\U00010400", "\U0001f600", ""],
]


def test_its_case_mapping_is_unicodes(postgres: Any) -> None:
    mapped = "upper(odd collate pg_unicode_fast), lower(odd collate pg_unicode_fast)"
    with closing(psycopg2.connect(postgres.create_database("judged_words"))) as source, source.cursor() as cur:
        cur.execute(f"select odd, {mapped} from unnest(%s) as odds (odd)", (ODD_TEXTS,))
        assert cur.fetchall() == [(odd, odd.upper(), odd.lower()) for odd in ODD_TEXTS]


def test_the_hostile_shop_in_one_go_is_the_shop_day_by_day(
    expected: dict[date, State], expected_in_one_go: State
) -> None:
    by_day = of_a_first_load(expected[DAY_4])
    for table, key in GOLD_KEYS.items():
        assert differences(key, by_day.gold[table], expected_in_one_go.gold[table]) == []
    for table, key in SOURCE_KEYS.items():
        assert differences(key, by_day.silver[table], expected_in_one_go.silver[table]) == []
    assert expected_in_one_go.quarantine == by_day.quarantine
    assert expected_in_one_go.counts == by_day.counts


def test_the_counts_of_every_run_add_up(expected: dict[date, State]) -> None:
    for state in expected.values():
        for table in SOURCE_KEYS:
            total, run = state.counts[table], state.run_counts[table]
            assert total["extracted"] == total["kept"] + total["deduplicated"] + total["removed"] + total["open"]
            settled = run["kept"] + run["deduplicated"] + run["removed"] + run["open_after"]
            assert run["batch"] + run["open_before"] + run["recalled"] == settled
            assert run["open_after"] == total["open"] == sum(state.quarantine[table].values())
            assert total["kept"] == len(state.silver[table])


def test_no_batch_of_the_shop_fails_the_gate_by_its_share_of_bad_rows(expected: dict[date, State]) -> None:
    assert all(run["open_after"] <= 100 for state in expected.values() for run in state.run_counts.values())

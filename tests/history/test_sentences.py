"""What is said of an order, given what each place holds of it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from lakehouse.columns import clean_identifier
from lakehouse.contracts import load_contracts
from lakehouse.history.order import Row, Way, cleaned
from lakehouse.history.sentences import meanings, sentences
from lakehouse.judging.suites import load_suites

pytestmark = pytest.mark.unit

AT = datetime(2026, 1, 30, 12, tzinfo=UTC)
RUNS = {
    "b1": {"run_id": "b1", "layer": "bronze", "business_date": date(2026, 1, 29), "state": "published"},
    "b2": {"run_id": "b2", "layer": "bronze", "business_date": date(2026, 1, 30), "state": "published"},
    "s2": {"run_id": "s2", "layer": "silver", "business_date": date(2026, 1, 30), "state": "published"},
    "g2": {"run_id": "g2", "layer": "gold", "business_date": date(2026, 1, 30), "state": "published"},
}
IMAGE = {"order_id": "A1", "status": "complete", "updated_at": AT, "_run_id": "b1", "_deleted": False}
KEPT = {"order_id": "A1", "status": "delivered", "order_date": date(2026, 1, 29), "_run_id": "s2"}
SALE = {"status": "delivered", "is_sale": True, "order_date": date(2026, 1, 29), "line_count": 2, "units": 3,
        "net_amount": Decimal("12.5000"), "_run_id": "g2"}  # fmt: skip
LINE: Row = {"order_item_id": "L1", "order_id": "A1", "_run_id": "b1", "_deleted": False}


def said(**places: list[Row]) -> list[str]:
    """Sentences of order A1, where places not named hold nothing: `bronze_orders` is bronze.orders."""
    empty: dict[str, list[Row]] = {
        f"{layer}.{table}": []
        for layer in ("source", "bronze", "quarantine", "silver")
        for table in ("orders", "order_items")
    }
    empty["gold.fact_customer_orders"] = []
    named = {name.replace("_", ".", 1): rows for name, rows in places.items()}
    assert set(named) <= set(empty)
    return sentences(
        Way("A1", {**empty, **named}, RUNS), {"order_missing": "silver.orders has no row that its order_id names"}
    )


def test_a_sale_is_followed_from_the_source_to_gold() -> None:
    assert said(
        source_orders=[{**IMAGE, "status": "complete"}], source_order_items=[LINE],
        bronze_orders=[IMAGE, {**IMAGE, "_run_id": "b2"}], bronze_order_items=[LINE],
        silver_orders=[KEPT], silver_order_items=[LINE], gold_fact_customer_orders=[SALE],
    ) == [
        "The source has it as complete, changed at 2026-01-30 12:00:00+00:00, with 1 line.",
        "Bronze holds 2 images of it, brought for 2026-01-29, 2026-01-30; and 1 image of its lines.",
        "Silver keeps it as delivered of 2026-01-29, as the run for 2026-01-30 left it; and 1 line.",
        "Gold counts it as a sale of 2026-01-29: 2 lines, 3 units, net 12.5000; published by the run for 2026-01-30.",
    ]  # fmt: skip


def test_an_order_that_is_no_sale_is_in_gold_and_not_counted() -> None:
    words = said(
        bronze_orders=[IMAGE],
        silver_orders=[KEPT],
        gold_fact_customer_orders=[{**SALE, "status": "cancelled", "is_sale": False}],
    )
    assert words[-1] == "Gold has it as cancelled, which is no sale: fact_daily_sales does not count it."


def test_an_order_that_was_deleted_left_silver_and_gold() -> None:
    words = said(bronze_orders=[IMAGE, {"order_id": "A1", "_run_id": "b2", "_deleted": True}])
    assert words == [
        "The source does not have it now.",
        "Bronze holds 1 image of it, brought for 2026-01-29; and 0 images of its lines.",
        "Bronze found it gone from the source in the run for 2026-01-30.",
        "Silver does not have it: it was gone from the source.",
        "Gold does not have it, as silver does not.",
    ]


def test_a_line_that_waits_is_told_with_its_reason_and_what_that_means() -> None:
    waiting = {**LINE, "_reasons": ["order_missing"], "_first_seen_at": AT}
    words = said(bronze_order_items=[LINE], quarantine_order_items=[waiting])
    assert words[1] == "Bronze has no image of it: no run has brought it yet."
    assert (
        words[-2]
        == "1 line of it waits in quarantine: 1 for order_missing (silver.orders has no row that its order_id names)."
    )


def test_a_line_that_is_the_orders_no_more_is_told() -> None:
    words = said(bronze_orders=[IMAGE], bronze_order_items=[LINE, {**LINE, "order_item_id": "l2 "}], silver_orders=[KEPT],
                 silver_order_items=[LINE])  # fmt: skip
    assert "1 of the lines that bronze has seen are no longer its lines" in words[-2]


def test_gold_that_is_behind_is_told() -> None:
    assert said(bronze_orders=[IMAGE], silver_orders=[KEPT])[-1] == (
        "Gold does not have it yet: its last run is older than silver's."
    )


def test_an_order_that_nobody_knows_is_one_sentence() -> None:
    assert said() == ["No order A1 is in the source as it is now, bronze, silver, quarantine or gold."]


def test_a_source_that_was_not_read_is_not_said_to_lack_the_order() -> None:
    places: dict[str, list[Row]] = {"bronze.orders": []}
    assert sentences(Way("A1", places, RUNS), {}) == ["No order A1 is in bronze, silver, quarantine or gold."]
    assert (
        sentences(Way("A1", places, RUNS, ("LAKEHOUSE_SOURCE_DSN is wrong",)), {})[0]
        == "LAKEHOUSE_SOURCE_DSN is wrong."
    )


def test_a_source_that_did_not_answer_is_told() -> None:
    way = Way("A1", {"bronze.orders": [IMAGE], "bronze.order_items": [], "quarantine.orders": [], "quarantine.order_items": [],
                     "silver.orders": [], "silver.order_items": [], "gold.fact_customer_orders": []}, RUNS,
              ("the source was not read: check LAKEHOUSE_SOURCE_DSN",))  # fmt: skip
    assert sentences(way, {})[0] == "The source was not read: check LAKEHOUSE_SOURCE_DSN."


def test_every_reason_of_an_order_or_a_line_that_a_suite_or_a_reference_has_is_explained() -> None:
    contracts = load_contracts()
    known = meanings(contracts, load_suites(contracts))
    assert {"order_missing", "product_missing", "customer_missing", "campaign_missing"} <= set(known)
    assert all(known.values())


TEXTS = st.text(st.sampled_from(" \t\n\x0b\f\r\u00a0\u3000\u2028aAzßŉéİıǆς0179.0#-"), max_size=8)


@settings(max_examples=4, deadline=None)
@given(st.lists(TEXTS, min_size=60))
@example(["17850.0", " a\u00a0 1.0 ", "1.0\n", "\u0661.0", "", "1.0.0", "00.0"])
def test_an_identifier_has_the_form_that_silver_gives_it(spark: SparkSession, texts: list[str]) -> None:
    frame = spark.createDataFrame(list(enumerate(texts)), "n int, id string").coalesce(1).sort("n")
    assert [cleaned(text) for text in texts] == [row[0] for row in frame.select(clean_identifier("id")).collect()]


def test_no_identifier_has_no_form() -> None:
    assert cleaned(None) is None

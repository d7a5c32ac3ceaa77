"""Which units a change touches, and that they are enough: what is computed within them, beside the rows that stand, is what
is computed of all there is."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import cache
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from lakehouse.conform import conformed
from lakehouse.units.changes import images
from lakehouse.units.rows import FrameRows, computed, matching
from tests.tables import CONTRACTS, expect, lines, table

pytestmark = pytest.mark.unit
GOLD = ["fact_customer_orders", "fact_daily_sales", "dim_customers", "dim_products", "agg_campaign_performance",
        "agg_inventory_status"]  # fmt: skip
TODAY = date(2026, 5, 31)
ORDERS = "order_id customer_id campaign_id status ordered_at order_date"
LINES = "order_item_id order_id product_id quantity unit_price discount unit_cost"
Shop = Mapping[str, DataFrame]


def module(name: str) -> Any:
    return importlib.import_module(f"lakehouse.gold.{name}")


def asked(function: Callable[..., object]) -> list[str]:
    return list(inspect.signature(function).parameters)


def order(order_id: str, customer: str, campaign: str | None, status: str, day: str) -> tuple[object, ...]:
    return order_id, customer, campaign, status, f"2026-05-{day}", f"2026-05-{day}"


def line(line_id: str, order_id: str, product: str, quantity: int, cost: str | None = "1.00") -> tuple[object, ...]:
    return line_id, order_id, product, quantity, "4.00", "0", cost


BEFORE = {
    "orders": [order("A1", "a", "X", "paid", "01"), order("A2", "a", None, "paid", "03"), order("A3", "a", "Y", "paid", "05"),
               order("B1", "b", "X", "paid", "01"), order("B2", "b", None, "pending", "02"), order("C1", "c", "Y", "paid", "04"),
               order("G1", "UNKNOWN", None, "paid", "01"), order("G2", "UNKNOWN", "X", "paid", "02"),
               order("D1", "d", None, "paid", "06")],
    "order_items": [line("1", "A1", "p", 1), line("2", "A1", "q", 2), line("3", "A2", "p", 1), line("4", "A3", "q", 1),
                    line("5", "B1", "p", 3), line("6", "B2", "p", 1), line("7", "C1", "r", 1), line("8", "G1", "p", 1),
                    line("9", "G2", "q", 1), line("10", "D1", "s", 1), line("11", "D1", "s", -1)],
    "customers": [(c, c) for c in "abcd"],
    "products": [(p, "2.00") for p in "pqrs"],
    "campaigns": [("X", "100.00"), ("Y", "0.00"), ("Z", "5.00")],
    "inventory": [("p", "w", 10, 1), ("q", "w", 0, 1), ("s", "v", 4, 9)],
}  # fmt: skip
HEADERS = {"orders": ORDERS, "order_items": LINES, "customers": "customer_id full_name", "products": "product_id cost",
           "campaigns": "campaign_id budget", "inventory": "product_id warehouse_id available reorder_point"}  # fmt: skip
# Of each happening: rows that take the place of those with their key, and keys of rows that are gone.
HAPPENINGS: dict[str, tuple[dict[str, list[tuple[object, ...]]], dict[str, set[object]]]] = {
    "nothing": ({}, {}),
    "a first order is cancelled": ({"orders": [order("A1", "a", "X", "cancelled", "01")]}, {}),
    "a late order comes before the others": ({"orders": [order("A0", "a", None, "paid", "01")],
                                              "order_items": [line("12", "A0", "r", 1)]}, {}),
    "an order moves to another date": ({"orders": [order("A2", "a", None, "paid", "09")]}, {}),
    "a line moves to another order": ({"order_items": [line("4", "C1", "q", 1)]}, {}),
    "a line is of another product": ({"order_items": [line("4", "A3", "p", 1)]}, {}),
    "a cost becomes unknown": ({"order_items": [line("5", "B1", "p", 3, None)]}, {}),
    "a guest turns out to be a customer": ({"orders": [order("G2", "c", "X", "paid", "02")]}, {}),
    "a customer turns out to be a guest": ({"orders": [order("A1", "UNKNOWN", "X", "paid", "01")]}, {}),
    "an order is another customer's": ({"orders": [order("A1", "b", "X", "paid", "01")]}, {}),
    "an order is another campaign's": ({"orders": [order("A1", "a", "Z", "paid", "01")]}, {}),
    "an order is gone with its lines": ({}, {"orders": {"A1"}, "order_items": {"1", "2"}}),
    "the only line of an order is gone": ({}, {"order_items": {"7"}}),
    "a customer, a product and a campaign come and change": (
        {"customers": [("e", "e"), ("a", "other")], "products": [("t", None), ("q", "3.00")],
         "campaigns": [("W", "1.00"), ("Y", "7.00")]}, {}),
    "stock comes, changes and goes": ({"inventory": [("p", "w", 9, 1), ("r", "w", 1, 1)]}, {"inventory": {"s"}}),
}  # fmt: skip


def after(happening: str) -> dict[str, list[tuple[object, ...]]]:
    """The shop after a happening, or after each of them in turn."""
    shop = BEFORE
    for name in HAPPENINGS if happening == "all of it" else [happening]:
        rows, gone = HAPPENINGS[name]
        size = {"inventory": 2}
        new = {t: {r[: size.get(t, 1)]: r for r in [*shop[t], *rows.get(t, [])]} for t in shop}
        shop = {t: [r for k, r in its.items() if k[0] not in gone.get(t, ())] for t, its in new.items()}
    return shop


def frames(spark: SparkSession, shop: Mapping[str, Sequence[tuple[object, ...]]]) -> Shop:
    return {
        t: (lines(spark, LINES, *rows) if t == "order_items" else table(spark, f"silver.{t}", HEADERS[t], *rows))
        for t, rows in shop.items()
    }


def stored(name: str, frame: DataFrame) -> DataFrame:
    """What gold keeps of a computed table."""
    contract = CONTRACTS["gold"][name]
    return conformed(frame, contract).select(*(c.name for c in contract.stored)).localCheckpoint()


def whole(shop: Shop) -> Shop:
    """Every table of gold, computed of all there is."""
    made: dict[str, Any] = {**shop, "business_date": TODAY}
    for name in GOLD:
        made[name] = stored(name, module(name).transform(*(made[a] for a in asked(module(name).transform))))
    return {name: made[name] for name in GOLD}


def followed(before: Shop, now: Shop, stood: Shop) -> tuple[Shop, dict[str, set[tuple[Any, ...]]]]:
    """Every table of gold where only the units that changed are computed, and these."""
    changed = {t: images(before[t], now[t], CONTRACTS["silver"][t]) for t in now}
    rows: dict[str, Any] = {**{t: FrameRows(f) for t, f in now.items()}, "business_date": TODAY}
    units: dict[str, set[tuple[Any, ...]]] = {}
    for name in GOLD:
        its, key = module(name), list(CONTRACTS["gold"][name].key)
        arguments = (
            changed[a.removeprefix("changed_")] if a.startswith("changed_") else rows[a] for a in asked(its.units)
        )
        scope = [u.distinct().localCheckpoint() for u in its.units(*arguments)]
        units[name] = {tuple(str(v) for v in r) for u in scope for r in u.collect()}
        of_units = computed(its, scope, [rows[a] for a in asked(its.transform)])
        came, gone = stored(name, of_units), matching(stood[name], *scope)
        made = stood[name].join(gone.select(*key), key, how="left_anti").select(*came.columns).unionByName(came)
        rows[name], changed[name] = (
            FrameRows(made.localCheckpoint()),
            images(stood[name], made, CONTRACTS["gold"][name]),
        )
    return {name: rows[name].all() for name in GOLD}, units


@cache
def shop_before(spark: SparkSession) -> tuple[Shop, Shop]:
    shop = frames(spark, BEFORE)
    return shop, whole(shop)


def differences(one: Shop, other: Shop) -> dict[str, list[Any]]:
    found = {name: images(one[name], other[name], CONTRACTS["gold"][name]).collect() for name in GOLD}
    return {name: rows for name, rows in found.items() if rows}


@pytest.mark.parametrize(
    "happening",
    [
        "nothing",
        "all of it",
        *(pytest.param(h, marks=pytest.mark.slow) for h in HAPPENINGS if h != "nothing"),
    ],
)
def test_units_that_a_change_touches_are_enough(spark: SparkSession, happening: str) -> None:
    before, stood = shop_before(spark)
    now = frames(spark, after(happening))
    made, _ = followed(before, now, stood)
    assert differences(made, whole(now)) == {}


def touched(spark: SparkSession, happening: str) -> dict[str, set[tuple[Any, ...]]]:
    before, stood = shop_before(spark)
    return followed(before, frames(spark, after(happening)), stood)[1]


def test_an_order_that_moves_touches_its_customers_orders_and_its_products_on_both_dates(spark: SparkSession) -> None:
    units = touched(spark, "an order moves to another date")
    stock = units.pop("agg_inventory_status")
    assert units == {
        "fact_customer_orders": {("a",)},
        # The order after it is now the one before, so that its days since the last one are others.
        "fact_daily_sales": {("2026-05-03", "p"), ("2026-05-09", "p"), ("2026-05-05", "q")},
        "dim_customers": {("a",)},
        "dim_products": {("p",)},
        "agg_campaign_performance": {("Y",)},
    }
    assert stock == {("p", "w"), ("q", "w"), ("s", "v")}


def test_an_order_that_changes_hands_touches_both_customers_and_of_a_guest_the_order_alone(spark: SparkSession) -> None:
    assert touched(spark, "a guest turns out to be a customer")["fact_customer_orders"] == {("c",), ("G2",)}
    assert touched(spark, "a line moves to another order")["fact_customer_orders"] == {("a",), ("c",)}


def test_what_did_not_change_touches_nothing(spark: SparkSession) -> None:
    units = touched(spark, "nothing")
    assert {name for name, its in units.items() if its} == {"agg_inventory_status"}


def test_rows_bear_a_key_in_all_of_its_columns_or_any_of_several_keys(spark: SparkSession) -> None:
    stock = table(spark, "silver.inventory", "product_id warehouse_id", ("p", "w"), ("p", "v"), ("q", "w"), ("r", "x"))
    keys = table(spark, "silver.inventory", "product_id warehouse_id", ("p", "w"), ("q", "v"))
    one, other = keys.select("product_id", "warehouse_id"), keys.select("warehouse_id")
    words = "product_id warehouse_id"
    expect(matching(stock, one), words, ("p", "w"))
    expect(matching(stock, one, other), words, ("p", "w"), ("p", "v"), ("q", "w"))


def test_a_module_says_its_units_where_its_contract_names_them() -> None:
    for name, contract in CONTRACTS["gold"].items():
        its = module(name)
        assert hasattr(its, "units") == hasattr(its, "within") == bool(contract.recomputed_by), name
        if contract.recomputed_by:
            assert asked(its.within) == ["units", *asked(its.transform)], name

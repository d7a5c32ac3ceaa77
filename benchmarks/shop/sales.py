"""Orders and their lines: those of the history, and those that a business day brings."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.shop.columns import (
    NO_BREAK_SPACE,
    Faults,
    Mask,
    Numbers,
    Table,
    amounts,
    campaign_ids,
    customer_ids,
    edited,
    generator,
    identifiers,
    instants,
    integers,
    one_of,
    order_ids,
    product_ids,
    respelt,
    without,
    words,
)
from benchmarks.shop.masters import table_of, with_doubles
from benchmarks.shop.size import CAMPAIGNS, CHUNK, DAY, END, Shop

STATUSES = ("delivered", "cancelled", "returned", "shipped", "paid", "pending")
ALL_FINAL, MOSTLY_OPEN = (0.88, 0.07, 0.05), (0.3, 0.05, 0.01, 0.24, 0.25, 0.15)
LINES_PER_ORDER = {1: 0.30, 2: 0.25, 3: 0.20, 4: 0.15, 5: 0.10}
FAULTS_OF_ORDERS = (
    "customer_spelling", "no_such_customer", "no_such_campaign", "campaign_spelling", "other_word", "title_case",
    "no_status", "unknown_status", "key", "no_time", "double", "double_too",
)  # fmt: skip
FAULTS_OF_LINES = (
    "no_quantity", "quantity_zero", "no_price", "minus_price", "minus_discount", "discount_above_gross", "minus_cost",
    "no_cost", "product_spelling", "no_such_product", "order_spelling", "no_such_order", "key", "no_discount_or_double",
)  # fmt: skip


def orders(shop: Shop) -> Iterator[Table]:
    """The orders of the history."""
    for chunk, numbers, placed in _history(shop):
        draw = generator(7, chunk)
        table, doubled = some_orders(shop, draw, numbers, placed, END)
        yield with_doubles(table, "orders", doubled, draw)


def order_items(shop: Shop) -> Iterator[Table]:
    """The lines of the history's orders."""
    for chunk, numbers, placed in _history(shop):
        draw = generator(8, chunk)
        table, doubled = some_lines(shop, draw, numbers, placed, END)
        yield with_doubles(table, "order_items", doubled, draw)


def _history(shop: Shop) -> Iterator[tuple[int, Numbers, Numbers]]:
    """Chunks: their number, the numbers of their orders, and when these were placed, in microseconds."""
    for chunk, first in enumerate(range(0, shop.orders, CHUNK)):
        numbers = np.arange(first, min(first + CHUNK, shop.orders))
        yield chunk, numbers, shop.moments((numbers + generator(6, chunk).random(len(numbers))) / shop.orders)


def some_orders(
    shop: Shop, draw: np.random.Generator, numbers: Numbers, placed: Numbers, end: int
) -> tuple[Table, Mask]:
    """Orders with these numbers, placed at these moments, as they stand at `end`; and which of them are to be doubled."""
    rows = len(numbers)
    customers = shop.popular_customers.draw(draw, rows)
    campaigns = draw.integers(1, CAMPAIGNS + 1, rows)
    days_old = (end - placed) / DAY
    status = np.where(days_old > 14, draw.choice(3, rows, p=ALL_FINAL), draw.choice(6, rows, p=MOSTLY_OPEN))
    changed = np.minimum(placed + (draw.random(rows) * 14 * DAY).astype(np.int64), end - 1)
    by_guest, by_no_campaign = draw.random(rows) < 0.03, draw.random(rows) < 0.8
    faults = Faults(draw, rows, FAULTS_OF_ORDERS)
    customer_keys = edited(
        without(customer_ids(customers), by_guest),
        (faults["customer_spelling"], respelt),
        (faults["no_such_customer"], lambda _, n: f"9{n:07d}X" if n % 2 else ""),
    )
    campaign_keys = edited(
        without(campaign_ids(campaigns), by_no_campaign),
        (faults["no_such_campaign"], one_of("CMP999")),
        (faults["campaign_spelling"], respelt),
    )
    statuses = edited(
        words(STATUSES, status),
        (faults["other_word"], one_of(" Completed ", "CANCELED", "Refunded", "complete")),
        (faults["title_case"], lambda text, _: f"{text.title()}{NO_BREAK_SPACE}"),
        (faults["no_status"], one_of(" ", None)),
        (faults["unknown_status"], one_of("lost")),
    )
    table = table_of("orders", edited(order_ids(numbers), (faults["key"], respelt)), customer_keys, campaign_keys,
                     statuses, instants(placed, faults["no_time"]), instants(placed), instants(changed))  # fmt: skip
    return table, faults["double"] | faults["double_too"]


def some_lines(
    shop: Shop, draw: np.random.Generator, numbers: Numbers, placed: Numbers, end: int
) -> tuple[Table, Mask]:
    """The lines of orders with these numbers, placed at these moments; and which of the lines are to be doubled."""
    lines = draw.choice(list(LINES_PER_ORDER), len(numbers), p=list(LINES_PER_ORDER.values()))
    order, created = np.repeat(numbers, lines), np.repeat(placed, lines)
    rows = len(order)
    line = np.arange(rows) - np.repeat(np.cumsum(lines) - lines, lines) + 1
    product = shop.popular_products.draw(draw, rows)
    quantities = np.minimum(draw.geometric(0.45, rows), 40) * np.where(draw.random(rows) < 0.02, -1, 1)
    percent_of_price = np.where(draw.random(rows) < 0.2, draw.integers(80, 100, rows), 100)
    prices = shop.prices[product] * percent_of_price // 100
    gross = quantities * prices
    is_discounted = (draw.random(rows) < 0.15) & (quantities > 0)
    discounts = np.where(is_discounted, gross * draw.integers(5, 31, rows) // 100 // 100 * 100, 0)
    changed = np.minimum(created + (draw.random(rows) < 0.1) * draw.integers(0, 5 * DAY, rows), end - 1)

    faults = Faults(draw, rows, FAULTS_OF_LINES)
    quantities = np.where(faults["quantity_zero"], 0, quantities)
    prices = np.where(faults["minus_price"], -prices, prices)
    discounts = np.where(faults["discount_above_gross"], np.abs(gross) + 1, discounts)
    discounts = np.where(faults["minus_discount"], -10_000, discounts)
    costs = np.where(faults["minus_cost"], -1, shop.costs[product])
    product_keys = edited(
        product_ids(product),
        (faults["product_spelling"], respelt),
        (faults["no_such_product"], lambda text, n: f"X{text}" if n % 2 else None),
    )
    order_keys = edited(
        order_ids(order), (faults["order_spelling"], respelt), (faults["no_such_order"], one_of(None, "O999999999"))
    )
    last_fault = faults["no_discount_or_double"]
    table = table_of(
        "order_items", edited(identifiers("O", order, 9, line), (faults["key"], respelt)), order_keys, product_keys,
        integers(quantities, faults["no_quantity"]), amounts(prices, missing=faults["no_price"]),
        amounts(discounts, missing=last_fault & (line % 2 == 1)), amounts(costs, missing=faults["no_cost"]),
        instants(created), instants(changed),
    )  # fmt: skip
    return table, last_fault & (np.arange(rows) % 2 == 0)

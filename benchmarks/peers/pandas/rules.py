"""The rules of silver: for each table its columns, from rows as the source wrote them, and why a row stays out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.peers.pandas.frames import DAY, holds
from benchmarks.peers.pandas.words import (
    clean,
    clean_text,
    each_distinct,
    emails,
    identifiers,
    phones,
    ratio,
    title,
)

STATUSES = ("pending", "paid", "shipped", "delivered", "cancelled", "returned")
OTHER_WORDS = {"canceled": "cancelled", "complete": "delivered", "completed": "delivered", "refunded": "returned"}
LARGEST_MARGIN = 10**9
"""In ten-thousandths: the first that numeric(9,4) does not hold."""
LARGEST_GROSS = 10.0**17

Frame = Any
Silver = Mapping[str, Frame]
Rules = Callable[[Frame, Silver], tuple[Frame, dict[str, Any]]]
"""Rows of the source and silver's other tables, to the columns of silver and, by reason, the rows that it keeps out."""


def customers(rows: Frame, _: Silver) -> tuple[Frame, dict[str, Any]]:
    """A customer has one clean name in full; an address that is none is null."""
    first, last = clean_text(rows.first_name), clean_text(rows.last_name)
    both = first.notna() & last.notna()
    columns = {
        "customer_id": identifiers(rows.customer_id),
        "first_name": first,
        "last_name": last,
        "full_name": (first + " " + last).where(both, first.fillna(last)),
        "email": emails(rows.email),
        "phone": phones(rows.phone),
        "city": clean_text(rows.city),
        "state": clean_text(rows.state),
        "country": clean_text(rows.country),
    }
    key = columns["customer_id"]
    return pd.DataFrame(columns), {"key_null": key.isna(), "key_reserved": key == "UNKNOWN"}


def products(rows: Frame, _: Silver) -> tuple[Frame, dict[str, Any]]:
    """A product without a category is uncategorised; its margin is a share of its price."""
    margin = ratio(rows.price - rows.cost, rows.price)
    columns = {
        "product_id": identifiers(rows.product_id),
        "product_name": clean_text(rows.product_name),
        "category": each_distinct(rows.category, title).fillna("Uncategorised"),
        "brand": each_distinct(rows.brand, title),
        "price": rows.price,
        "cost": rows.cost,
        "profit_margin": margin.mask(margin.abs() >= LARGEST_MARGIN),
        "is_active": rows.is_active,
    }
    reasons = {
        "key_null": columns["product_id"].isna(),
        "price_negative": rows.price < 0,
        "cost_negative": rows.cost < 0,
    }
    return pd.DataFrame(columns), reasons


def campaigns(rows: Frame, _: Silver) -> tuple[Frame, dict[str, Any]]:
    """A channel is a word of its own."""

    def channel(text: str) -> str | None:
        return (clean(text) or "").lower().replace(" ", "_") or None

    columns = {
        "campaign_id": identifiers(rows.campaign_id),
        "campaign_name": clean_text(rows.campaign_name),
        "channel": each_distinct(rows.channel, channel),
        "start_date": rows.start_date,
        "end_date": rows.end_date,
        "budget": rows.budget,
    }
    reasons = {
        "key_null": columns["campaign_id"].isna(),
        "budget_negative": rows.budget < 0,
        "end_before_start": rows.end_date < rows.start_date,
    }
    return pd.DataFrame(columns), reasons


def orders(rows: Frame, silver: Silver) -> tuple[Frame, dict[str, Any]]:
    """A guest's order is of the customer UNKNOWN; a status is one of six words."""

    def status(text: str) -> str | None:
        word = (clean(text) or "").lower()
        return OTHER_WORDS.get(word, word) or None

    columns = {
        "order_id": identifiers(rows.order_id),
        "customer_id": identifiers(rows.customer_id).fillna("UNKNOWN"),
        "campaign_id": identifiers(rows.campaign_id),
        "status": each_distinct(rows.status, status),
        "ordered_at": rows.ordered_at,
        "order_date": rows.ordered_at // DAY,
    }
    customer, campaign = columns["customer_id"], columns["campaign_id"]
    reasons = {
        "key_null": columns["order_id"].isna(),
        "status_not_allowed": ~columns["status"].isin(STATUSES),
        "ordered_at_null": rows.ordered_at.isna(),
        "customer_missing": (customer != "UNKNOWN") & ~customer.isin(silver["customers"].customer_id),
        "campaign_missing": campaign.notna() & ~campaign.isin(silver["campaigns"].campaign_id),
    }
    return pd.DataFrame(columns), reasons


def order_items(rows: Frame, silver: Silver) -> tuple[Frame, dict[str, Any]]:
    """A discount has the sign of its line: what came back gives it back."""
    discount = np.sign(rows.quantity) * rows.discount.fillna(0)
    gross = rows.quantity * rows.unit_price
    columns = {
        "order_item_id": identifiers(rows.order_item_id),
        "order_id": identifiers(rows.order_id),
        "product_id": identifiers(rows.product_id),
        "quantity": rows.quantity,
        "unit_price": rows.unit_price,
        "discount": discount,
        "unit_cost": rows.unit_cost,
        "gross_amount": gross,
        "net_amount": gross - discount,
    }
    approximate = rows.quantity.astype("Float64") * rows.unit_price.astype("Float64")
    reasons = {
        "key_null": columns["order_item_id"].isna(),
        "quantity_null": rows.quantity.isna(),
        "quantity_zero": rows.quantity == 0,
        "unit_price_null": rows.unit_price.isna(),
        "unit_price_negative": rows.unit_price < 0,
        "unit_cost_negative": rows.unit_cost < 0,
        "discount_negative": rows.discount < 0,
        "discount_exceeds_gross": rows.discount > gross.abs(),
        "gross_out_of_range": approximate.abs() >= LARGEST_GROSS,
        "order_missing": ~columns["order_id"].isin(silver["orders"].order_id),
        "product_missing": ~columns["product_id"].isin(silver["products"].product_id),
    }
    return pd.DataFrame(columns), reasons


def inventory(rows: Frame, _: Silver) -> tuple[Frame, dict[str, Any]]:
    """What is on hand and not reserved is available."""
    columns = {
        "product_id": identifiers(rows.product_id),
        "warehouse_id": identifiers(rows.warehouse_id),
        "quantity_on_hand": rows.quantity_on_hand,
        "quantity_reserved": rows.quantity_reserved,
        "available": rows.quantity_on_hand - rows.quantity_reserved,
        "reorder_point": rows.reorder_point,
    }
    key_null = columns["product_id"].isna() | columns["warehouse_id"].isna()
    return pd.DataFrame(columns), {"key_null": key_null}


# In the order in which they are judged: a table comes after those it refers to.
RULES: dict[str, Rules] = {
    "customers": customers,
    "products": products,
    "campaigns": campaigns,
    "orders": orders,
    "order_items": order_items,
    "inventory": inventory,
}


def kept_out(reasons: Mapping[str, Any]) -> Any:
    """The reasons of each row, one column each, true or not."""
    return pd.DataFrame({name: holds(mask) for name, mask in reasons.items()})

"""Gold: six tables, computed whole from silver in memory; amounts are whole numbers, so that every sum is exact."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.peers.pandas.frames import TEXT, holds, whole
from benchmarks.peers.pandas.silver import Silver
from benchmarks.peers.pandas.words import ratio
from benchmarks.peers.phases import Phases, require
from benchmarks.peers.warehouse import KEYS

EPOCH = date(1970, 1, 1)
ONE = 10_000
"""1 in ten-thousandths."""
NOBODY = -1
"""Stands for a guest among customers, and for none among campaigns."""


class Facts:
    """What several tables rest on: lines with the positions of what they refer to, sums of each order, of each day."""

    def __init__(self, silver: Silver) -> None:
        self.customers, self.products, self.campaigns, self.orders = (
            silver[table].reset_index(drop=True) for table in ("customers", "products", "campaigns", "orders")
        )
        orders = self.orders
        orders["customer"] = pd.Index(self.customers.customer_id).get_indexer(orders.customer_id)
        orders["campaign"] = pd.Index(self.campaigns.campaign_id).get_indexer(orders.campaign_id)
        orders["is_sale"] = ~orders.status.isin(["pending", "cancelled"]).to_numpy(dtype=bool)
        self.lines = _lines(silver["order_items"], orders, self.products)
        sums = self.lines.groupby("order").agg(
            line_count=("quantity", "size"), units=("quantity", "sum"), gross=("gross", "sum"),
            returned=("returned", "sum"), discount=("discount", "sum"), net=("net", "sum"), has_bought=("is_bought", "any"),
        )  # fmt: skip
        self.sums = sums.reindex(range(len(orders)), fill_value=0)
        self.sums["has_bought"] = self.sums.has_bought.astype(bool)
        orders["is_counted"] = orders.is_sale.to_numpy() & self.sums.has_bought.to_numpy()
        orders["net"] = self.sums.net.to_numpy()
        self.numbered = _numbered(orders)
        self.sales = self.lines[self.lines.is_sale]
        self.daily = _daily(self.sales)


def _lines(items: Any, orders: Any, products: Any) -> Any:
    order = pd.Index(orders.order_id).get_indexer(items.order_id)
    quantity, gross = (items[name].to_numpy(dtype=np.int64) for name in ("quantity", "gross_amount"))
    cost = items.unit_cost.fillna(0).to_numpy(dtype=np.int64)
    return pd.DataFrame(
        {
            "order": order,
            "product": pd.Index(products.product_id).get_indexer(items.product_id),
            "customer": orders.customer.to_numpy()[order],
            "campaign": orders.campaign.to_numpy()[order],
            "date": orders.order_date.to_numpy(dtype=np.int64)[order],
            "is_sale": orders.is_sale.to_numpy()[order],
            "is_bought": quantity > 0,
            "quantity": quantity,
            "units_sold": np.maximum(quantity, 0),
            "units_returned": np.maximum(-quantity, 0),
            "gross": np.where(quantity > 0, gross, 0),
            "returned": np.where(quantity < 0, -gross, 0),
            "discount": items.discount.to_numpy(dtype=np.int64),
            "net": items.net_amount.to_numpy(dtype=np.int64),
            "cost": quantity * cost,
            "has_cost": items.unit_cost.notna().to_numpy(),
        }
    )


def _numbered(orders: Any) -> Any:
    """Counted orders of known customers, by the order's position: its number among the customer's, and the days since."""
    counted = orders[orders.is_counted & (orders.customer != NOBODY)]
    counted = counted.sort_values(["customer", "ordered_at", "order_id"])
    by_customer = counted.groupby("customer")
    gap = counted.order_date.astype("Int64") - by_customer.order_date.shift().astype("Int64")
    return pd.DataFrame({"number": by_customer.cumcount() + 1, "gap": gap}).reindex(orders.index)


def _daily(sales: Any) -> Any:
    """Sums of each day and product."""
    days = sales.groupby(["date", "product"]).agg(
        units_sold=("units_sold", "sum"), units_returned=("units_returned", "sum"), gross=("gross", "sum"),
        returned=("returned", "sum"), discount=("discount", "sum"), cost=("cost", "sum"), has_cost=("has_cost", "all"),
    )  # fmt: skip
    bought = sales[sales.is_bought]
    known = bought[bought.customer != NOBODY]
    for name, rows, of in (("orders", bought, "order"), ("customers", known, "customer")):
        distinct = rows[["date", "product", of]].drop_duplicates()
        days[name] = distinct.groupby(["date", "product"]).size().reindex(days.index, fill_value=0)
    return days.reset_index()


def compute(silver: Silver, day: date, phases: Phases) -> dict[str, Any]:
    """The six tables as frames, their columns in any order, checked."""
    facts = Facts(silver)
    gold = {
        "dim_products": _dim_products(facts),
        "dim_customers": _dim_customers(facts),
        "fact_daily_sales": _fact_daily_sales(facts),
        "fact_customer_orders": _fact_customer_orders(facts),
        "agg_campaign_performance": _agg_campaign_performance(facts),
        "agg_inventory_status": _agg_inventory_status(facts, silver["inventory"], (day - EPOCH).days),
    }
    phases.finished("P3 gold")
    for table, key in KEYS.items():
        names = key.split(", ")
        require(not gold[table][names].isna().any(axis=None), f"gold {table}: key is null")
        require(not gold[table].duplicated(names).any(), f"gold {table}: key")
    days = facts.daily.gross.sum() - facts.daily.returned.sum() - facts.daily.discount.sum()
    require(days == facts.orders.net[facts.orders.is_sale].sum(), "net sales: days and orders differ")
    phases.finished("P5 gates")
    return gold


def _dim_products(facts: Facts) -> Any:
    sold = facts.daily[facts.daily.orders > 0].groupby("product").date.agg(["min", "max"])
    sold = sold.reindex(facts.products.index)
    return facts.products.assign(
        first_sold_date=sold["min"].astype("Int64"), last_sold_date=sold["max"].astype("Int64")
    )


def _dim_customers(facts: Facts) -> Any:
    """Every customer, and UNKNOWN for all guests."""
    orders, customers = facts.orders, facts.customers
    counted, sales = orders[orders.is_counted], orders[orders.is_sale]
    dates = counted.groupby("customer").order_date.agg(["min", "max", "size"])
    everybody = pd.RangeIndex(NOBODY, len(customers))
    dates = dates.reindex(everybody)
    net = sales.groupby("customer").net.sum().reindex(everybody, fill_value=0)
    known = customers.assign(registered_date=customers.created_at // 86_400_000_000)
    guests = pd.DataFrame({"customer_id": pd.Series(["UNKNOWN"], dtype=TEXT, index=[NOBODY])})
    rows = pd.concat([known, guests]).reindex(everybody)
    number = dates["size"].fillna(0).astype("Int64")
    return rows.assign(
        first_order_date=dates["min"].astype("Int64"), last_order_date=dates["max"].astype("Int64"),
        lifetime_orders=number, lifetime_net_sales=net.astype("Int64"),
        is_repeat_customer=(number >= 2).mask(everybody == NOBODY),
    )  # fmt: skip


def _fact_daily_sales(facts: Facts) -> Any:
    days = facts.daily
    net, cost = days.gross - days.returned - days.discount, whole(days.cost, ~days.has_cost)
    return pd.DataFrame(
        {
            "sales_date": days.date, "product_id": facts.products.product_id.array.take(days["product"]),
            "order_count": days.orders, "customer_count": days.customers, "units_sold": days.units_sold,
            "units_returned": days.units_returned, "gross_sales": days.gross, "returns_amount": days.returned,
            "discount_amount": days.discount, "net_sales": net, "cost_of_goods": cost, "gross_profit": net - cost,
        }
    )  # fmt: skip


def _fact_customer_orders(facts: Facts) -> Any:
    sums, number = facts.sums, facts.numbered.number.astype("Int64")
    return facts.orders.assign(
        line_count=sums.line_count, units=sums.units, gross_amount=sums.gross, returns_amount=sums.returned,
        discount_amount=sums.discount, net_amount=sums.net, customer_order_number=number, is_first_order=number == 1,
        days_since_previous_order=facts.numbered.gap,
    )  # fmt: skip


def _agg_campaign_performance(facts: Facts) -> Any:
    campaigns = facts.campaigns
    counted = facts.orders[facts.orders.is_counted & (facts.orders.campaign != NOBODY)]
    known = counted[counted.customer != NOBODY]
    fresh = known[holds(facts.numbered.number.reindex(known.index) == 1)]
    lines = facts.sales[facts.sales.campaign != NOBODY].groupby("campaign")

    def of_each(series: Any) -> Any:
        return series.reindex(campaigns.index).fillna(0).astype("Int64")

    orders, net = of_each(counted.groupby("campaign").size()), of_each(lines.net.sum())
    has_lines = campaigns.index.isin(list(lines.groups))
    has_profit = lines.has_cost.all().reindex(campaigns.index, fill_value=False).to_numpy(dtype=bool) & has_lines
    profit = (net - of_each(lines.cost.sum())).mask(~has_profit)
    return campaigns.assign(
        orders=orders, customers=of_each(known.groupby("campaign").customer.nunique()),
        new_customers=of_each(fresh.groupby("campaign").size()), units_sold=of_each(lines.units_sold.sum()),
        net_sales=net, gross_profit=profit, average_order_value=ratio(net, orders * ONE),
        return_on_ad_spend=ratio(net, campaigns.budget), roi=ratio(profit - campaigns.budget, campaigns.budget),
    )  # fmt: skip


def _agg_inventory_status(facts: Facts, inventory: Any, day: int) -> Any:
    """Stock beside what was sold in the last thirty days."""
    stock = inventory.reset_index(drop=True)
    recent = facts.daily[facts.daily.date.between(day - 29, day)]
    sums = recent.groupby("product")[["units_sold", "units_returned"]].sum()
    sold = (sums.units_sold - sums.units_returned).clip(lower=0).reindex(facts.products.index, fill_value=0)
    product = pd.Index(facts.products.product_id).get_indexer(stock.product_id)
    is_known = product != NOBODY
    units = whole(np.where(is_known, sold.to_numpy(dtype=np.int64)[product], 0))
    cost = facts.products.cost.take(product).reset_index(drop=True).mask(~is_known)
    available = stock.available
    status = pd.Series(pd.NA, index=stock.index, dtype=TEXT)
    status[available.notna().to_numpy()] = "healthy"
    status[holds((units != 0) & (available * 30 > units * 180))] = "overstock"
    status[holds(available <= stock.reorder_point)] = "low"
    status[holds(available <= 0)] = "out_of_stock"
    return stock.assign(
        as_of_date=day, units_sold_30d=units, average_daily_units=ratio(units, whole(np.full(len(stock), 30))),
        days_of_supply=ratio(available * 30, units), stock_status=status, stock_value=stock.quantity_on_hand * cost,
    )  # fmt: skip

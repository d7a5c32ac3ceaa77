"""The rows of the gold that Superset is held against."""

from __future__ import annotations

PRODUCTS = (("P1", "Tea"), ("P2", "Tea"), ("P3", "Coffee, ground"))
# Day, product, units sold, units returned, net sales, gross profit.
SALES = (
    ("2026-01-05", "P1", 10, 0, "100.0101", "40.5"),
    ("2026-01-06", "P2", 4, 1, "50.25", "10.0001"),
    ("2026-01-26", "P3", 3, 0, "37", "-3.25"),
    ("2026-02-02", "P1", 1, 2, "-10.5", "-20"),
    ("2026-06-01", "P3", 8, 0, "80.8", "30"),
)
# Product, warehouse, units on hand, status, value.
STOCK = (
    ("P1", "W1", 5, "low", "25.5"),
    ("P1", "W2", 0, "out_of_stock", "0"),
    ("P2", "W1", 50, "healthy", "100.25"),
    ("P3", "W2", 900, "overstock", "9000.0001"),
)
# Campaign, channel, budget, orders, net sales.
CAMPAIGNS = (("C1", "mail", "100", 3, "300.5"), ("C2", "mail", "50", 0, "0"), ("C3", "radio", "70", 1, "12.75"))


def _values(rows: tuple[tuple[object, ...], ...]) -> str:
    return ", ".join(f"({', '.join(repr(v) for v in row)}, now(), 'gold-1')" for row in rows)


ROWS = (
    "insert into gold.dim_products (product_id, category, _published_at, _run_id) values " + _values(PRODUCTS),
    "insert into gold.dim_customers (customer_id, lifetime_orders, _published_at, _run_id) values ('K1', 0, now(), 'gold-1')",
    "insert into gold.fact_daily_sales (sales_date, product_id, units_sold, units_returned, net_sales, gross_profit, order_count, "
    "customer_count, _published_at, _run_id) select d::date, p, s, r, n::numeric, g::numeric, 1, 1, at, run from (values "
    + _values(SALES)
    + ") v (d, p, s, r, n, g, at, run)",
    "insert into gold.agg_inventory_status (product_id, warehouse_id, quantity_on_hand, stock_status, stock_value, as_of_date, "
    "units_sold_30d, _published_at, _run_id) select p, w, q, s, v::numeric, '2026-06-01', 0, at, run from (values "
    + _values(STOCK)
    + ") x (p, w, q, s, v, at, run)",
    "insert into gold.agg_campaign_performance (campaign_id, channel, budget, orders, net_sales, customers, new_customers, "
    "units_sold, _published_at, _run_id) select c, h, b::numeric, o, n::numeric, 0, 0, 0, at, run from (values "
    + _values(CAMPAIGNS)
    + ") x (c, h, b, o, n, at, run)",
)

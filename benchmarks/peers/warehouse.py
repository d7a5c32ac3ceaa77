"""The six gold tables in Postgres: columns and keys, a schema to load them in, and the change of all six at once."""

from __future__ import annotations

from psycopg2.extensions import cursor as Cursor

STAGING = "gold_stage"
COLUMNS = {
    "dim_products": "product_id text, product_name text, category text, brand text, price numeric(12,4), "
    "cost numeric(12,4), profit_margin numeric(9,4), is_active boolean, first_sold_date date, last_sold_date date",
    "dim_customers": "customer_id text, full_name text, email text, city text, state text, country text, "
    "registered_date date, first_order_date date, last_order_date date, lifetime_orders integer, "
    "lifetime_net_sales numeric(18,4), is_repeat_customer boolean",
    "fact_daily_sales": "sales_date date, product_id text, order_count integer, customer_count integer, "
    "units_sold bigint, units_returned bigint, gross_sales numeric(18,4), returns_amount numeric(18,4), "
    "discount_amount numeric(18,4), net_sales numeric(18,4), cost_of_goods numeric(18,4), gross_profit numeric(18,4)",
    "fact_customer_orders": "order_id text, customer_id text, campaign_id text, ordered_at timestamptz, "
    "order_date date, status text, is_sale boolean, line_count integer, units bigint, gross_amount numeric(18,4), "
    "returns_amount numeric(18,4), discount_amount numeric(18,4), net_amount numeric(18,4), "
    "customer_order_number integer, is_first_order boolean, days_since_previous_order integer",
    "agg_campaign_performance": "campaign_id text, campaign_name text, channel text, start_date date, end_date date, "
    "budget numeric(14,2), orders integer, customers integer, new_customers integer, units_sold bigint, "
    "net_sales numeric(18,4), gross_profit numeric(18,4), average_order_value numeric(18,4), "
    "return_on_ad_spend numeric(18,4), roi numeric(18,4)",
    "agg_inventory_status": "as_of_date date, product_id text, warehouse_id text, quantity_on_hand integer, "
    "quantity_reserved integer, available integer, reorder_point integer, units_sold_30d bigint, "
    "average_daily_units numeric(18,4), days_of_supply numeric(18,4), stock_status text, stock_value numeric(18,4)",
}
KEYS = {
    "dim_products": "product_id",
    "dim_customers": "customer_id",
    "fact_daily_sales": "sales_date, product_id",
    "fact_customer_orders": "order_id",
    "agg_campaign_performance": "campaign_id",
    "agg_inventory_status": "product_id, warehouse_id",
}
# After the rows, the statements about each fact one after the other, the two facts side by side.
REFERENCES = {
    "fact_daily_sales": (
        f"alter table {STAGING}.fact_daily_sales add foreign key (product_id) references {STAGING}.dim_products",
        f"create index on {STAGING}.fact_daily_sales (product_id)",
    ),
    "fact_customer_orders": (
        f"alter table {STAGING}.fact_customer_orders add foreign key (customer_id) references {STAGING}.dim_customers",
        f"create index on {STAGING}.fact_customer_orders (customer_id)",
        f"create index on {STAGING}.fact_customer_orders (order_date)",
    ),
}


def create_staging(cursor: Cursor) -> None:
    """An empty schema with the six tables, without keys: they come after the rows."""
    cursor.execute(
        f"drop schema if exists {STAGING} cascade; create schema {STAGING}; create schema if not exists gold"
    )
    for table, columns in COLUMNS.items():
        cursor.execute(f"create table {STAGING}.{table} ({columns}, _published_at timestamptz, _run_id text)")


def swap(cursor: Cursor) -> None:
    """All six tables from staging to gold, once the caller commits: readers see the old six or the new six."""
    for table in COLUMNS:
        cursor.execute(f"analyze {STAGING}.{table}")
    cursor.execute("drop table if exists " + ", ".join(f"gold.{table}" for table in COLUMNS) + " cascade")
    for table in COLUMNS:
        cursor.execute(f"alter table {STAGING}.{table} set schema gold")
    cursor.execute(f"drop schema {STAGING}")

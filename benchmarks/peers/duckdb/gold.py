"""Gold: six tables, computed whole from silver in memory; their keys, rows and sums are checked before they leave."""

from __future__ import annotations

from benchmarks.peers.duckdb.session import Session
from benchmarks.peers.phases import require
from benchmarks.peers.warehouse import KEYS

# What several tables rest on: sums of each order, each customer's orders in their order, sums of each product and day.
SHARED = """
create table order_sums as
with lines as (
    select order_row, count(*)::int as line_count, sum(quantity)::bigint as units,
           sum(case when quantity > 0 then gross_amount else 0 end)::decimal(18,4) as gross,
           sum(case when quantity < 0 then -gross_amount else 0 end)::decimal(18,4) as returned,
           sum(discount)::decimal(18,4) as discount, sum(net_amount)::decimal(18,4) as net,
           bool_or(quantity > 0) as has_bought
      from silver_order_items group by order_row)
select o.rowid::int as order_row, o.customer_row, o.campaign_row, o.order_date, coalesce(l.line_count, 0) as line_count,
       coalesce(l.units, 0) as units, coalesce(l.gross, 0) as gross, coalesce(l.returned, 0) as returned,
       coalesce(l.discount, 0) as discount, coalesce(l.net, 0) as net,
       o.status not in ('pending', 'cancelled') as is_sale,
       o.status not in ('pending', 'cancelled') and coalesce(l.has_bought, false) as is_counted
  from silver_orders o left join lines l on l.order_row = o.rowid;

create table numbered as
select order_row, row_number() over w::int as number, (order_date - lag(order_date) over w)::int as gap
  from (select s.order_row, s.customer_row, s.order_date, o.ordered_at, o.order_id
          from order_sums s join silver_orders o on o.rowid = s.order_row
         where s.is_counted and s.customer_row is not null)
window w as (partition by customer_row order by ordered_at, order_id);

create table daily as
select order_date as sales_date, product_row,
       (count(distinct order_row) filter (where quantity > 0))::int as order_count,
       (count(distinct customer_row) filter (where quantity > 0))::int as customer_count,
       sum(greatest(quantity, 0))::bigint as units_sold, sum(greatest(-quantity, 0))::bigint as units_returned,
       sum(case when quantity > 0 then gross_amount else 0 end) as gross,
       sum(case when quantity < 0 then -gross_amount else 0 end) as returned,
       sum(discount) as discount,
       case when count(unit_cost) = count(*) then sum(quantity * unit_cost) end as cost
  from silver_order_items where is_sale group by all;
"""

# The query of each table, its columns in the order of peers/warehouse.py; {day} is the business date.
QUERIES = {
    "dim_products": """
        select p.product_id, p.product_name, p.category, p.brand, p.price, p.cost, p.profit_margin, p.is_active,
               s.first_date, s.last_date
          from silver_products p
          left join (select product_row, min(sales_date) filter (where order_count > 0) as first_date,
                            max(sales_date) filter (where order_count > 0) as last_date
                       from daily group by product_row) s on s.product_row = p.rowid""",
    "dim_customers": """
        with s as (
            select customer_row, min(order_date) filter (where is_counted) as first_date,
                   max(order_date) filter (where is_counted) as last_date,
                   (count(*) filter (where is_counted))::int as orders, sum(net) filter (where is_sale) as net
              from order_sums group by customer_row)
        select c.customer_id, c.full_name, c.email, c.city, c.state, c.country, c.created_at::date, s.first_date,
               s.last_date, coalesce(s.orders, 0), coalesce(s.net, 0)::decimal(18,4), coalesce(s.orders, 0) >= 2
          from silver_customers c left join s on s.customer_row = c.rowid
        union all
        select 'UNKNOWN', null, null, null, null, null, null, s.first_date, s.last_date, coalesce(s.orders, 0),
               coalesce(s.net, 0)::decimal(18,4), null
          from (select 1) one left join s on s.customer_row is null""",
    "fact_daily_sales": """
        select d.sales_date, p.product_id, d.order_count, d.customer_count, d.units_sold, d.units_returned,
               d.gross::decimal(18,4), d.returned::decimal(18,4), d.discount::decimal(18,4),
               (d.gross - d.returned - d.discount)::decimal(18,4), d.cost::decimal(18,4),
               (d.gross - d.returned - d.discount - d.cost)::decimal(18,4)
          from daily d join silver_products p on p.rowid = d.product_row""",
    "fact_customer_orders": """
        select o.order_id, o.customer_id, o.campaign_id, o.ordered_at, o.order_date, o.status, s.is_sale, s.line_count,
               s.units, s.gross::decimal(18,4), s.returned::decimal(18,4), s.discount::decimal(18,4),
               s.net::decimal(18,4), n.number, n.number = 1, n.gap
          from silver_orders o
          join order_sums s on s.order_row = o.rowid
          left join numbered n on n.order_row = o.rowid""",
    "agg_campaign_performance": """
        with o as (
            select s.campaign_row, (count(*) filter (where is_counted))::int as orders,
                   (count(distinct s.customer_row) filter (where is_counted))::int as customers,
                   (count(*) filter (where n.number = 1))::int as new_customers
              from order_sums s left join numbered n on n.order_row = s.order_row
             where s.campaign_row is not null group by s.campaign_row),
        l as (
            select campaign_row, sum(greatest(quantity, 0))::bigint as units_sold, sum(net_amount) as net,
                   case when count(unit_cost) = count(*) then sum(net_amount) - sum(quantity * unit_cost) end as profit
              from silver_order_items where is_sale and campaign_row is not null group by campaign_row),
        t as (
            select c.*, coalesce(o.orders, 0) as orders, coalesce(o.customers, 0) as customers,
                   coalesce(o.new_customers, 0) as new_customers, coalesce(l.units_sold, 0) as units_sold,
                   coalesce(l.net, 0)::decimal(38,4) as net, l.profit::decimal(38,4) as profit
              from silver_campaigns c
              left join o on o.campaign_row = c.rowid
              left join l on l.campaign_row = c.rowid)
        select campaign_id, campaign_name, channel, start_date, end_date, budget, orders, customers, new_customers,
               units_sold, net::decimal(18,4), profit::decimal(18,4),
               case when orders <> 0 then ratio4((net * 10000)::hugeint, orders::hugeint * 10000)::decimal(18,4) end,
               case when budget <> 0
                    then ratio4((net * 10000)::hugeint, (budget * 100)::hugeint * 100)::decimal(18,4) end,
               case when budget <> 0
                    then ratio4(((profit - budget) * 10000)::hugeint, (budget * 100)::hugeint * 100)::decimal(18,4) end
          from t""",
    "agg_inventory_status": """
        with s as (
            select product_row, greatest(sum(units_sold - units_returned), 0)::bigint as units
              from daily where sales_date between date '{day}' - 29 and date '{day}' group by product_row),
        i as (
            select i.*, coalesce(s.units, 0) as units, p.cost
              from silver_inventory i
              left join silver_products p on p.product_id = i.product_id
              left join s on s.product_row = p.rowid)
        select date '{day}', product_id, warehouse_id, quantity_on_hand, quantity_reserved, available, reorder_point,
               units, ratio4(units::hugeint, 30::hugeint)::decimal(18,4),
               case when units <> 0 then ratio4(available::hugeint * 30, units::hugeint)::decimal(18,4) end,
               case when available <= 0 then 'out_of_stock' when available <= reorder_point then 'low'
                    when units <> 0 and available::bigint * 30 > 180 * units then 'overstock'
                    when available is not null then 'healthy' end,
               (quantity_on_hand * cost)::decimal(18,4)
          from i""",
}
SAME_SALES = """
select (select sum(gross - returned - discount) from daily)
       is not distinct from (select sum(net) from order_sums where is_sale)
"""


def compute(session: Session) -> dict[str, int]:
    """Computes the tables as `gold_…` in memory, facts as views; returns the rows that each is to have."""
    session.execute(SHARED)
    for table, query in QUERIES.items():
        kind = "view" if table.startswith("fact") else "table"
        session.execute(f"create {kind} gold_{table} as {query.replace('{day}', str(session.day))}")
    session.phases.finished("P3 gold")
    rows = {table: session.number(f"select count(*) from {_counted(table)}") for table in QUERIES}
    for table, key in KEYS.items():
        # The facts' keys are those they are grouped by; Postgres checks all six again.
        if not table.startswith("fact"):
            none_null = " and ".join(f"{name} is not null" for name in key.split(", "))
            unique = f"select count(*) = count(distinct ({key})) and bool_and({none_null}) from gold_{table}"
            require(session.row(unique)[0] is not False, f"gold {table}: key")
    customers, products = (
        session.number(f"select count(*) from silver_{table}") for table in ("customers", "products")
    )
    require(rows["dim_customers"] == customers + 1, "dim_customers: rows")
    require(rows["dim_products"] == products, "dim_products: rows")
    require(session.row(SAME_SALES)[0], "net sales: days and orders differ")
    session.phases.finished("P5 gates")
    return rows


def _counted(table: str) -> str:
    """What has as many rows as a table, without computing it."""
    return {"fact_customer_orders": "silver_orders", "fact_daily_sales": "daily"}.get(table, f"gold_{table}")

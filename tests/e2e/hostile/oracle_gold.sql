-- Gold, from what silver keeps. Sums are exact; only the finished number is held against its type, each by itself.

-- One row per line of a known order.
create table lines as
select
    i.*, o.customer_id, o.campaign_id, o.order_date, o.status not in ('pending', 'cancelled') as is_sale,
    greatest(i.quantity, 0) as sold, -least(i.quantity, 0)::bigint as given_back,
    greatest(i.gross_amount, 0) as gross_in, -least(i.gross_amount, 0) as gross_back,
    sign(i.quantity::numeric) * i.discount as off, i.quantity * i.unit_cost as line_cost
from silver_order_items as i join silver_orders as o using (order_id);

-- One row per order, every status. Counted: a sale with at least one line of quantity > 0.
create table orders_summed as
select
    o.*,
    o.status not in ('pending', 'cancelled') as is_sale,
    o.status not in ('pending', 'cancelled') and coalesce(l.sold_lines, 0) > 0 as is_counted,
    coalesce(l.line_count, 0) as line_count,
    coalesce(l.units, 0) as units,
    coalesce(l.gross_amount, 0) as gross_amount,
    coalesce(l.returns_amount, 0) as returns_amount,
    coalesce(l.discount_amount, 0) as discount_amount,
    coalesce(l.gross_amount - l.returns_amount - l.discount_amount, 0) as net_amount
from silver_orders as o
    left join (
        select
            order_id, count(*) as line_count, count(*) filter (where quantity > 0) as sold_lines,
            sum(quantity) as units,
            sum(gross_in) as gross_amount, sum(gross_back) as returns_amount, sum(off) as discount_amount
        from lines group by order_id
    ) as l using (order_id);

-- 1, 2, ... over the customer's counted orders by ordered_at, then order_id in byte order. Guests have none.
create table numbered as
select
    order_id,
    row_number() over customers_orders as customer_order_number,
    order_date - lag(order_date) over customers_orders as days_since_previous_order
from orders_summed
where is_counted and customer_id <> 'UNKNOWN'
window customers_orders as (partition by customer_id order by ordered_at, order_id collate "C");

create table dim_products as
select
    product_id, product_name, category, brand, price::numeric(12, 4) as price, cost::numeric(12, 4) as cost,
    profit_margin, is_active, first_sold_date, last_sold_date
from silver_products
    left join (
        select product_id, min(order_date) as first_sold_date, max(order_date) as last_sold_date
        from lines where is_sale and quantity > 0 group by product_id
    ) as sold using (product_id);

create table dim_customers as
select
    customer_id, full_name, email, city, state, country, registered_date, first_order_date, last_order_date,
    coalesce(lifetime_orders, 0) as lifetime_orders,
    as_sum(coalesce(lifetime_net_sales, 0)) as lifetime_net_sales,
    case when customer_id <> 'UNKNOWN' then coalesce(lifetime_orders, 0) >= 2 end as is_repeat_customer
from (
    select customer_id, full_name, email, city, state, country, shop_date(created_at) as registered_date
    from silver_customers
    union all
    select 'UNKNOWN', null, null, null, null, null, null
) as people
    left join (
        select
            customer_id,
            min(order_date) filter (where is_counted) as first_order_date,
            max(order_date) filter (where is_counted) as last_order_date,
            count(*) filter (where is_counted) as lifetime_orders,
            sum(net_amount) filter (where is_sale) as lifetime_net_sales
        from orders_summed group by customer_id
    ) as bought using (customer_id);

create table fact_daily_sales as
select
    order_date as sales_date, product_id,
    count(distinct order_id) filter (where quantity > 0) as order_count,
    count(distinct customer_id) filter (where quantity > 0 and customer_id <> 'UNKNOWN') as customer_count,
    sum(sold) as units_sold,
    sum(given_back)::bigint as units_returned,
    as_sum(sum(gross_in)) as gross_sales,
    as_sum(sum(gross_back)) as returns_amount,
    as_sum(sum(off)) as discount_amount,
    as_sum(sum(gross_in) - sum(gross_back) - sum(off)) as net_sales,
    as_sum(case when bool_and(line_cost is not null) then sum(line_cost) end) as cost_of_goods,
    as_sum(case when bool_and(line_cost is not null)
        then sum(gross_in) - sum(gross_back) - sum(off) - sum(line_cost) end) as gross_profit
from lines
where is_sale
group by order_date, product_id;

create table fact_customer_orders as
select
    order_id, customer_id, campaign_id, ordered_at, order_date, status, is_sale, line_count, units,
    as_sum(gross_amount) as gross_amount, as_sum(returns_amount) as returns_amount,
    as_sum(discount_amount) as discount_amount, as_sum(net_amount) as net_amount,
    customer_order_number,
    customer_order_number = 1 as is_first_order,
    days_since_previous_order
from orders_summed left join numbered using (order_id);

create table agg_campaign_performance as
with attributed_orders as (
    select
        campaign_id,
        count(*) filter (where is_counted) as orders,
        count(distinct customer_id) filter (where is_counted and customer_id <> 'UNKNOWN') as customers,
        count(*) filter (where customer_order_number = 1) as new_customers
    from orders_summed left join numbered using (order_id)
    group by campaign_id
),

attributed_lines as (
    select
        campaign_id, sum(sold) as units_sold, sum(net_amount) as net_sales,
        case when bool_and(line_cost is not null) then sum(net_amount) - sum(line_cost) end as gross_profit
    from lines where is_sale
    group by campaign_id
)

select
    campaign_id, campaign_name, channel, start_date, end_date, budget::numeric(14, 2) as budget,
    coalesce(orders, 0) as orders,
    coalesce(customers, 0) as customers,
    coalesce(new_customers, 0) as new_customers,
    coalesce(units_sold, 0) as units_sold,
    as_sum(coalesce(net_sales, 0)) as net_sales,
    as_sum(gross_profit) as gross_profit,
    as_sum(ratio(coalesce(net_sales, 0), orders)) as average_order_value,
    as_sum(ratio(coalesce(net_sales, 0), budget)) as return_on_ad_spend,
    as_sum(ratio(gross_profit - budget, budget)) as roi
from silver_campaigns
    left join attributed_orders using (campaign_id)
    left join attributed_lines using (campaign_id);

create table agg_inventory_status as
with recent as (
    select product_id, greatest(sum(units_sold - units_returned), 0)::bigint as units
    from fact_daily_sales, parameters
    where sales_date between business_date - 29 and business_date
    group by product_id
),

-- days_of_supply = available / (units / 30) = 30 x available / units
stock as (
    select s.*, coalesce(r.units, 0) as units_sold_30d, p.cost
    from silver_inventory as s
        left join recent as r using (product_id)
        left join silver_products as p using (product_id)
)

select
    business_date as as_of_date, product_id, warehouse_id, quantity_on_hand, quantity_reserved, available,
    reorder_point,
    units_sold_30d,
    as_sum(ratio(units_sold_30d, 30)) as average_daily_units,
    as_sum(ratio(30 * available::numeric, units_sold_30d)) as days_of_supply,
    case
        when available is null then null
        when available <= 0 then 'out_of_stock'
        when available <= reorder_point then 'low'
        when units_sold_30d > 0 and 30 * available::numeric > 180 * units_sold_30d::numeric then 'overstock'
        else 'healthy'
    end as stock_status,
    as_sum(quantity_on_hand * cost) as stock_value
from stock, parameters;

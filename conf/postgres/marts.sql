-- Answers to the heavy questions, made on first use and refreshed concurrently after each publish.
create schema if not exists marts;
comment on schema marts is 'Materialised views over gold, refreshed after each publish';

-- Month and category. A category may be longer than an index row, so the unique index that a concurrent refresh needs
-- stands on its digest.
create materialized view if not exists marts.monthly_sales_by_category as
select date_trunc('month', f.sales_date)::date as month,
       p.category,
       sum(f.units_sold)::bigint as units_sold,
       sum(f.units_returned)::bigint as units_returned,
       sum(f.net_sales) as net_sales,
       case when count(*) = count(f.gross_profit) then sum(f.gross_profit) end as gross_profit,
       md5(p.category) as category_digest
from gold.fact_daily_sales f
join gold.dim_products p using (product_id)
group by 1, 2;
create unique index if not exists monthly_sales_by_category_key
    on marts.monthly_sales_by_category (month, category_digest);
comment on materialized view marts.monthly_sales_by_category is
    'One row per month and category; gross_profit is null if any cost is unknown';

-- Customers by the month of their first counted order, and what they bought in the months after it. Guests have no cohort.
create materialized view if not exists marts.customer_cohorts as
with cohorts as (
    select customer_id, date_trunc('month', first_order_date)::date as cohort_month
    from gold.dim_customers
    where customer_id <> 'UNKNOWN' and first_order_date is not null
)
select c.cohort_month,
       ((extract(year from o.order_date) - extract(year from c.cohort_month)) * 12
        + extract(month from o.order_date) - extract(month from c.cohort_month))::integer as months_since,
       count(distinct o.customer_id) filter (where o.customer_order_number is not null) as customers,
       count(o.customer_order_number) as orders,
       sum(o.net_amount) as net_sales
from gold.fact_customer_orders o
join cohorts c using (customer_id)
where o.is_sale
group by 1, 2;
create unique index if not exists customer_cohorts_key on marts.customer_cohorts (cohort_month, months_since);
comment on materialized view marts.customer_cohorts is
    'One row per month of first order and months since: customers and orders counted, net sales with returns';

-- Month and category. A category may be longer than an index row, so the unique index that a concurrent refresh needs
-- stands on its digest.
create materialized view marts.monthly_sales_by_category as
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
create unique index monthly_sales_by_category_key
    on marts.monthly_sales_by_category (month, category_digest);
comment on materialized view marts.monthly_sales_by_category is
    'One row per month and category; gross_profit is null if any cost is unknown';

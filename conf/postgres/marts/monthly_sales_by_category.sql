-- Month and category. A category may be longer than an index row, so the unique index that a concurrent refresh needs
-- stands on its digest. An amount that did not fit its column is null in gold: no sum leaves it out as if it were nothing.
create materialized view marts.monthly_sales_by_category as
select date_trunc('month', f.sales_date)::date as month,
       p.category,
       sum(f.units_sold)::bigint as units_sold,
       sum(f.units_returned)::bigint as units_returned,
       case when count(*) = count(f.net_sales) then sum(f.net_sales) end as net_sales,
       case when count(*) = count(f.gross_profit) then sum(f.gross_profit) end as gross_profit,
       md5(p.category) as category_digest
from gold.fact_daily_sales f
join gold.dim_products p using (product_id)
group by 1, 2;
create unique index monthly_sales_by_category_key
    on marts.monthly_sales_by_category (month, category_digest);
comment on materialized view marts.monthly_sales_by_category is
    'One row per month and category; gross_profit is null if any cost is unknown, either sum if any amount does not fit';

-- Products by the end of the day %(day)s, of days with a unit sold until then. Prices, costs and names of dim_products are
-- those of now, so none of them is used; nor are returned units, which stand on the day of the order, not of the return.
select product_id,
       sum(units_sold) as units_sold_total,
       coalesce(sum(units_sold) filter (where sales_date > %(day)s - 7), 0) as units_sold_7d,
       coalesce(sum(units_sold) filter (where sales_date > %(day)s - 30), 0) as units_sold_30d,
       coalesce(sum(order_count) filter (where sales_date > %(day)s - 30), 0) as orders_30d,
       count(*) filter (where sales_date > %(day)s - 30) as days_sold_30d,
       case when count(*) filter (where sales_date > %(day)s - 30) = count(gross_sales) filter (where sales_date > %(day)s - 30)
            then coalesce(sum(gross_sales) filter (where sales_date > %(day)s - 30), 0) end as gross_sales_30d,
       case when count(*) filter (where sales_date > %(day)s - 30) = count(gross_sales) filter (where sales_date > %(day)s - 30)
            then round(sum(gross_sales) filter (where sales_date > %(day)s - 30)
                       / nullif(sum(units_sold) filter (where sales_date > %(day)s - 30), 0), 4) end as average_price_30d,
       %(day)s - min(sales_date) as days_since_first_sale,
       %(day)s - max(sales_date) as days_since_last_sale
from gold.fact_daily_sales
where order_count > 0 and sales_date <= %(day)s
group by product_id

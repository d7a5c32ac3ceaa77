-- Gold tells the same sales twice: by day and product, and by order. A day on which an amount did not fit is not compared.
with by_product as (
    select sales_date as day, sum(net_sales) as net_sales, bool_or(net_sales is null) as is_unknown
    from {{ source("gold", "fact_daily_sales") }}
    group by 1
),

by_order as (
    select order_date as day, sum(net_amount) as net_sales, bool_or(net_amount is null) as is_unknown
    from {{ source("gold", "fact_customer_orders") }}
    where is_sale and line_count > 0
    group by 1
)

select day
from by_product p
full join by_order o using (day)
where p.net_sales is distinct from o.net_sales
  and not coalesce(p.is_unknown, false)
  and not coalesce(o.is_unknown, false)

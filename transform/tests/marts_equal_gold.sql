-- Nothing is lost on the way into the marts, nor counted twice: sums of each are those of gold, to the digit.
select *
from (
    select 'monthly_sales' as mart,
           (select sum(net_sales) from {{ ref("monthly_sales") }}) as of_mart,
           (select sum(net_sales) from {{ source("gold", "fact_daily_sales") }}) as of_gold,
           (select bool_or(net_sales is null) from {{ source("gold", "fact_daily_sales") }}) as is_unknown
    union all
    select 'customer_rfm',
           (select coalesce(sum(frequency), 0) from {{ ref("customer_rfm") }}),
           (select count(customer_order_number) from {{ source("gold", "fact_customer_orders") }}),
           false
    union all
    select 'customer_cohorts',
           (select coalesce(sum(orders), 0) from {{ ref("customer_cohorts") }}),
           (select count(customer_order_number) from {{ source("gold", "fact_customer_orders") }}),
           false
) sums
where of_mart is distinct from of_gold
  and not coalesce(is_unknown, false)

-- Recency, frequency, monetary value. A score is the fifth of all customers that a customer belongs to, 5 the best, and
-- who is alike has the same: in whole numbers, as a share that is computed in floats may fall to either side.
with customers as (
    select customer_id,
           (select as_of from {{ ref("stg_as_of") }}) - last_order_date as recency_days,
           lifetime_orders as frequency,
           lifetime_net_sales as monetary
    from {{ ref("stg_customers") }}
    where lifetime_orders > 0
),

scored as (
    select *,
           (6 - (5 * count(*) over (order by recency_days) + count(*) over () - 1) / count(*) over ())::integer as r,
           ((5 * count(*) over (order by frequency) + count(*) over () - 1) / count(*) over ())::integer as f,
           case when monetary is not null then
               ((5 * count(*) over (order by monetary nulls first) + count(*) over () - 1) / count(*) over ())::integer
           end as m
    from customers
)

select customer_id, recency_days, frequency, monetary, r, f, m,
       case
           when r >= 4 and f >= 4 then 'champion'
           when r >= 3 and f >= 3 then 'loyal'
           when r >= 4 then 'recent'
           when r = 3 then 'fading'
           when f >= 3 then 'at_risk'
           else 'lost'
       end as segment
from scored

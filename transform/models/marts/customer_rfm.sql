-- Recency, frequency, monetary value. A score is one more than the fifths of all customers who are worse, so who is alike has
-- the same, and the many with one order have 1. In whole numbers, as a share in floats may fall to either side.
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
           (1 + 5 * (rank() over (order by recency_days desc) - 1) / count(*) over ())::integer as r,
           (1 + 5 * (rank() over (order by frequency) - 1) / count(*) over ())::integer as f,
           case when monetary is not null then
               (1 + 5 * (rank() over (order by monetary nulls first) - 1) / count(*) over ())::integer
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

with cohorts as (
    select customer_id, date_trunc('month', first_order_date)::date as cohort_month
    from {{ ref("stg_customers") }}
    where first_order_date is not null
),

sizes as (
    select cohort_month, count(*) as cohort_size from cohorts group by 1
),

months as (
    select c.cohort_month,
           ((extract(year from o.order_date) - extract(year from c.cohort_month)) * 12
            + extract(month from o.order_date) - extract(month from c.cohort_month))::integer as months_since,
           count(distinct o.customer_id) filter (where o.customer_order_number is not null) as customers,
           count(o.customer_order_number) as orders,
           case when count(*) = count(o.net_amount) then sum(o.net_amount) end as net_sales
    from {{ ref("stg_orders") }} o
    join cohorts c using (customer_id)
    where o.is_sale
    group by 1, 2
)

select m.cohort_month, m.months_since, m.customers, m.orders, m.net_sales, s.cohort_size,
       round(m.customers::numeric / s.cohort_size, 4) as retention
from months m
join sizes s using (cohort_month)

-- Customers by the month of their first counted order, and what they bought in the months after it. Guests have no cohort.
-- An amount that did not fit its column is null in gold: no sum leaves it out as if it were nothing.
create materialized view marts.customer_cohorts as
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
       case when count(*) = count(o.net_amount) then sum(o.net_amount) end as net_sales
from gold.fact_customer_orders o
join cohorts c using (customer_id)
where o.is_sale
group by 1, 2;
create unique index customer_cohorts_key on marts.customer_cohorts (cohort_month, months_since);
comment on materialized view marts.customer_cohorts is
    'One row per month of first order and months since: customers and orders counted, net sales with returns; net_sales is null if any does not fit';

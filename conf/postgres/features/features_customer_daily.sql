-- Customers by the end of the day %(day)s, of counted orders until then. Only what a return that is booked later on the same
-- order leaves as it was: not net_amount, returns_amount, discount_amount, units or status. customer_order_number says
-- whether an order counts; its value is not used, nor lifetime figures of dim_customers, which know the future.
select customer_id,
       count(*) as orders_total,
       count(*) filter (where order_date > %(day)s - 30) as orders_30d,
       count(*) filter (where order_date > %(day)s - 90) as orders_90d,
       case when count(*) = count(gross_amount) then sum(gross_amount) end as gross_sales_total,
       case when count(*) filter (where order_date > %(day)s - 90) = count(gross_amount) filter (where order_date > %(day)s - 90)
            then coalesce(sum(gross_amount) filter (where order_date > %(day)s - 90), 0) end as gross_sales_90d,
       case when count(*) = count(gross_amount) then round(sum(gross_amount) / count(*), 4) end as average_order_gross,
       %(day)s - min(order_date) as days_since_first_order,
       %(day)s - max(order_date) as days_since_last_order,
       round((max(order_date) - min(order_date))::numeric / nullif(count(*) - 1, 0), 4) as average_days_between_orders
from gold.fact_customer_orders
where customer_order_number is not null and order_date <= %(day)s
group by customer_id

-- Guests are one row of gold, and no customer.
select customer_id, first_order_date, last_order_date, lifetime_orders, lifetime_net_sales
from {{ source("gold", "dim_customers") }}
where customer_id <> 'UNKNOWN'

-- The day that gold is as of. A shop without stock has its last order to tell it.
select coalesce(
    (select max(as_of_date) from {{ source("gold", "agg_inventory_status") }}),
    (select max(order_date) from {{ source("gold", "fact_customer_orders") }})
) as as_of

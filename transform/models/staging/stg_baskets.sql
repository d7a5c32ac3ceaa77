-- A basket is an order that is neither pending nor cancelled, with the products of which it sold at least one unit.
select distinct l.order_id, l.product_id
from {{ source("lake", "order_lines") }} l
join {{ source("gold", "fact_customer_orders") }} o using (order_id)
where o.is_sale

select order_id, customer_id, order_date, is_sale, net_amount, customer_order_number
from {{ source("gold", "fact_customer_orders") }}

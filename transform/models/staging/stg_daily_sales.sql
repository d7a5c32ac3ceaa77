select sales_date, product_id, units_sold, units_returned, net_sales, gross_profit
from {{ source("gold", "fact_daily_sales") }}

select product_id, product_name, category
from {{ source("gold", "dim_products") }}

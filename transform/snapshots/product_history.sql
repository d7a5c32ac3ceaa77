{% snapshot product_history %}
{{ config(unique_key="product_id", strategy="check", check_cols=["product_name", "category", "brand", "price", "cost", "is_active"],
          hard_deletes="invalidate") }}
select product_id, product_name, category, brand, price, cost, is_active
from {{ source("gold", "dim_products") }}
{% endsnapshot %}

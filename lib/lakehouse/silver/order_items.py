"""One row per image of an order line: units of a product sold (or, negative, returned) at a price."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.columns import carried, clean_identifier, signed


def transform(order_items: DataFrame) -> DataFrame:
    """Columns of contract bronze.order_items in, of silver.order_items out, a row an image.

    gross_amount = quantity x unit_price; net_amount = gross_amount - sign(quantity) x discount: a returned line gives
    back what it had brought.
    """
    quantity = F.col("quantity")
    gross = quantity * F.col("unit_price")
    discount = F.coalesce("discount", F.lit(0).cast("decimal(12,4)"))
    return order_items.select(
        *carried(order_items),
        clean_identifier("order_item_id").alias("order_item_id"),
        clean_identifier("order_id").alias("order_id"),
        clean_identifier("product_id").alias("product_id"),
        "quantity",
        "unit_price",
        discount.alias("discount"),
        "unit_cost",
        gross.alias("gross_amount"),
        (gross - signed(discount, quantity)).alias("net_amount"),
        "created_at",
        "updated_at",
    )

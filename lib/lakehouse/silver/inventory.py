"""One row per image of a product's stock in a warehouse."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.columns import carried, clean_identifier


def transform(inventory: DataFrame) -> DataFrame:
    """Columns of contract bronze.inventory in, of silver.inventory out, a row an image. available = quantity_on_hand - quantity_reserved, 64 bit."""
    return inventory.select(
        *carried(inventory),
        clean_identifier("product_id").alias("product_id"),
        clean_identifier("warehouse_id").alias("warehouse_id"),
        "quantity_on_hand",
        "quantity_reserved",
        (F.col("quantity_on_hand").cast("bigint") - F.col("quantity_reserved")).alias("available"),
        "reorder_point",
        "created_at",
        "updated_at",
    )

"""One row per image of an order: who ordered, when, and how far the order has come."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.columns import GUEST, carried, clean_identifier, lower_text

SYNONYMS = {"canceled": "cancelled", "complete": "delivered", "completed": "delivered", "refunded": "returned"}


def transform(orders: DataFrame) -> DataFrame:
    """Columns of contract bronze.orders in, of silver.orders out, a row an image. order_date is the shop's date (the session's zone) of ordered_at."""
    return orders.select(
        *carried(orders),
        clean_identifier("order_id").alias("order_id"),
        F.coalesce(clean_identifier("customer_id"), F.lit(GUEST)).alias("customer_id"),
        clean_identifier("campaign_id").alias("campaign_id"),
        standard_status(lower_text("status")).alias("status"),
        "ordered_at",
        F.to_date("ordered_at").alias("order_date"),
        "created_at",
        "updated_at",
    )


def standard_status(status: Column) -> Column:
    """The shop's several words for one state become one."""
    standard = status
    for synonym, word in SYNONYMS.items():
        standard = F.when(status == synonym, F.lit(word)).otherwise(standard)
    return standard

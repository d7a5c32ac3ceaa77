"""One row per product, with the dates between which it was sold."""

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.columns import Rows


def transform(products: DataFrame, fact_daily_sales: DataFrame) -> DataFrame:
    """Dates are those on which a line of quantity > 0 was ordered, in orders neither pending nor cancelled."""
    dates = (
        fact_daily_sales.where("order_count > 0")
        .groupBy("product_id")
        .agg(F.min("sales_date").alias("first_sold_date"), F.max("sales_date").alias("last_sold_date"))
    )
    product = products.select(
        *("product_id", "product_name", "category", "brand", "price", "cost", "profit_margin", "is_active")
    )
    return product.join(dates, "product_id", how="left")


def units(changed_products: DataFrame, changed_fact_daily_sales: DataFrame) -> Sequence[DataFrame]:
    """Products that changed, or of which a day's sales did."""
    return (changed_products.select("product_id").union(changed_fact_daily_sales.select("product_id")),)


def within(units: Sequence[DataFrame], products: Rows, fact_daily_sales: Rows) -> tuple[DataFrame, DataFrame]:
    """They, and all their days."""
    return products.matching(*units), fact_daily_sales.matching(*units)

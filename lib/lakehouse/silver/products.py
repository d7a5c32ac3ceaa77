"""One row per image of a product: what is sold, with its margin."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.columns import carried, clean_identifier, clean_text, ratio, title_case


def transform(products: DataFrame) -> DataFrame:
    """Columns of contract bronze.products in, of silver.products out, a row an image. profit_margin = (price - cost) / price."""
    price, cost = F.col("price"), F.col("cost")
    return products.select(
        *carried(products),
        clean_identifier("product_id").alias("product_id"),
        clean_text("product_name").alias("product_name"),
        F.coalesce(title_case("category"), F.lit("Uncategorised")).alias("category"),
        title_case("brand").alias("brand"),
        "price",
        "cost",
        ratio(price - cost, price).alias("profit_margin"),
        "is_active",
        "created_at",
        "updated_at",
    )

"""One row per image of a campaign: where money was spent to bring orders."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.columns import carried, clean_identifier, clean_text, lower_text


def transform(campaigns: DataFrame) -> DataFrame:
    """Columns of contract bronze.campaigns in, of silver.campaigns out, a row an image."""
    return campaigns.select(
        *carried(campaigns),
        clean_identifier("campaign_id").alias("campaign_id"),
        clean_text("campaign_name").alias("campaign_name"),
        F.replace(lower_text("channel"), F.lit(" "), F.lit("_")).alias("channel"),
        "start_date",
        "end_date",
        "budget",
        "created_at",
        "updated_at",
    )

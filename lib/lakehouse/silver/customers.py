"""One row per image of a customer: who buys, with names, e-mail and phone in one form."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.columns import carried, clean_email, clean_identifier, clean_phone, clean_text, joined, warning


def transform(customers: DataFrame) -> DataFrame:
    """Columns of contract bronze.customers in, of silver.customers out, a row an image; a text that is no e-mail address becomes null and is warned of."""
    first_name, last_name = clean_text("first_name"), clean_text("last_name")
    email = clean_email("email")
    return customers.select(
        *carried(customers),
        clean_identifier("customer_id").alias("customer_id"),
        first_name.alias("first_name"),
        last_name.alias("last_name"),
        joined(first_name, last_name).alias("full_name"),
        email.alias("email"),
        clean_phone("phone").alias("phone"),
        clean_text("city").alias("city"),
        clean_text("state").alias("state"),
        clean_text("country").alias("country"),
        "created_at",
        "updated_at",
        warning("email_invalid", email.isNull() & clean_text(F.col("email")).isNotNull()),
    )

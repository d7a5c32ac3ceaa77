"""One row per customer, and one row UNKNOWN that stands for every guest."""

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.columns import GUEST, Rows


def transform(customers: DataFrame, fact_customer_orders: DataFrame) -> DataFrame:
    """Dates and lifetime_orders are of counted orders; lifetime_net_sales of all orders not pending or cancelled."""
    known = customers.select(
        *("customer_id", "full_name", "email", "city", "state", "country"),
        F.to_date("created_at").alias("registered_date"),
        F.lit(False).alias("is_guest"),
    )
    # Aggregating nothing gives the one row, without asking for a session: columns not named here are null.
    guest = customers.limit(0).agg(F.lit(GUEST).alias("customer_id"), F.lit(True).alias("is_guest"))
    counted = F.col("_is_counted")
    life = fact_customer_orders.groupBy("customer_id").agg(
        F.min(F.when(counted, F.col("order_date"))).alias("first_order_date"),
        F.max(F.when(counted, F.col("order_date"))).alias("last_order_date"),
        F.count(F.when(counted, 1)).alias("lifetime_orders"),
        F.sum(F.when(F.col("is_sale"), F.col("net_amount"))).alias("lifetime_net_sales"),
    )
    orders = F.coalesce("lifetime_orders", F.lit(0))
    return (
        known.unionByName(guest, allowMissingColumns=True)
        .join(life, "customer_id", how="left")
        .select(
            *("customer_id", "full_name", "email", "city", "state", "country", "registered_date"),
            "first_order_date",
            "last_order_date",
            orders.alias("lifetime_orders"),
            F.coalesce("lifetime_net_sales", F.lit(0)).alias("lifetime_net_sales"),
            F.when(~F.col("is_guest"), orders >= 2).alias("is_repeat_customer"),
        )
    )


def units(changed_customers: DataFrame, changed_fact_customer_orders: DataFrame) -> Sequence[DataFrame]:
    """Customers who changed, or of whom an order did."""
    ids = changed_customers.select("customer_id").union(changed_fact_customer_orders.select("customer_id"))
    return (ids,)


def within(units: Sequence[DataFrame], customers: Rows, fact_customer_orders: Rows) -> tuple[DataFrame, DataFrame]:
    """They, and all their orders."""
    return customers.matching(*units), fact_customer_orders.matching(*units)

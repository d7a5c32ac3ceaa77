"""One row per campaign: the orders it brought (by orders.campaign_id) against its budget."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.columns import GUEST, ratio, total_if_all_known


def transform(campaigns: DataFrame, fact_customer_orders: DataFrame, order_items: DataFrame) -> DataFrame:
    """Orders are counted orders, money is of all orders neither pending nor cancelled; ratios rounded once."""
    campaign = campaigns.select("campaign_id", "campaign_name", "channel", "start_date", "end_date", "budget")
    brought = fact_customer_orders.where("campaign_id is not null and is_sale").select(
        *("campaign_id", "order_id", "customer_id", "net_amount", "is_first_order", "_is_counted", "_units_sold")
    )
    counted, budget, net_sales = F.col("_is_counted"), F.col("budget"), F.col("net_sales").try_cast("decimal(20,4)")
    known_customer = counted & (F.col("customer_id") != GUEST)
    sums = brought.groupBy("campaign_id").agg(
        F.count(F.when(counted, 1)).alias("orders"),
        F.countDistinct(F.when(known_customer, F.col("customer_id"))).alias("customers"),
        F.count(F.when(F.col("is_first_order"), 1)).alias("new_customers"),
        F.sum("_units_sold").alias("units_sold"),
        F.sum("net_amount").alias("net_sales"),
    )
    zeros = ("orders", "customers", "new_customers", "units_sold", "net_sales")
    return (
        campaign.join(sums, "campaign_id", how="left")
        .join(costs(brought, order_items), "campaign_id", how="left")
        .select(
            *campaign.columns,
            *(F.coalesce(c, F.lit(0)).alias(c) for c in zeros),
            (F.col("net_sales") - F.col("cost_of_goods")).alias("gross_profit"),
        )
        .select(
            "*",
            # Narrowed so that Spark's quotient keeps enough decimals to be rounded once (see columns.ratio).
            ratio(net_sales, F.col("orders").cast("decimal(10,0)")).alias("average_order_value"),
            ratio(net_sales, budget).alias("return_on_ad_spend"),
            ratio(F.col("gross_profit").try_cast("decimal(20,4)") - budget, budget).alias("roi"),
        )
    )


def costs(brought: DataFrame, order_items: DataFrame) -> DataFrame:
    """One row per campaign with a line: cost of its lines, null if any is unknown."""
    lines = order_items.select("order_id", "quantity", "unit_cost")
    return (
        lines.join(brought.select("order_id", "campaign_id"), "order_id", how="inner")
        .groupBy("campaign_id")
        .agg(total_if_all_known(F.col("quantity") * F.col("unit_cost")).alias("cost_of_goods"))
    )

"""One row per campaign: the orders it brought (by orders.campaign_id) against its budget."""

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.columns import GUEST, Rows, ratio


def transform(campaigns: DataFrame, fact_customer_orders: DataFrame) -> DataFrame:
    """Orders are counted orders, money is of all orders neither pending nor cancelled; ratios rounded once."""
    campaign = campaigns.select("campaign_id", "campaign_name", "channel", "start_date", "end_date", "budget")
    brought = fact_customer_orders.where("campaign_id is not null and is_sale").select(
        *("campaign_id", "customer_id", "line_count", "net_amount", "is_first_order"),
        *("_is_counted", "_units_sold", "_cost_of_goods"),
    )
    counted, budget, net_sales = F.col("_is_counted"), F.col("budget"), F.col("net_sales").try_cast("decimal(20,4)")
    known_customer = counted & (F.col("customer_id") != GUEST)
    # Null if any line's cost is unknown, and without a line: an order without one has no cost, and is no unknown one.
    cost, has_lines = F.col("_cost_of_goods"), F.col("line_count") > 0
    cost_of_goods = F.when(F.count(cost) == F.count(F.when(has_lines, 1)), F.sum(cost))
    sums = brought.groupBy("campaign_id").agg(
        F.count(F.when(counted, 1)).alias("orders"),
        F.countDistinct(F.when(known_customer, F.col("customer_id"))).alias("customers"),
        F.count(F.when(F.col("is_first_order"), 1)).alias("new_customers"),
        F.sum("_units_sold").alias("units_sold"),
        F.sum("net_amount").alias("net_sales"),
        cost_of_goods.alias("cost_of_goods"),
    )
    zeros = ("orders", "customers", "new_customers", "units_sold", "net_sales")
    return (
        campaign.join(sums, "campaign_id", how="left")
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


def units(changed_campaigns: DataFrame, changed_fact_customer_orders: DataFrame) -> Sequence[DataFrame]:
    """Campaigns that changed, or that brought or had brought an order which did."""
    brought = changed_fact_customer_orders.where("campaign_id is not null")
    return (changed_campaigns.select("campaign_id").union(brought.select("campaign_id")),)


def within(units: Sequence[DataFrame], campaigns: Rows, fact_customer_orders: Rows) -> tuple[DataFrame, DataFrame]:
    """They, and all orders that they brought."""
    return campaigns.matching(*units), fact_customer_orders.matching(*units)

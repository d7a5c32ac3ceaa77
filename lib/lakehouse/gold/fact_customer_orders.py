"""One row per order, whatever its status: its sums, and its place among the customer's counted orders.

A *counted order* is neither pending nor cancelled and has at least one line of quantity > 0.
"""

from collections.abc import Sequence

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from lakehouse.columns import GUEST, Rows, returned, signed, sold, total_if_all_known, warning

NOT_A_SALE = ("pending", "cancelled")
SUMS = ("line_count", "units", "gross_amount", "returns_amount", "discount_amount", "net_amount", "_units_sold")


def transform(orders: DataFrame, order_items: DataFrame) -> DataFrame:
    """Sums over all valid lines (0 without any); number, first and days only for counted orders of known customers.

    Working columns for the tables built on it: `_is_counted`, `_units_sold`, `_cost_of_goods` (null if any is unknown, and
    without a line).
    """
    order = orders.select("order_id", "customer_id", "campaign_id", "ordered_at", "order_date", "status")
    summed = order.join(line_sums(order_items), "order_id", how="left")
    is_sale = ~F.col("status").isin(*NOT_A_SALE)
    return numbered(
        summed.select(
            *order.columns,
            is_sale.alias("is_sale"),
            *(F.coalesce(c, F.lit(0)).alias(c) for c in SUMS),
            (is_sale & F.coalesce("_has_sold", F.lit(False))).alias("_is_counted"),
            "_cost_of_goods",
            warning("returned_without_return", (F.col("status") == "returned") & ~F.col("_has_returned")),
        )
    )


def units(changed_orders: DataFrame, changed_order_items: DataFrame, orders: Rows) -> Sequence[DataFrame]:
    """Customers whose orders or lines changed, as an order moves the numbers of those after it; of guests the order."""
    ids = ("customer_id", "order_id")
    of_lines = orders.matching(changed_order_items.select("order_id"))
    order, is_known = changed_orders.select(*ids).union(of_lines.select(*ids)), F.col("customer_id") != GUEST
    return order.where(is_known).select("customer_id"), order.where(~is_known).select("order_id")


def within(units: Sequence[DataFrame], orders: Rows, order_items: Rows) -> tuple[DataFrame, DataFrame]:
    """All orders of these customers, and their lines."""
    order = orders.matching(*units)
    return order, order_items.matching(order.select("order_id"))


def line_sums(order_items: DataFrame) -> DataFrame:
    """One row per order with a line: sums of its lines."""
    quantity, gross = F.col("quantity"), F.col("gross_amount")
    return (
        order_items.select("order_id", "quantity", "gross_amount", "discount", "net_amount", "unit_cost")
        .groupBy("order_id")
        .agg(
            F.count(F.lit(1)).alias("line_count"),
            F.sum(quantity).alias("units"),
            F.sum(sold(gross, quantity)).alias("gross_amount"),
            F.sum(returned(gross, quantity)).alias("returns_amount"),
            F.sum(signed(F.col("discount"), quantity)).alias("discount_amount"),
            F.sum("net_amount").alias("net_amount"),
            F.sum(sold(quantity, quantity)).alias("_units_sold"),
            total_if_all_known(quantity * F.col("unit_cost")).alias("_cost_of_goods"),
            F.bool_or(quantity > 0).alias("_has_sold"),
            F.bool_or(quantity < 0).alias("_has_returned"),
        )
    )


def numbered(orders: DataFrame) -> DataFrame:
    """Counts each customer's counted orders by ordered_at, then order_id in byte order."""
    in_life = F.col("_is_counted") & (F.col("customer_id") != GUEST)
    life = Window.partitionBy(F.when(in_life, F.col("customer_id")), F.when(~in_life, F.col("order_id"))).orderBy(
        "ordered_at", "order_id"
    )
    number = F.when(in_life, F.row_number().over(life).cast("bigint"))
    days = F.date_diff("order_date", F.lag("order_date").over(life))
    return orders.select(
        "*",
        number.alias("customer_order_number"),
        (number == 1).alias("is_first_order"),
        F.when(in_life, days).cast("bigint").alias("days_since_previous_order"),
    )

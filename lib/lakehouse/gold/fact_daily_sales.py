"""One row per sales date and product with a line in an order neither pending nor cancelled."""

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.columns import GUEST, Rows, returned, signed, sold, total_if_all_known


def transform(fact_customer_orders: DataFrame, order_items: DataFrame) -> DataFrame:
    """Units and money by order_date and product; customers are distinct, guests not counted."""
    return summed(sold_lines(fact_customer_orders, order_items))


def summed(lines: DataFrame) -> DataFrame:
    """One row per date and product."""
    net = F.col("gross_sales") - F.col("returns_amount") - F.col("discount_amount")
    return (
        per_order(lines)
        .groupBy("sales_date", "product_id")
        .agg(
            F.count(F.when(F.col("has_sold"), 1)).alias("order_count"),
            F.countDistinct(F.when(F.col("has_sold") & (F.col("customer_id") != GUEST), F.col("customer_id"))).alias(
                "customer_count"
            ),
            *(F.sum(c).alias(c) for c in ("units_sold", "units_returned", "gross_sales", "returns_amount")),
            F.sum("discount_amount").alias("discount_amount"),
            total_if_all_known(F.col("cost_of_goods")).alias("cost_of_goods"),
        )
        .select("*", net.alias("net_sales"), (net - F.col("cost_of_goods")).alias("gross_profit"))
    )


def units(
    changed_fact_customer_orders: DataFrame, changed_order_items: DataFrame, orders: Rows, order_items: Rows
) -> Sequence[DataFrame]:
    """Each date with each product that an order had or has which changed, or a line of which did."""
    order, line = changed_fact_customer_orders, changed_order_items
    of_lines = orders.matching(line.select("order_id"))
    of_orders = order_items.matching(order.select("order_id"), line.select("order_id"))
    dates, products = (("order_id", F.col("order_date").alias("sales_date")), ("order_id", "product_id"))
    dated = order.select(*dates).union(of_lines.select(*dates)).distinct()
    named = line.select(*products).union(of_orders.select(*products)).distinct()
    return (dated.join(named, "order_id", how="inner").select("sales_date", "product_id"),)


def within(units: Sequence[DataFrame], fact_customer_orders: Rows, order_items: Rows) -> tuple[DataFrame, DataFrame]:
    """Orders of these dates, and lines of these products."""
    (unit,) = units
    dates = unit.select(F.col("sales_date").alias("order_date")).distinct()
    return fact_customer_orders.matching(dates), order_items.matching(unit.select("product_id").distinct())


def of_units(units: Sequence[DataFrame], fact_customer_orders: DataFrame, order_items: DataFrame) -> DataFrame:
    """Their rows: lines of other dates and products, which most of an order's are, are left out before they are summed."""
    (unit,) = units
    lines = sold_lines(fact_customer_orders, order_items)
    return summed(lines.join(F.broadcast(unit), ["sales_date", "product_id"], how="left_semi"))


def sold_lines(fact_customer_orders: DataFrame, order_items: DataFrame) -> DataFrame:
    """Lines of orders neither pending nor cancelled, each with its order's date and customer."""
    sales = fact_customer_orders.where("is_sale").select(
        "order_id", "customer_id", F.col("order_date").alias("sales_date")
    )
    lines = order_items.select("order_id", "product_id", "quantity", "gross_amount", "discount", "unit_cost")
    return lines.join(sales, "order_id", how="inner")


def per_order(lines: DataFrame) -> DataFrame:
    """One row per order and product: so that orders are counted once and only customers need a distinct."""
    quantity, gross = F.col("quantity"), F.col("gross_amount")
    units = quantity.cast("bigint")  # minus the least integer is no integer
    return lines.groupBy("sales_date", "product_id", "order_id", "customer_id").agg(
        F.bool_or(quantity > 0).alias("has_sold"),
        F.sum(sold(units, quantity)).alias("units_sold"),
        F.sum(returned(units, quantity)).alias("units_returned"),
        F.sum(sold(gross, quantity)).alias("gross_sales"),
        F.sum(returned(gross, quantity)).alias("returns_amount"),
        F.sum(signed(F.col("discount"), quantity)).alias("discount_amount"),
        total_if_all_known(quantity * F.col("unit_cost")).alias("cost_of_goods"),
    )

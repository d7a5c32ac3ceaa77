"""One row per product and warehouse: stock on hand against the sales of the last 30 days."""

import datetime
from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.columns import Rows, ratio

DAYS = 30
OVERSTOCK_DAYS = 180


def transform(
    inventory: DataFrame, products: DataFrame, fact_daily_sales: DataFrame, business_date: datetime.date
) -> DataFrame:
    """As of business_date. Units sold are net of returns over the 30 days that end with it, not below 0."""
    as_of, units = F.lit(business_date), F.col("units_sold_30d")
    sold = (
        fact_daily_sales.where(F.col("sales_date").between(F.date_sub(as_of, DAYS - 1), as_of))
        .groupBy("product_id")
        .agg(F.greatest(F.sum(F.col("units_sold") - F.col("units_returned")), F.lit(0)).alias("units_sold_30d"))
    )
    stock = inventory.select(
        *("product_id", "warehouse_id", "quantity_on_hand", "quantity_reserved", "available", "reorder_point")
    )
    available = F.col("available").cast("decimal(12,0)")
    return (
        stock.join(sold, "product_id", how="left")
        .join(products.select("product_id", "cost"), "product_id", how="left")
        .select(*stock.columns, "cost", F.coalesce("units_sold_30d", F.lit(0)).alias("units_sold_30d"))
        .select(
            as_of.alias("as_of_date"),
            *stock.columns,
            "units_sold_30d",
            ratio(units.cast("decimal(19,0)"), F.lit(DAYS)).alias("average_daily_units"),
            # available / (units / 30), as one division so that it is rounded once.
            ratio(available * DAYS, units.cast("decimal(19,0)")).alias("days_of_supply"),
            stock_status(F.col("available"), F.col("reorder_point"), units).alias("stock_status"),
            (F.col("quantity_on_hand") * F.col("cost")).alias("stock_value"),
        )
    )


def units(changed_inventory: DataFrame, inventory: Rows) -> Sequence[DataFrame]:
    """Every row of stock there is, as each is of another date; and those that are gone."""
    key = ("product_id", "warehouse_id")
    return (changed_inventory.select(*key).union(inventory.all().select(*key)),)


def within(
    units: Sequence[DataFrame], inventory: Rows, products: Rows, fact_daily_sales: Rows, business_date: datetime.date
) -> tuple[DataFrame, DataFrame, DataFrame, datetime.date]:
    """All stock, and the sales of its 30 days."""
    (unit,) = units
    last = F.lit(business_date)
    # Aggregating nothing gives one row, without asking for a session.
    days = (
        unit.limit(0)
        .agg(F.count(F.lit(1)))
        .select(F.explode(F.sequence(F.date_sub(last, DAYS - 1), last)).alias("sales_date"))
    )
    return inventory.all(), products.all(), fact_daily_sales.matching(days), business_date


def stock_status(available: Column, reorder_point: Column, units: Column) -> Column:
    """out_of_stock, low, overstock (over 180 days of supply, unrounded, compared in whole units) or healthy."""
    overstock = (units > 0) & (available * DAYS > units * OVERSTOCK_DAYS)
    return (
        F.when(available.isNull(), None)
        .when(available <= 0, "out_of_stock")
        .when(available <= reorder_point, "low")
        .when(overstock, "overstock")
        .otherwise("healthy")
    )

"""Gold's products: one row per product, with the dates between which it was sold."""

from __future__ import annotations

import pytest
from pyspark.sql import DataFrame, SparkSession

from tests.tables import expect, gold, lines, table

pytestmark = pytest.mark.unit


def built(products: DataFrame, orders: DataFrame, order_items: DataFrame) -> DataFrame:
    return gold("dim_products", {"products": products, "orders": orders, "order_items": order_items})


def test_a_product_is_handed_on_with_its_words(spark: SparkSession) -> None:
    header = "product_id product_name category brand price cost profit_margin is_active"
    rows = (
        ("85123A", "white heart", "Home Decor", "O'neill", "2.55", "1.00", "0.6078", True),
        ("85123B", None, "Uncategorised", None, None, None, None, None),
    )
    expect(
        built(
            table(spark, "silver.products", header, *rows), table(spark, "silver.orders", ""), lines(spark, "order_id")
        ),
        f"{header} first_sold_date last_sold_date",
        *((*row, None, None) for row in rows),
    )


def test_a_product_was_sold_between_its_first_and_its_last_order(spark: SparkSession) -> None:
    products = table(spark, "silver.products", "product_id", ("mug",), ("cup",), ("jug",), ("pot",))
    orders = table(
        spark,
        "silver.orders",
        "order_id status order_date",
        ("A0", "cancelled", "2011-11-01"),
        ("A1", "returned", "2011-12-01"),
        ("A2", "paid", "2011-12-05"),
        ("A3", "shipped", "2011-12-09"),
        ("A4", "delivered", "2011-12-24"),
        ("A5", "pending", "2011-12-31"),
    )
    order_items = lines(
        spark,
        "order_id product_id quantity",
        ("A0", "mug", 1),
        ("A1", "mug", -1),
        ("A2", "mug", 1),
        ("A2", "mug", -1),
        ("A3", "mug", 1),
        ("A4", "mug", -1),
        ("A5", "mug", 1),
        ("A3", "cup", 1),
        ("A3", "jug", -1),
        ("A0", "pot", 1),
    )
    expect(
        built(products, orders, order_items),
        "product_id first_sold_date last_sold_date",
        ("mug", "2011-12-05", "2011-12-09"),
        ("cup", "2011-12-09", "2011-12-09"),
        ("jug", None, None),
        ("pot", None, None),
    )

"""Which column is made of which: read from plans, kept in a file, and held against twenty that were written by hand."""

from __future__ import annotations

import json

import pytest
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from lakehouse.catalogue.lineage import columns_upstream
from lakehouse.contracts import load_contracts
from tools.lineage.__main__ import TARGET, lineage, text
from tools.lineage.plans import origins

pytestmark = pytest.mark.unit

# Written from tables.md's words and the transforms, not from what the tool says.
BY_HAND = {
    "bronze.orders.status": {"source.orders.status"},
    "quarantine.customers.email": {"bronze.customers.email"},
    "silver.orders.order_id": {"bronze.orders.order_id"},
    "silver.orders.order_date": {"bronze.orders.ordered_at"},
    "silver.orders.status": {"bronze.orders.status"},
    "silver.customers.full_name": {"bronze.customers.first_name", "bronze.customers.last_name"},
    "silver.order_items.gross_amount": {"bronze.order_items.quantity", "bronze.order_items.unit_price"},
    "silver.order_items.net_amount": {
        "bronze.order_items.quantity",
        "bronze.order_items.unit_price",
        "bronze.order_items.discount",
    },
    "silver.order_items.discount": {"bronze.order_items.discount"},
    "gold.fact_customer_orders.is_sale": {"silver.orders.status"},
    "gold.fact_customer_orders.line_count": set(),
    "gold.fact_customer_orders.units": {"silver.order_items.quantity"},
    "gold.fact_customer_orders.order_date": {"silver.orders.order_date"},
    "gold.fact_daily_sales.product_id": {"silver.order_items.product_id"},
    "gold.fact_daily_sales.sales_date": {"gold.fact_customer_orders.order_date"},
    "gold.dim_customers.email": {"silver.customers.email"},
    "gold.dim_customers.registered_date": {"silver.customers.created_at"},
    "gold.dim_products.product_name": {"silver.products.product_name"},
    "gold.agg_campaign_performance.budget": {"silver.campaigns.budget"},
    "gold.agg_inventory_status.as_of_date": set(),
}


@pytest.fixture(scope="module")
def made(spark: SparkSession) -> dict[str, dict[str, list[str]]]:
    return lineage(spark, load_contracts())


def test_the_file_says_what_the_transforms_do(made: dict[str, dict[str, list[str]]]) -> None:
    assert TARGET.read_text(encoding="utf-8") == text(made), "write it again: make lineage"


def test_the_tool_agrees_with_a_list_written_by_hand() -> None:
    known = columns_upstream(load_contracts())
    assert {column: set(known[column]) for column in BY_HAND} == BY_HAND


def test_every_column_of_every_table_is_there_and_made_of_columns_that_are(
    made: dict[str, dict[str, list[str]]],
) -> None:
    contracts, known = load_contracts(), columns_upstream(load_contracts())
    for layer in ("bronze", "silver", "gold"):
        for name, contract in contracts[layer].items():
            assert {f"{layer}.{name}.{c}" for c in contract.names} <= set(known)
    below = {origin for of in known.values() for origin in of if not origin.startswith("source.")}
    assert below <= set(known)
    assert json.loads(TARGET.read_text()) == made


def frame(spark: SparkSession, name: str, columns: str) -> DataFrame:
    return spark.createDataFrame([], columns).alias(name)


def test_an_expression_is_made_of_the_columns_that_it_names(spark: SparkSession) -> None:
    a = frame(spark, "s.a", "x int, y int, z int")
    made = a.select("x", (F.col("x") + F.col("y")).alias("sum"), F.lit(1).alias("one")).withColumn(
        "twice", F.col("sum") * 2
    )
    assert origins(made) == {"x": ["s.a.x"], "sum": ["s.a.x", "s.a.y"], "one": [], "twice": ["s.a.x", "s.a.y"]}


def test_a_key_of_a_join_a_filter_and_a_group_is_no_origin_of_other_columns(spark: SparkSession) -> None:
    a, b = frame(spark, "s.a", "id int, x int"), frame(spark, "s.b", "id int, y int, z int")
    made = (
        a.join(b, "id", how="left")
        .where("z > 0")
        .groupBy("id")
        .agg(F.sum("y").alias("y"), F.count(F.lit(1)).alias("n"))
    )
    assert origins(made) == {"id": ["s.a.id"], "y": ["s.b.y"], "n": []}
    assert origins(a.join(b, "id", how="left_semi")) == {"id": ["s.a.id"], "x": ["s.a.x"]}


def test_a_window_is_made_of_what_it_adds_up_and_of_its_order(spark: SparkSession) -> None:
    a = frame(spark, "s.a", "id int, x int, at date")
    window = Window.partitionBy("id").orderBy("at")
    assert origins(a.select("id", F.sum("x").over(window).alias("running")))["running"] == ["s.a.at", "s.a.id", "s.a.x"]


def test_a_union_is_made_of_both(spark: SparkSession) -> None:
    a, b = frame(spark, "s.a", "x int"), frame(spark, "s.b", "x int")
    assert origins(a.unionByName(b)) == {"x": ["s.a.x", "s.b.x"]}
    assert origins(a.unionByName(frame(spark, "s.c", "w int"), allowMissingColumns=True))["x"] == ["s.a.x"]


def test_a_table_that_is_joined_to_itself_is_still_itself(spark: SparkSession) -> None:
    a = frame(spark, "s.a", "id int, parent int, x int")
    other = a.select(F.col("id").alias("parent"), F.col("x").alias("above"))
    assert origins(a.join(other, "parent", how="left").select("x", "above")) == {"x": ["s.a.x"], "above": ["s.a.x"]}


def test_a_name_that_tells_two_frames_apart_is_no_table(spark: SparkSession) -> None:
    a, b = frame(spark, "s.a", "id int, x int"), frame(spark, "s.b", "id int, x int")
    one, other = a.alias("one"), b.withColumn("y", F.col("x") + 1).alias("other")
    made = one.join(other, F.col("one.id") == F.col("other.id")).select("one.id", "one.x", "other.y")
    assert origins(made) == {"id": ["s.a.id"], "x": ["s.a.x"], "y": ["s.b.x"]}


def test_a_column_that_is_generated_is_made_of_what_its_generator_names(spark: SparkSession) -> None:
    a = frame(spark, "s.a", "id int, xs array<int>, n int")
    made = a.select("id", F.explode("xs").alias("x")).withColumn("y", F.col("x") + 1)
    assert origins(made) == {"id": ["s.a.id"], "x": ["s.a.xs"], "y": ["s.a.xs"]}
    assert origins(a.select(F.posexplode(F.sequence(F.lit(0), "n")).alias("place", "m")).alias("t")) == {
        "place": ["s.a.n"],
        "m": ["s.a.n"],
    }


def test_a_key_of_a_roll_up_is_made_of_its_column(spark: SparkSession) -> None:
    a = frame(spark, "s.a", "country string, city string, x int")
    made = a.rollup("country", "city").agg(F.sum("x").alias("x"))
    assert origins(made) == {"country": ["s.a.country"], "city": ["s.a.city"], "x": ["s.a.x"]}


def test_a_frame_without_a_name_is_an_error(spark: SparkSession) -> None:
    with pytest.raises(ValueError, match="x is made of a column of a frame that has no name"):
        origins(spark.createDataFrame([], "x int").select(F.col("x") + 1).toDF("x"))

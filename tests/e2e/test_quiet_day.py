"""What a day asks of Spark: next to nothing where nothing changed, and never more than a hundred queries.

A day without a change is a day like any other to everybody who looks.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from benchmarks.ours.executions import executions
from tests.e2e.small_shop import SmallShop, day

pytestmark = pytest.mark.e2e
STOCK = """
insert into inventory (product_id, warehouse_id, quantity_on_hand, quantity_reserved, reorder_point, created_at, updated_at)
    values ('P1', 'W', 9, 1, 2, '2020-01-01', '2020-01-01')
"""


@pytest.fixture(scope="module")
def shop(postgres: Any, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallShop]:
    """A shop that has lived for three days."""
    made = SmallShop(postgres, "quiet", tmp_path_factory.mktemp("quiet"))
    made.write(made.source, STOCK)
    made.live(1, 2, 3)
    yield made
    made.close()


def test_a_day_without_a_change_asks_spark_little_and_leaves_everything_as_it_is(
    shop: SmallShop, spark: SparkSession
) -> None:
    before, sums, waiting = shop.lake_hashes(), shop.sums(), shop.lakehouse.ledger.quarantined()
    assert waiting, "rows wait in quarantine, and nothing that they wait for comes"
    asked = executions(spark, lambda: shop.run(4))
    assert shop.lake_hashes() == before
    assert (shop.sums(), shop.lakehouse.ledger.quarantined()) == (sums, waiting)
    assert shop.ask("select product_id, as_of_date::text from gold.agg_inventory_status") == [("P1", "2020-01-04")]
    assert shop.ask("select max(business_date)::text from ops.runs where layer = 'gold' and state = 'published'") == [
        (day(4).isoformat(),)
    ]
    assert shop.ask("select distinct business_date::text from ops.published where layer = 'gold'") == [
        (day(4).isoformat(),)
    ]
    assert asked <= 15


@pytest.mark.slow
def test_the_day_after_it_is_as_if_it_had_not_been(shop: SmallShop, postgres: Any, tmp_path: Path) -> None:
    shop.live(5)
    other = SmallShop(postgres, "restless", tmp_path)
    other.write(other.source, STOCK)
    other.live(1, 2, 3, 5)
    assert other.hashes() == shop.hashes()
    other.close()


def test_gold_computes_only_what_a_change_reaches(shop: SmallShop, spark: SparkSession) -> None:
    shop.write(shop.source, f"update products set category = 'Cakes', updated_at = '{day(6)}' where product_id = 'P2'")
    shop.run(6)
    assert shop.ask(
        "select table_name, rows_read > 0 from ops.run_tables join ops.runs using (run_id) "
        f"where runs.layer = 'gold' and business_date = '{day(6)}' order by 1"
    ) == [("agg_campaign_performance", False), ("agg_inventory_status", True), ("dim_customers", False),
          ("dim_products", True), ("fact_customer_orders", False), ("fact_daily_sales", False)]  # fmt: skip
    assert shop.ask("select category from gold.dim_products where product_id = 'P2'") == [("Cakes",)]


def test_a_day_with_changes_of_every_kind_asks_spark_a_hundred_queries_at_most(
    shop: SmallShop, spark: SparkSession
) -> None:
    shop.write(shop.source, "delete from order_items where order_id = 'O1'; delete from orders where order_id = 'O1'")
    assert executions(spark, lambda: shop.live(7)) <= 100
    assert shop.ask("select count(*) from gold.fact_customer_orders where order_id in ('O1', 'O7')") == [(1,)]

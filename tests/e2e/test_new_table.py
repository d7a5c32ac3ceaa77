"""A table whose contract is deployed between bronze and silver does not cost the night what was brought before it."""

from __future__ import annotations

from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from lakehouse.business_date import BusinessDate
from lakehouse.contracts import Contracts
from lakehouse.runs import day as days
from tests.e2e.lakehouse import RealPipeline

pytestmark = pytest.mark.e2e
SCHEMA = (Path(__file__).parent.parent.parent / "samples" / "schema.sql").read_text()
SHOP = """
insert into products (product_id, product_name, price, cost, is_active, created_at, updated_at)
    values ('p', 'Tea', 4, 1, true, '2020-01-01', '2020-01-01');
insert into customers (customer_id, created_at, updated_at) values ('c', '2020-01-01', '2020-01-01');
insert into orders (order_id, customer_id, status, ordered_at, created_at, updated_at)
    values ('o', 'c', 'completed', '2020-01-01', '2020-01-01', '2020-01-01');
insert into order_items (order_item_id, order_id, product_id, quantity, unit_price, unit_cost, created_at, updated_at)
    values ('i', 'o', 'p', 1, 4, 1, '2020-01-01', '2020-01-01');
"""


def test_what_bronze_has_brought_is_judged_and_the_new_table_comes_when_bronze_brings_it(
    postgres: Any, tmp_path: Path
) -> None:
    source = postgres.create_database("new_table_source")
    with closing(psycopg2.connect(source)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("set timezone = 'UTC'")
        cursor.execute(SCHEMA)
        cursor.execute(SHOP)
    pipeline = RealPipeline(source, postgres.create_database("new_table_gold"), tmp_path)
    house, day = pipeline.lakehouse, BusinessDate(date(2020, 1, 2), pipeline.lakehouse.settings.zone)
    house.spark.conf.set("spark.sql.session.timeZone", "UTC")
    deployed, _ = house.contracts, house.suites
    # Lines refer to products, whose contract is not there yet.
    house.contracts = Contracts([c for layer in deployed for c in deployed[layer].values() if c.table != "products"])
    days.run(house, "bronze", day)

    house.contracts = deployed
    assert days.run(house, "silver", day)[0].state == "published"
    assert sorted(house.ledger.published("silver")) == sorted(deployed["silver"].keys() - {"products"})
    assert [r["order_id"] for r in pipeline.silver("orders")] == ["O"]
    assert [reasons for _, reasons in pipeline.quarantine("order_items")] == [["product_missing"]]

    brought = days.run(house, "bronze", day)[0]
    assert [t.table for t in brought.tables] == ["products"]
    days.run(house, "silver", day)
    assert [r["order_item_id"] for r in pipeline.silver("order_items")] == ["I"]
    assert list(pipeline.quarantine("order_items")) == []

"""Rows of gold that a run looks up by keys: those that stand, those in the scope that it computes, and nothing else."""

from __future__ import annotations

import pytest
from pyspark.sql import DataFrame, SparkSession

from lakehouse.errors import StoreError
from lakehouse.units.rows import GoldRows, Keys, standing
from lakehouse.warehouse.staging import Staging
from tests.tables import table
from tests.warehouse.conftest import CONTRACTS, Store
from tests.warehouse.test_differences import COLUMNS, EDGES, S, T

pytestmark = pytest.mark.integration
STREETS = CONTRACTS["agg_streets"]


@pytest.fixture
def staging(store: Store, spark: SparkSession) -> Staging:
    """A run's staging, in whose gold two streets stand and the ones at the edges of each type."""
    store.published({"dim_lands": [("L", 7)], "dim_cities": [("C", "L")]})
    first = store.stage({"dim_lands": [("L", 7)], "dim_cities": [("C", "L")]})
    first.load(streets(spark, S, T, *EDGES), STREETS)
    first.verify(STREETS, {"rows": 6})
    store.publish(first)
    return store.gold.staging("r2")


def streets(spark: SparkSession, *rows: tuple[object, ...]) -> DataFrame:
    return table(spark, STREETS, COLUMNS, *rows)


def keys(spark: SparkSession, column: str, *values: str) -> DataFrame:
    rows = streets(spark, *((v, v, "0.00", None, v if column == "opened" else None) for v in values))
    return rows.select(column)


def names(frame: DataFrame) -> list[str]:
    return sorted(r["street"] for r in frame.select("street").collect())


def test_every_value_that_stands_is_read_as_it_was_computed(spark: SparkSession, staging: Staging) -> None:
    found, computed = standing(spark, staging, STREETS, None), streets(spark, S, T, *EDGES)
    assert found.schema.simpleString() == computed.schema.simpleString()
    assert found.exceptAll(computed).collect() == computed.exceptAll(found).collect() == []


def test_rows_are_found_by_one_key_or_any_of_several(spark: SparkSession, staging: Staging) -> None:
    rows = GoldRows(spark, staging, STREETS)
    assert names(rows.matching(keys(spark, "opened", "2024-10-04", "9999-12-31", "2000-01-01"))) == ["greatest", "t"]
    assert names(rows.matching(keys(spark, "street", "least"), keys(spark, "city", "C"))) == ["least", "s"]
    assert names(rows.matching(keys(spark, "street"))) == []
    assert len(names(rows.all())) == 6


def test_in_a_scope_what_was_computed_takes_the_place_of_what_stands(spark: SparkSession, staging: Staging) -> None:
    units = keys(spark, "street", "s", "new", "small")
    scope = [Keys(staging.load_keys(units, STREETS), units.columns)]
    other, new = ("s", "D", "9.00", None, None), ("new", "C", "1.00", None, None)
    rows = GoldRows(spark, staging, STREETS, scope, streets(spark, other, new))
    assert names(rows.matching(keys(spark, "city", "C"))) == ["new"]
    assert names(rows.matching(keys(spark, "city", "D"))) == ["s"]
    assert names(rows.all()) == ["greatest", "least", "new", "none", "s", "t"]


def test_keys_go_with_the_run_that_loaded_them(spark: SparkSession, staging: Staging, store: Store) -> None:
    staging.load_keys(keys(spark, "street", "s"), STREETS)
    assert any("keys" in t for t in store.staged())
    staging.drop()
    assert not any("keys" in t for t in store.staged())


def test_a_server_that_refuses_is_named(spark: SparkSession, staging: Staging, store: Store) -> None:
    store.ask("alter table gold.agg_streets rename column length to len")
    with pytest.raises(StoreError, match=r"while gold\.agg_streets was read, and nothing was published"):
        standing(spark, staging, STREETS, None)

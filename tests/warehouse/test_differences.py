"""What a computed table would change of gold: rows given, those that stand, and what is staged of them."""

from __future__ import annotations

import pytest
from pyspark.sql import Row, SparkSession

from lakehouse.errors import StoreError
from lakehouse.records import Changes
from tests.tables import table
from tests.warehouse.conftest import CONTRACTS, ROWS, Store
from tests.warehouse.test_staging import HOSTILE

pytestmark = pytest.mark.integration
STREETS = CONTRACTS["agg_streets"]
COLUMNS = "street city length opened_at opened"
S = ("s", "C", "1.50", "1970-01-01 00:00:01.000001", "1969-12-31")
T = ("t", None, "2.00", None, "2024-10-04")
# The greatest and the least that a column holds, nothing at all, and zero.
EDGES = [
    ("least", None, "-9999999.99", "0001-01-01 00:00:00", "0001-01-01"),
    ("greatest", None, "9999999.99", "9999-12-31 23:59:59.999999", "9999-12-31"),
    ("none", None, "0.00", "1970-01-01 00:00:00.000001", "1969-12-31"),
    ("small", None, "-0.01", "1969-12-31 23:59:59.999999", None),
]


@pytest.fixture
def streets(store: Store) -> Store:
    """A store in which two streets stand."""
    store.published(ROWS)
    return store


def differing(store: Store, spark: SparkSession, *rows: tuple[object, ...]) -> list[tuple[object, ...]]:
    """Street, length and `_is_gone` of what is staged of a table that was computed to have these rows."""
    found = store.gold.differing(table(spark, STREETS, COLUMNS, *rows), STREETS)
    assert found.columns == [*STREETS.names, "_is_gone"]
    return sorted((r["street"], r["length"] and str(r["length"]), r["_is_gone"]) for r in found.collect())


def published(store: Store, spark: SparkSession, *rows: tuple[object, ...]) -> Changes:
    """Stages the differences of one table and publishes it with the others as they stand."""
    staging = store.stage(ROWS, "r2")
    found = store.gold.differing(table(spark, STREETS, COLUMNS, *rows), STREETS)
    staging.load_differences(found, STREETS)
    staging.verify(STREETS, {"rows": found.count()})
    return store.publish(staging)["agg_streets"]


def test_rows_that_stand_are_not_staged(streets: Store, spark: SparkSession) -> None:
    assert differing(streets, spark, S, T) == []


def test_rows_that_are_new_other_or_gone_are_staged(streets: Store, spark: SparkSession) -> None:
    other = ("s", "C", "1.51", "1970-01-01 00:00:01.000001", "1969-12-31")
    new = ("u", None, "3.00", None, None)
    assert differing(streets, spark, other, new) == [("s", "1.51", False), ("t", None, True), ("u", "3.00", False)]


@pytest.mark.parametrize(
    "change",
    ["city = null", "length = 1.51", "opened_at = opened_at + interval '1 microsecond'", "opened_at = null", "opened = opened + 1"],
)  # fmt: skip
def test_a_row_that_somebody_else_changed_is_staged(streets: Store, spark: SparkSession, change: str) -> None:
    streets.ask(f"update gold.agg_streets set {change} where street = 's'")
    assert differing(streets, spark, S, T) == [("s", "1.50", False)]
    assert published(streets, spark, S, T) == Changes(0, 1, 0)
    assert differing(streets, spark, S, T) == []


def test_a_value_that_moves_to_the_next_column_is_seen(store: Store, spark: SparkSession) -> None:
    store.published({"dim_lands": [("x", None)], "dim_cities": [("y", "x")]})
    cities = CONTRACTS["dim_cities"]
    found = store.gold.differing(table(spark, cities, "city land", ("y", None), ("x", "y")), cities)
    assert sorted(r["city"] for r in found.collect()) == ["x", "y"]


def test_every_text_number_and_instant_that_stands_is_recognised(store: Store, spark: SparkSession) -> None:
    texts = [(f"{n:02}{text}", None, "1.50", None, None) for n, text in enumerate(HOSTILE)]
    rows = [*texts, *EDGES]
    staging = store.stage({})
    staging.load(table(spark, STREETS, COLUMNS, *rows), STREETS)
    staging.verify(STREETS, {"rows": len(rows)})
    store.publish(staging)
    assert differing(store, spark, *rows) == []


def test_only_what_differs_changes_and_rows_leave_by_their_key(streets: Store, spark: SparkSession) -> None:
    assert published(streets, spark, ("t", None, "2.50", None, "2024-10-04"), S) == Changes(0, 1, 0)
    streets.ask("delete from gold.agg_pairs")
    staging = streets.stage({t: r for t, r in ROWS.items() if t != "agg_pairs"}, "r3")
    staging.load_differences(streets.gold.differing(table(spark, STREETS, COLUMNS, S), STREETS), STREETS)
    staging.verify(STREETS, {"rows": 1})
    assert streets.publish(staging)["agg_streets"] == Changes(0, 0, 1)
    assert streets.ask("select street, _run_id from gold.agg_streets") == [("s", "r1")]


def test_tables_of_many_rows_are_compared_and_small_ones_staged_whole(store: Store) -> None:
    assert store.gold.compares({"agg_streets": 199_999, "agg_pairs": 200_000}) == {"agg_pairs"}


def test_a_server_that_refuses_is_named(streets: Store, spark: SparkSession) -> None:
    streets.ask("alter table gold.agg_streets rename column length to len")
    with pytest.raises(StoreError, match=r"while gold\.agg_streets was read, and nothing was published"):
        differing(streets, spark, S)


def test_columns_are_of_the_staged_form(streets: Store, spark: SparkSession) -> None:
    found = streets.gold.differing(table(spark, STREETS, COLUMNS, ("n", None, "1.00", "1970-01-01 00:00:02", "1970-01-03")), STREETS)  # fmt: skip
    (new,) = (r for r in found.collect() if not r["_is_gone"])
    assert isinstance(new, Row)
    assert (new["opened_at"], new["opened"]) == (2_000_000, 2)

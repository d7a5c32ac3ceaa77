"""Staging through Spark's JDBC: what arrives, by a role with limits, and what is said when Postgres refuses it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pyspark.sql import SparkSession

from lakehouse.errors import StoreError
from lakehouse.records import Changes
from tests.tables import table
from tests.warehouse.conftest import CONTRACTS, Store

pytestmark = pytest.mark.integration
STREETS = CONTRACTS["agg_streets"]
SECRET = "s3cret-word"


@pytest.fixture
def limited(store_of: Callable[..., Store]) -> Store:
    """The store of a role whose sessions may only read by themselves, and only for a moment."""
    dba = store_of()
    dba.ask("drop role if exists limited_night", "create role limited_night login password 'p@ w'", "grant create on database "
            f"{dba.database.name} to limited_night; grant usage, create on schema ops to limited_night",
            *(f"alter role limited_night set {name} = '{value}'" for name, value in {
                "default_transaction_read_only": "on", "statement_timeout": "2s"}.items()))  # fmt: skip
    store = store_of(CONTRACTS, f"postgresql://limited_night:p%40%20w@{dba.dsn.rpartition('@')[2]}")
    store.gold.prepare()
    return store


def test_a_frame_is_staged_whole_and_published_by_a_role_with_limits(limited: Store, spark: SparkSession) -> None:
    staging = limited.stage({})
    frame = table(spark, STREETS, "street length opened_at opened", ("s", "1.50", "2011-12-09 12:50", "1899-12-31"))
    staging.load(frame, STREETS)
    staging.verify(STREETS, {"rows": 1})
    assert limited.publish(staging)["agg_streets"] == Changes(1, 0, 0)
    with limited.database.connection() as connection, connection.cursor() as cursor:
        cursor.execute(
            "select street, length::text, (opened_at at time zone 'UTC')::text, opened::text from gold.agg_streets"
        )
        assert cursor.fetchall() == [("s", "1.50", "2011-12-09 12:50:00", "1899-12-31")]


def test_what_postgres_refuses_of_a_staging_is_one_sentence_with_the_table_and_no_value(
    store: Store, spark: SparkSession
) -> None:
    frame = table(spark, STREETS, "street length", (f"{SECRET}\0", "1.50"))
    with pytest.raises(
        StoreError,
        match=r"^the gold database at .* while gold\.agg_streets was staged, and nothing was published \(\S+ 22021\);",
    ) as refused:
        store.gold.staging("r1").load(frame, STREETS)
    assert SECRET not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_server_that_does_not_take_the_staging_over_jdbc_is_named(
    store: Store, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = store.database.jdbc()
    monkeypatch.setattr(store.database, "jdbc", lambda **_: {**address, "password": "wrong"})
    with pytest.raises(
        StoreError, match=r"does not let us in while gold\.agg_streets was staged.* 28P01\); check user"
    ):
        store.gold.staging("r1").load(table(spark, STREETS, "street length", ("s", "1")), STREETS)

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
# What a statement, a line or a text form of Postgres could take for something else.
HOSTILE = [
    "", " ", "\\N", "\\", "\\.", "\\\\", "\t", "\n", "\r", "\r\n", "a\tb\nc\rd\\", "\\t", "\b\f\v", '"', "'", ",", ";", "NULL", "null",
    "É", "E\u0301", "\U0001f9e6", "\u2028", "\u0085", "\x1a", "\x1f", "\x04", "\ufeff", " x ",
]  # fmt: skip


@pytest.fixture
def limited(store_of: Callable[..., Store]) -> Store:
    """The store of a role whose sessions may only read by themselves, and only for a moment."""
    dba = store_of()
    role = f"limited_{dba.database.name}"
    dba.ask(f"create role {role} login password 'p@ w'", "grant create on database "
            f"{dba.database.name} to {role}; grant usage, create on schema ops to {role}",
            *(f"alter role {role} set {name} = '{value}'" for name, value in {
                "default_transaction_read_only": "on", "statement_timeout": "2s"}.items()))  # fmt: skip
    store = store_of(CONTRACTS, f"postgresql://{role}:p%40%20w@{dba.dsn.rpartition('@')[2]}")
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


def test_every_text_number_and_instant_arrives_as_it_is(store: Store, spark: SparkSession) -> None:
    rows = [(f"{n:02}{text}", text, "1.50", None, None) for n, text in enumerate(HOSTILE)]
    rows += [
        ("least", None, "-9999999.99", "0001-01-01 00:00:00", "0001-01-01"),
        ("greatest", None, "9999999.99", "9999-12-31 23:59:59.999999", "9999-12-31"),
        ("none", None, "0.00", "1970-01-01 00:00:00.000001", "1969-12-31"),
    ]
    staging = store.gold.staging("r1")
    staging.load(table(spark, STREETS, "street city length opened_at opened", *rows), STREETS)
    arrived = store.ask(
        f"select street, city, length::text, opened_at, opened from {staging.table(STREETS)} order by 1"
    )
    numbers = {"least": (-62_135_596_800_000_000, -719_162), "none": (1, -1),
               "greatest": (253_402_300_799_999_999, 2_932_896)}  # fmt: skip
    expected = [(r[0], r[1], r[2], *numbers.get(str(r[0]), (None, None))) for r in rows]
    assert sorted(arrived, key=str) == sorted(expected, key=str)


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

"""The list of those who stay out, as the ledger keeps it, and what it makes of rows on their way into the lake."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from pyspark.sql import SparkSession

from lakehouse.contracts import load_contracts
from lakehouse.database import Database
from lakehouse.errors import LedgerError, StoreError
from lakehouse.frame.door import Door, digested, reaches
from lakehouse.ledger import Ledger
from lakehouse.ledger.past import KeptOut

KEY = bytes(range(32))


@pytest.fixture
def ledger(postgres: Any) -> Iterator[Ledger]:
    database = Database(postgres.create_database("forgotten"), "gold", StoreError)
    ledger = Ledger(database)
    ledger.prepare("UTC")
    yield ledger
    database.close()


def digest(identifier: str, key: bytes = KEY) -> str:
    return hmac.digest(key, identifier.encode(), "sha256").hex()


@pytest.mark.integration
def test_the_list_begins_empty_with_a_key_of_its_own_and_is_complete_only_when_it_was_carried_out(
    ledger: Ledger,
) -> None:
    before = ledger.kept_out()
    assert len(before.key) == 32
    assert before.digests == before.pending == frozenset()
    with ledger.alone("bronze") as lease, lease.transaction() as cursor:
        ledger.keep_out(cursor, ["aa", "bb"])
    with ledger.alone("bronze") as lease, lease.transaction() as cursor:
        ledger.keep_out(cursor, ["bb", "cc"])
    assert ledger.kept_out() == KeptOut(before.key, frozenset({"aa", "bb", "cc"}), frozenset({"aa", "bb", "cc"}))
    with ledger.alone("bronze") as lease, lease.transaction() as cursor:
        ledger.forgotten(cursor, None)
    assert ledger.kept_out() == KeptOut(before.key, frozenset({"aa", "bb", "cc"}))
    assert ledger.first_without() == 0


@pytest.mark.integration
def test_a_list_without_its_key_is_no_list(ledger: Ledger) -> None:
    with ledger.database.connection() as connection, connection.cursor() as cursor:
        cursor.execute("delete from ops.settings where name = 'forget_key'")
    with pytest.raises(LedgerError, match="has lost forget_key"):
        ledger.kept_out()


@pytest.mark.unit
def test_what_holds_something_of_a_customer_is_read_from_the_contracts() -> None:
    found = reaches(load_contracts())
    assert {t: (r.column, r.emptied) for t, r in found.items()} == {
        "customers": ("customer_id", ()),
        "orders": ("customer_id", ("customer_id",)),
    }


@pytest.mark.unit
def test_the_digest_is_hmac_sha_256_of_the_identifier_in_every_spelling(spark: SparkSession) -> None:
    spellings = ["c17", " C17\t", "17850.0", "straße", None, "\u00a0"]
    rows = spark.createDataFrame([(s,) for s in spellings], "id string")
    found = [row["_digest"] for row in digested(rows, "id", KEY).collect()]
    assert found == [digest("C17"), digest("C17"), digest("17850"), digest("STRASSE"), None, None]


@pytest.mark.unit
def test_at_the_door_the_customer_stays_out_and_their_order_is_a_guests(spark: SparkSession) -> None:
    ledger = SimpleNamespace(kept_out=lambda: KeptOut(KEY, frozenset({digest("C1")})))
    door = Door(SimpleNamespace(ledger=ledger, contracts=load_contracts()))  # type: ignore[arg-type]
    customers = spark.createDataFrame(
        [("c1", "Ada"), ("C1.0", "Bea"), (None, "Cy"), ("C1 ", "Di")], "customer_id string, first_name string"
    )
    orders = spark.createDataFrame([("O1", "c1", "paid"), ("O2", "C2", "paid"), ("O3", None, "paid")],
                                   "order_id string, customer_id string, status string")  # fmt: skip

    assert sorted(r.first_name for r in door.through("customers", customers).collect()) == ["Bea", "Cy"]
    assert door.turned_away("customers", customers) == 2
    through = door.through("orders", orders)
    assert through.columns == orders.columns
    assert sorted(tuple(r) for r in through.collect()) == [
        ("O1", None, "paid"),
        ("O2", "C2", "paid"),
        ("O3", None, "paid"),
    ]
    assert door.turned_away("orders", orders) == 0
    assert door.through("products", orders) is orders
    plan = through._jdf.queryExecution().toString()
    assert digest("C1") not in plan
    assert KEY.hex().upper() not in plan.upper()


@pytest.mark.unit
def test_while_nobody_is_listed_the_door_is_open_and_asks_nothing(spark: SparkSession) -> None:
    door = Door(SimpleNamespace(ledger=SimpleNamespace(kept_out=lambda: KeptOut(b"")), contracts={}))  # type: ignore[arg-type]
    rows = spark.range(1)
    assert door.through("customers", rows) is rows
    assert door.turned_away("customers", rows) == 0

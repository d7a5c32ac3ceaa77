"""A mistyped address, or a ledger that is lost: refused, and refused again, and nothing is emptied.

A real lake and a real ledger; runs write one row of each table that is due.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pyspark.sql import SparkSession

from lakehouse.business_date import BusinessDate
from lakehouse.contracts import Contracts
from lakehouse.database import Database
from lakehouse.errors import LakehouseError, LedgerError, NotYetError, StoreError
from lakehouse.lake.delta import Lake
from lakehouse.ledger import Ledger
from lakehouse.runs import day as days
from tests.fakes import CONTRACTS, fake_lakehouse, replace_bodies

pytestmark = pytest.mark.integration


def on(day: int) -> BusinessDate:
    return BusinessDate(date(2020, 1, day), ZoneInfo("UTC"))


class RowByRow(Lake):
    """A lake in which a run writes one row at a time."""

    def write(self, layer: str, table: str, *, before: int | None = None) -> int:
        head = self.head(layer, table) if before is None else before
        return self.append(self._spark.range(1), layer, table, (), head).version


class Places:
    """Lakehouses on whatever lake and ledger are named: of two tables, so that it is over in seconds."""

    def __init__(self, postgres: Any, spark: SparkSession, folder: Path) -> None:
        self.postgres, self.spark, self.folder, self.ledgers = postgres, spark, folder, list[Ledger]()
        kept = ("customers", "orders")
        self.contracts = Contracts([CONTRACTS[layer][t] for layer in ("bronze", "silver") for t in kept]
                                   + list(CONTRACTS["gold"].values()))  # fmt: skip

    def lakehouse(self, lake: str, gold: str) -> Any:
        ledger = Ledger(Database(gold, "gold", StoreError))
        self.ledgers.append(ledger)
        made = fake_lakehouse(self.folder, ledger=ledger, lake=RowByRow(self.spark, (self.folder / lake).as_uri()))
        made.contracts = self.contracts
        return made

    def files(self, lake: str) -> dict[str, int]:
        """Every file of a lake, with its size."""
        return {str(p): p.stat().st_size for p in (self.folder / lake).rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def places(postgres: Any, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    made = Places(postgres, spark, tmp_path_factory.mktemp("mistyped"))
    with pytest.MonkeyPatch.context() as patch:
        replace_bodies(patch)
        right = made.lakehouse("lake", postgres.create_database("mistyped_right"))
        days.run(right, "day", on(2))
        days.run(right, "bronze", on(3))
        yield made
    for ledger in made.ledgers:
        ledger.database.close()


def refused_three_times(lakehouse: Any, layer: str, day: int, said: str, error: type[LakehouseError]) -> None:
    for _ in range(3):
        with pytest.raises(error, match=said) as raised:
            days.run(lakehouse, layer, on(day))
        assert type(raised.value) is error
        newest = lakehouse.ledger.recent(1)[0]
        assert (newest["state"], newest["error_code"]) == ("failed", error.exit_code)


def test_another_empty_database_over_a_lake_is_refused_however_often_and_the_lake_keeps_all_it_has(
    places: Places,
) -> None:
    before = places.files("lake")
    wrong = places.lakehouse("lake", places.postgres.create_database("mistyped_wrong"))
    refused_three_times(wrong, "bronze", 4, "belongs to another ledger", LedgerError)
    refused_three_times(wrong, "silver", 3, "bronze has not published", NotYetError)
    assert places.files("lake") == before


def test_an_empty_folder_under_a_ledger_is_refused_by_every_layer_and_nothing_is_made_there(places: Places) -> None:
    right = places.ledgers[0].database._dsn
    wrong = places.lakehouse("lake-without-its-last-letter", right)
    pointers = {layer: wrong.ledger.published(layer) for layer in ("bronze", "silver", "gold")}
    said = "does not hold customers, orders, which this ledger has published"
    refused_three_times(wrong, "bronze", 4, said, LedgerError)
    refused_three_times(wrong, "silver", 3, said, LedgerError)
    assert places.files("lake-without-its-last-letter") == {}
    assert {layer: wrong.ledger.published(layer) for layer in pointers} == pointers


def test_a_lost_ledger_is_refused_until_it_is_brought_back_and_the_first_that_works_goes_on(places: Places) -> None:
    before = places.files("lake")
    lost = places.lakehouse("lake", places.postgres.create_database("mistyped_lost"))
    refused_three_times(lost, "bronze", 4, "where the ledger was lost, see `lakehouse adopt`", LedgerError)
    assert places.files("lake") == before
    right = places.lakehouse("lake", places.ledgers[0].database._dsn)
    assert [o.state for o in days.run(right, "silver", on(3))] == ["published"]


def test_a_lake_that_bears_no_id_is_not_emptied_by_a_ledger_that_did_not_write_it(places: Places) -> None:
    """A lake of the first release, or one whose mark was deleted: its commits tell."""
    lake = RowByRow(places.spark, (places.folder / "unmarked").as_uri())
    for table in ("customers", "orders"):
        lake.write("bronze", table)
    before = places.files("unmarked")
    wrong = places.lakehouse("unmarked", places.postgres.create_database("mistyped_unmarked"))
    refused_three_times(wrong, "bronze", 4, "which this ledger never published", LedgerError)
    assert places.files("unmarked") == before

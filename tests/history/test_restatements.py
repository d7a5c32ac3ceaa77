"""Through which orders a day was restated: two versions of silver's orders and lines, and the runs that were made of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from deltalake import DeltaTable, write_deltalake
from typer.testing import CliRunner

from lakehouse.cli import app
from lakehouse.contracts import load_contracts
from lakehouse.database import Database
from lakehouse.errors import StoreError
from lakehouse.history.restatements import Restatements, orders_behind
from lakehouse.ledger import Ledger
from lakehouse.records import Row
from lakehouse.settings import Settings

pytestmark = pytest.mark.integration
CONTRACTS = load_contracts()
DAY, OTHER = date(2026, 3, 9), date(2026, 3, 10)
RUNS = """
insert into ops.runs (run_id, layer, business_date, state, finished_at, inputs) values
    ('gold-1', 'gold', '2026-03-09', 'published', now(), '{"orders": 0, "order_items": 0, "as_of": 7}'),
    ('gold-lost', 'gold', '2026-03-10', 'failed', now(), '{}'),
    ('gold-2', 'gold', '2026-03-10', 'published', now(), '{"orders": 1, "order_items": 1, "as_of": 8}'),
    ('gold-3', 'gold', '2026-03-11', 'published', now(), '{"orders": 1, "order_items": 1, "as_of": 9}');
insert into ops.restatements values ('gold-2', '2026-03-09', 1, 2, 0, 3, 4, 0, 1, 30, 25.5),
    ('gold-2', '2026-03-08', 0, 1, 0, 1, 1, 0, 0, null, 5), ('gold-3', '2026-03-09', 0, 1, 0, 4, 3, 1, 1, 25.5, 20);
"""
# Order, day, status; then line, order, product, quantity, price.
ORDERS = (
    [("same", DAY, "paid"), ("late line", DAY, "paid"), ("gone", DAY, "paid"), ("back", DAY, "paid"), ("other", OTHER, "paid")],
    [("same", DAY, "paid"), ("late line", DAY, "paid"), ("back", DAY, "returned"), ("late", DAY, "paid"), ("other", OTHER, "paid")],
)  # fmt: skip
LINES = (
    [("1", "same", "P", 1, "4"), ("2", "gone", "P", 1, "4"), ("3", "back", "P", 2, "4"), ("4", "other", "P", 1, "4")],
    [("1", "same", "P", 1, "4"), ("3", "back", "P", 2, "5"), ("4", "other", "P", 9, "4"), ("5", "late line", "P", 1, "4"),
     ("6", "late", "P", 1, "4"), ("7", "back", "P", -1, "4")],
)  # fmt: skip


def write(lake: Path, table: str, columns: tuple[str, ...], *versions: list[tuple[Any, ...]]) -> None:
    """A table of silver, with the columns that are compared, in so many versions."""
    beside = {"order_items": ["discount", "unit_cost"], "orders": ["customer_id"]}[table]
    for rows in versions:
        data = {n: [row[i] for row in rows] for i, n in enumerate(columns)} | {n: ["0"] * len(rows) for n in beside}
        write_deltalake(str(lake / "silver" / table), pyarrow.table(data), mode="overwrite")


@pytest.fixture(scope="module")
def gold(postgres: Any) -> Iterator[Database]:
    database = Database(postgres.create_database("restatements"), "gold", StoreError)
    Ledger(database).prepare("UTC")
    with database.connection() as connection, connection.cursor() as cursor:
        cursor.execute(RUNS)
    yield database
    database.close()


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    write(tmp_path, "orders", ("order_id", "order_date", "status"), *ORDERS)
    write(tmp_path, "order_items", ("order_item_id", "order_id", "product_id", "quantity", "unit_price"), *LINES)
    return tmp_path


def behind(gold: Database, lake: Path, run_id: str, most: int = 9) -> list[Row]:
    (restated,) = [r for r in Restatements(gold).of_day(DAY) if r.run_id == run_id]
    return orders_behind(Settings(lake=lake.as_uri()), CONTRACTS, gold, restated, most)


def test_restatements_are_listed_newest_run_first_or_of_one_day(gold: Database) -> None:
    ledger = Restatements(gold)
    assert [(r.run_id, r.sales_date.day) for r in ledger.newest(9)] == [("gold-3", 9), ("gold-2", 9), ("gold-2", 8)]
    assert [(r.run_id, r.difference) for r in ledger.of_day(DAY)] == [("gold-3", -5.5), ("gold-2", -4.5)]
    (unknown,) = ledger.of_day(date(2026, 3, 8))
    assert unknown.difference is None
    assert ledger.of_day(date(2026, 3, 1)) == []


def test_orders_of_the_day_that_came_went_or_changed_are_named_with_their_lines(gold: Database, lake: Path) -> None:
    names = ("order_id", "what", "status", "lines_added", "lines_returned", "lines_changed", "lines_gone")
    assert [tuple(o[n] for n in names) for o in behind(gold, lake, "gold-2")] == [
        ("back", "changed", "returned", 0, 1, 1, 0),
        ("gone", "went", None, 0, 0, 0, 1),
        ("late", "came", "paid", 1, 0, 0, 0),
        ("late line", "lines", "paid", 1, 0, 0, 0),
    ]
    assert len(behind(gold, lake, "gold-2", most=2)) == 2


def test_a_run_made_of_the_same_silver_has_no_order_behind_it(gold: Database, lake: Path) -> None:
    assert behind(gold, lake, "gold-3") == []


def test_versions_that_are_cleaned_up_are_an_error_in_words(gold: Database, lake: Path) -> None:
    first = DeltaTable(str(lake / "silver" / "orders"), version=0)
    for file in first.file_uris():
        Path(file.removeprefix("file://")).unlink()
    with pytest.raises(StoreError, match="cleaned up"):
        behind(gold, lake, "gold-2")


def test_why_orders_are_not_known_is_told_to_programs_too(
    gold: Database, lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"HOME": str(tmp_path), "TIMEZONE": "UTC", "GOLD_DSN": gold._dsn, "LAKE": lake.as_uri()}.items():
        monkeypatch.setenv(f"LAKEHOUSE_{name}", value)

    def listed(*words: str) -> dict[str, Any]:
        done = CliRunner().invoke(app, ["restatements", "--date", str(DAY), "--json", *words], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return {r["run_id"]: r for r in json.loads(done.stdout)}

    assert len(listed()["gold-2"]["orders"]) == 4
    assert "orders" not in listed("--orders", "0")["gold-2"]
    for file in DeltaTable(str(lake / "silver" / "orders"), version=0).file_uris():
        Path(file.removeprefix("file://")).unlink()
    unread = listed()
    assert unread["gold-2"]["orders"] is None
    assert "cleaned up" in unread["gold-2"]["orders_unread"]
    assert unread["gold-3"]["orders"] == []


def test_a_lake_without_them_is_an_error_in_words(gold: Database, tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        behind(gold, tmp_path, "gold-2")

"""Gold's own steps in its frame: what it stages is checked before, dropped afterwards, and its roll-ups must agree."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from lakehouse.business_date import BusinessDate
from lakehouse.errors import GateError, RightLostError, StoreError
from lakehouse.layers import gold
from lakehouse.records import Finding
from lakehouse.records import Totals as Sums
from lakehouse.runs import day as days
from lakehouse.units.totals import Totals, roll_ups
from tests.fakes import CONTRACTS, fake_lakehouse, replace_bodies

pytestmark = pytest.mark.unit
DAY = BusinessDate(date(2020, 1, 2), ZoneInfo("UTC"))


@pytest.fixture
def lakehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Fakes, and bodies that write a row of each table that is due."""
    replace_bodies(monkeypatch)
    return fake_lakehouse(tmp_path)


def test_a_gold_that_its_gate_refuses_drops_its_staging(lakehouse: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = Finding("gold", "dim_customers", "rows_are_there", "critical", False, 1, 1)
    monkeypatch.setattr(gold, "roll_ups", lambda *_: [refused])
    with pytest.raises(GateError):
        days.run(lakehouse, "day", DAY)
    assert "change gold" not in lakehouse.steps
    assert [s for s in lakehouse.steps if s in ("fail", "drop staging", "unlock")][-3:] == [
        "fail",
        "drop staging",
        "unlock",
    ]


def losing_its_right(lakehouse: Any, monkeypatch: pytest.MonkeyPatch, error: Exception | None = None) -> list[str]:
    """Steps of a gold that loses its lock before it stages its first table, where the server may refuse it something."""
    days.run(lakehouse, "bronze", DAY)
    days.run(lakehouse, "silver", DAY)
    lakehouse.steps.clear()

    def staged(lakehouse: Any, due: Any, stage: Any, compared: Any) -> Any:
        lakehouse.ledger.lease.lost = True
        if error:
            raise error
        stage.load(stage.staging.load, CONTRACTS["gold"]["dim_customers"], None)

    monkeypatch.setattr(gold, "_staged", staged)
    with pytest.raises(RightLostError):
        days.run(lakehouse, "gold", DAY)
    steps: list[str] = lakehouse.steps
    return steps


def test_a_gold_that_lost_its_right_stages_nothing_more(lakehouse: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = losing_its_right(lakehouse, monkeypatch)
    assert [s for s in steps if s.startswith(("stage ", "verify ", "drop "))] == ["drop staging"]


def test_a_gold_that_lost_its_lock_does_not_take_the_staging_of_the_run_after_it_for_a_dead_ones(
    lakehouse: Any,
) -> None:
    days.run(lakehouse, "bronze", DAY)
    days.run(lakehouse, "silver", DAY)
    lakehouse.gold.prepare = lambda: setattr(lakehouse.ledger.lease, "lost", True)
    with pytest.raises(RightLostError):
        days.run(lakehouse, "gold", DAY)
    assert "sweep staging" not in lakehouse.steps


def test_a_gold_whose_staging_the_run_that_took_over_swept_says_that_it_lost_its_right(
    lakehouse: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = losing_its_right(lakehouse, monkeypatch, StoreError("no such table"))
    assert [s for s in steps if s in ("change gold", "drop staging")] == ["drop staging"]


def sums(**of: str) -> dict[str, Totals]:
    """Totals of gold's tables: their roll-ups."""
    return {table: {"rows": 1, "_roll_up": Decimal(total)} for table, total in of.items()}


def test_roll_ups_that_agree_and_one_that_does_not() -> None:
    findings = roll_ups(sums(fact_daily_sales="7.50", fact_customer_orders="7.5000", dim_customers="7.49"))
    rule = "net_sales_agree_with_fact_daily_sales"
    assert findings == [Finding("gold", "fact_customer_orders", rule, "critical", True, 0, None),
                        Finding("gold", "dim_customers", rule, "critical", False, 1, None)]  # fmt: skip


def test_roll_ups_of_which_one_did_not_fit_its_type_are_not_compared() -> None:
    totals = sums(fact_daily_sales="7.50", fact_customer_orders="0", dim_customers="7.50")
    wide = {"rows": 1, "_roll_up": Decimal(0), "_warn_net_amount_out_of_range": 1}
    assert roll_ups(totals | {"fact_customer_orders": wide}) == []


# What the last run made gold of: versions of silver, a date, the meaning of its tables.
MADE_OF = {"customers": 4, "products": 4, "orders": 4, "order_items": 4, "inventory": 4, "campaigns": 4, "as_of": 737_425,
           "transforms": 7}  # fmt: skip
FACTS = {"fact_daily_sales", "fact_customer_orders", "dim_customers"}


@pytest.mark.parametrize(
    ("changed", "computed"),
    [
        ({}, set()),
        ({"as_of": 737_426}, {"agg_inventory_status"}),
        ({"campaigns": 5}, {"agg_campaign_performance"}),
        ({"inventory": 5, "as_of": 737_426}, {"agg_inventory_status"}),
        ({"products": 5}, {"dim_products", "agg_inventory_status"}),
        # Its sums are held against those of the two tables of facts.
        ({"customers": 5}, FACTS),
        ({"order_items": 5}, {*CONTRACTS["gold"]}),
        ({"transforms": 8}, {*CONTRACTS["gold"]}),
    ],
)
def test_only_tables_are_computed_of_which_something_changed_that_they_are_made_of(
    lakehouse: Any, changed: dict[str, int], computed: set[str]
) -> None:
    days.run(lakehouse, "day", DAY)
    assert {*CONTRACTS["gold"]} - gold._untouched(lakehouse, {**MADE_OF, **changed}, MADE_OF) == computed


def test_a_table_that_gold_has_not_published_yet_is_computed_whatever_changed(lakehouse: Any) -> None:
    days.run(lakehouse, "day", DAY)
    del lakehouse.ledger.pointers["gold"]["dim_products"]
    assert {*CONTRACTS["gold"]} - gold._untouched(lakehouse, MADE_OF, MADE_OF) == {"dim_products"}


def test_a_table_is_computed_and_not_staged_where_only_one_that_is_built_on_it_is_touched() -> None:
    asks = {"sales": ["orders"], "stock": ["sales", "inventory"], "customers": ["people"]}
    assert gold._needed(asks, ["stock"]) == ["sales", "stock"]
    assert gold._needed(asks, []) == []


@pytest.mark.parametrize(
    ("held", "removed", "lets"),
    [(1_000, 50, False), (300, 700, True), (1_000_000, 40_000, False), (60, 90, False), (0, 401, True)],
)
def test_gold_may_shrink_where_a_person_let_the_deletes_through(
    lakehouse: Any, held: int, removed: int, lets: bool
) -> None:
    lakehouse.ledger.totals = lambda _: {"orders": Sums(held=held)}
    lakehouse.ledger.removed_since_gold = lambda: {"orders": removed}
    assert gold._shrank(lakehouse) is lets

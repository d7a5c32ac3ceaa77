"""Which way a run of gold goes: it follows what changed, or computes gold whole where anything is not as expected."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from lakehouse.records import KeptTotals, Last, Published
from lakehouse.units import audit, way
from lakehouse.units.changes import Changed
from lakehouse.units.totals import ROLL_UP, ROLL_UPS, DoubtfulError, followed, meaning, read
from tests.fakes import CONTRACTS, SUITES

pytestmark = pytest.mark.unit
GOLD, SILVER = CONTRACTS["gold"], CONTRACTS["silver"]
INPUTS = {**dict.fromkeys(SILVER, 4), "as_of": 737_425, "transforms": 7}
LAST = Last("r1", date(2020, 1, 1), date(2020, 1, 1), INPUTS)
HELD = {**dict.fromkeys(GOLD, 10), "fact_customer_orders": 200_000}


class House:
    """As much of a lakehouse as the way is asked of: gold as it was published, and silver a version further."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.contracts, self.suites = CONTRACTS, SUITES
        self.rebuilt, self.changed, self.silver_rows = False, 3, 1_000
        self.kept = {t: KeptTotals(5, meaning(c, SUITES["gold"][t]), self.counts(t)) for t, c in GOLD.items()}
        self.stands: dict[str, tuple[Any, ...]] = {}
        self.ledger = SimpleNamespace(
            rebuilt_since_gold=lambda: self.rebuilt,
            kept_totals=lambda: self.kept,
            published=lambda _: {t: Published(t, 5, "r1", date(2020, 1, 1), {}) for t in GOLD},
            table_rows=lambda _: dict.fromkeys(SILVER, self.silver_rows),
        )
        self.lake = None
        monkeypatch.setattr(way, "_stands", lambda _, totals: totals["dim_customers"]["rows"] == 10)
        monkeypatch.setattr(way, "changed", self.change)

    @staticmethod
    def counts(table: str) -> dict[str, str]:
        return {"rows": "10", **({ROLL_UP: "7.5000"} if table in ROLL_UPS else {})}

    def change(self, lake: object, contract: Any, before: int, now: int) -> Changed | None:
        assert (before, now) == (4, 5)
        return Changed(None, self.changed) if self.changed >= 0 else None  # type: ignore[arg-type]

    def count(self, table: str, **counts: str) -> None:
        self.kept[table] = replace(self.kept[table], totals={**self.kept[table].totals, **counts})

    def way(self, held: dict[str, int] = HELD, last: Last | None = LAST, **inputs: int) -> str:
        """Why gold is computed whole, or `units`."""
        silver = {t: Published(t, 5, "s2", date(2020, 1, 2), {}) for t in SILVER}
        found = way._since(self, silver, {**INPUTS, **inputs}, last, held)  # type: ignore[arg-type]
        return found if isinstance(found, str) else "units"


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> House:
    return House(monkeypatch)


def test_a_big_gold_of_which_little_changed_follows_it(house: House) -> None:
    assert house.way() == "units"


def test_a_small_gold_is_computed_whole_and_nothing_is_asked(house: House) -> None:
    house.ledger = None  # type: ignore[assignment]
    assert house.way(held={**HELD, "fact_customer_orders": 199_999}) == "there are few rows"
    assert house.way(held={}) == "there are few rows"
    assert house.way(last=None) == "it is asked for, or gold has no run yet"


def test_another_transform_or_a_rebuild_of_silver_is_whole(house: House) -> None:
    assert house.way(transforms=8) == "the meaning of its tables has changed"
    house.rebuilt = True
    assert house.way() == "silver was rebuilt"


def test_totals_of_another_version_or_another_suite_are_not_gone_on_from(house: House) -> None:
    kept = house.kept["dim_products"]
    house.kept["dim_products"] = replace(kept, version=4)
    assert house.way() == "it was not counted what stands"
    house.kept["dim_products"] = replace(kept, meaning=kept.meaning + 1)
    assert house.way() == "what is counted of its tables has changed"
    del house.kept["dim_products"]
    assert house.way() == "it was not counted what stands"


def test_other_rows_than_were_published_are_whole(house: House) -> None:
    house.count("dim_customers", rows="11")
    assert house.way() == "other rows stand than were published"


def test_a_sum_that_does_not_fit_and_a_sale_of_the_future_are_whole(house: House) -> None:
    house.count("fact_daily_sales", **{"gate dated_in_future": "1"})
    assert house.way() == "rows are dated after the business date"
    house.count("fact_customer_orders", _warn_net_amount_out_of_range="1")
    assert house.way() == "a number does not fit its type"


def test_much_that_changed_or_what_nobody_can_tell_is_whole(house: House) -> None:
    house.changed = 200
    assert house.way() == "units"
    house.changed = 201
    assert house.way() == "much has changed"
    house.silver_rows = 10_000_000
    house.changed = way.MOST_ROWS_CHANGED
    assert house.way() == "much has changed"
    house.changed = -1
    assert house.way() == "what changed in silver cannot be told"
    without = {name: version for name, version in INPUTS.items() if name != "orders"}
    assert house.way(last=replace(LAST, inputs=without)) == "gold was made of other tables"


def test_the_totals_of_a_table_follow_from_those_of_the_rows_that_gave_way_and_came() -> None:
    before = read({"rows": "10", "gate rows": "10", ROLL_UP: "7.5000"})
    gone, came = {"rows": 2, "gate rows": 2, ROLL_UP: Decimal("3.00")}, {"rows": 3, "gate rows": 3, ROLL_UP: Decimal("-9.25"), "_warn_x": 1}  # fmt: skip
    assert followed(before, gone, came) == {"rows": 11, "gate rows": 11, ROLL_UP: Decimal("-4.75"), "_warn_x": 1}


def test_more_rows_that_gave_way_than_there_were_are_in_doubt() -> None:
    with pytest.raises(DoubtfulError):
        followed({"rows": 10, "gate a": 0}, {"rows": 1, "gate a": 1}, {"rows": 1, "gate a": 0})


def test_each_table_is_audited_once_in_so_many_nights_and_not_all_at_once() -> None:
    nights = audits(1, audit.NIGHTS)
    assert sorted(t for night in nights for t in night) == sorted(GOLD)
    assert max(len(night) for night in nights) == 1


@pytest.mark.parametrize("rhythm", [1, 2, 3, 5, 6, 7, 10, 15, 29, 30])
def test_the_turn_of_each_table_comes_at_whatever_rhythm_gold_is_run(rhythm: int) -> None:
    dates = rhythm * audit.NIGHTS
    assert Counter(t for run in audits(rhythm, dates) for t in run) == dict.fromkeys(GOLD, dates // audit.NIGHTS)


def test_who_runs_a_date_again_audits_nothing_again_and_after_a_long_pause_all_are_due() -> None:
    start = date(2026, 1, 1)
    assert audit.audited(start, start, GOLD) == set()
    assert audit.audited(start, start + timedelta(days=audit.NIGHTS + 1), GOLD) == set(GOLD)


def audits(rhythm: int, dates: int) -> list[set[str]]:
    """The tables that are audited by each run, every so many dates."""
    start = date(2026, 1, 1)
    runs = [start + timedelta(days=n) for n in range(0, dates + 1, rhythm)]
    return [audit.audited(before, as_of, GOLD) for before, as_of in pairwise(runs)]

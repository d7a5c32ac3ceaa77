"""Days of sales that a publish restates: rows that stand, rows staged, and what the ledger then says of each day."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import pytest

from lakehouse.errors import GateError
from lakehouse.ledger import Ledger
from tests.tables import CONTRACTS
from tests.warehouse.conftest import Store

pytestmark = pytest.mark.integration
FACT = CONTRACTS["gold"]["fact_daily_sales"]
PRODUCTS = [("P1", "Tea"), ("P2", "Mug")]
Sale = tuple[int, str, int, int, str | None]
# Day of March, product, units sold, units returned, net sales.
FIRST: list[Sale] = [(1, "P1", 2, 0, "20"), (2, "P1", 3, 1, "20"), (2, "P2", 1, 0, "5.5"), (3, "P1", 1, 0, "10")]
BY_DAY = """
    select extract(day from sales_date)::int, sum(units_sold)::int, sum(units_returned)::int,
           case when count(*) = count(net_sales) then sum(net_sales) end
    from gold.fact_daily_sales group by 1
"""


class Shop:
    """Gold with a real ledger. Runs of gold publish what they are given to be all sales."""

    def __init__(self, store: Store) -> None:
        self.store, self.runs = store, 0
        store.ask("drop schema ops cascade")
        Ledger(store.database).prepare("UTC")
        store.gold.prepare()

    def days(self) -> dict[int, list[Any]]:
        return {day: rest for day, *rest in map(list, self.store.ask(BY_DAY))}

    def run(self, day: int, sales: Sequence[Sale], by_difference: bool = False) -> dict[int, tuple[int, int, int]]:
        """Publishes, and returns rows inserted, updated and deleted of each day that the ledger calls restated.

        What it says of a day before and after is held against gold itself.
        """
        self.runs += 1
        run_id, before = f"gold-2026-03-{day:02}-{self.runs:012x}", self.days()
        rows = [_staged(sale) for sale in sales]
        staging = self.store.stage({"dim_products": [_product(*p) for p in PRODUCTS], "fact_daily_sales": rows}, run_id)
        if by_difference:
            staging.by_difference.add(FACT.table)
            self._keep_differences(staging.table(FACT))
            staging.rows[FACT.table] = self.store.ask(f"select count(*) from {staging.table(FACT)}")[0][0]
        self.store.ask("insert into ops.runs (run_id, layer, business_date, state, finished_at) values "
                       f"('{run_id}', 'gold', '2026-03-{day:02}', 'published', now())")  # fmt: skip
        self.store.publish(staging)
        after = self.days()
        found = self.store.ask(f"select * from ops.restatements where run_id = '{run_id}'")
        for _, sales_date, _, _, _, sold, sold_now, returned, returned_now, net, net_now in found:
            assert [sold, returned, net] == before.get(sales_date.day, [0, 0, 0])
            assert [sold_now, returned_now, net_now] == after.get(sales_date.day, [0, 0, 0])
        return {row[1].day: row[2:5] for row in found}

    def _keep_differences(self, staged: str) -> None:
        """What Spark stages of a big table: rows that differ, and keys that are gone."""
        names, key = (
            ", ".join(FACT.names),
            "t.product_id = s.product_id and t.sales_date = date '1970-01-01' + s.sales_date",
        )
        same = " and ".join(f"t.{n} is not distinct from s.{n}" for n in FACT.names[2:])
        self.store.ask(
            f"insert into {staged} ({names}, _is_gone) select sales_date - date '1970-01-01', {', '.join(FACT.names[1:])}, true "
            f"from gold.fact_daily_sales t where not exists (select from {staged} s where {key})",
            f"delete from {staged} s using gold.fact_daily_sales t where {key} and {same} and not s._is_gone",
        )


def _staged(sale: Sale) -> tuple[object, ...]:
    day, product, sold, returned, net = sale
    number = (date(2026, 3, day) - date(1970, 1, 1)).days
    return (number, product, 1, 1, sold, returned, net, 0, 0, net, None, None)


def _product(product_id: str, name: str) -> tuple[object, ...]:
    known = {"product_id": product_id, "product_name": name, "category": "Kitchen", "is_active": True}
    return tuple(known.get(n) for n in CONTRACTS["gold"]["dim_products"].names)


@pytest.fixture
def shop(store_of: Callable[..., Store]) -> Shop:
    return Shop(store_of(CONTRACTS["gold"]))


@pytest.mark.parametrize("by_difference", [False, True], ids=["whole", "differences"])
def test_days_told_of_before_are_restated_with_what_changed_and_the_runs_own_day_is_not(
    shop: Shop, by_difference: bool
) -> None:
    assert shop.run(3, FIRST) == {}, "nobody had been told of a day"
    late = [
        (1, "P1", 2, 0, "20"),
        (2, "P1", 3, 2, "10"),
        (3, "P1", 1, 0, "10"),
        (3, "P2", 1, 0, "7"),
        (4, "P1", 9, 0, "90"),
    ]
    assert shop.run(4, late, by_difference) == {2: (0, 1, 1), 3: (1, 0, 0)}
    assert shop.run(5, late, by_difference) == {}, "and nothing has changed since"


@pytest.mark.parametrize("by_difference", [False, True], ids=["whole", "differences"])
def test_a_day_may_lose_every_sale_or_gain_its_first(shop: Shop, by_difference: bool) -> None:
    shop.run(3, [s for s in FIRST if s[0] != 2])
    moved: list[Sale] = [(2, "P1", 1, 0, "3"), (3, "P1", 1, 0, "10")]
    assert shop.run(4, moved, by_difference) == {1: (0, 0, 1), 2: (1, 0, 0)}


def test_an_amount_that_is_not_known_makes_the_days_sum_unknown_and_no_zero(shop: Shop) -> None:
    shop.run(3, FIRST)
    unknown: list[Sale] = [*FIRST[:2], (2, "P2", 1, 0, None), FIRST[3]]
    assert shop.run(4, unknown) == {2: (0, 1, 0)}
    assert shop.run(5, FIRST) == {2: (0, 1, 0)}, "and known again"
    assert shop.store.ask("select net_sales_before, net_sales_after from ops.restatements order by run_id") == [
        (pytest.approx(25.5), None),
        (None, pytest.approx(25.5)),
    ]


def test_a_run_for_a_day_that_was_published_restates_it_and_a_run_for_an_older_one_no_later_day_less(
    shop: Shop,
) -> None:
    shop.run(3, FIRST)
    again: list[Sale] = [*FIRST[:3], (3, "P1", 2, 0, "20")]
    assert shop.run(3, again) == {3: (0, 1, 0)}
    assert shop.run(1, FIRST) == {3: (0, 1, 0)}, "readers had been told of all days up to the third"


def test_a_publish_that_is_taken_back_restates_nothing(shop: Shop) -> None:
    shop.run(3, FIRST)
    with pytest.raises(GateError, match="breaks fact_daily_sales_product_id_fkey"):
        shop.run(4, [(1, "nowhere", 1, 0, "1")])
    assert shop.store.ask("select * from ops.restatements") == []


def test_a_run_that_does_not_stage_the_table_restates_nothing(shop: Shop) -> None:
    shop.run(3, FIRST)
    staging = shop.store.gold.staging("gold-2026-03-04-00000000000a", set(CONTRACTS["gold"]))
    shop.store.publish(staging)
    assert shop.store.ask("select * from ops.restatements") == []

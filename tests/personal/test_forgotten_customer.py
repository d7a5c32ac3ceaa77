"""A person with unmistakable texts in every column is forgotten, and found nowhere: not in a file, not in a row, not later."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from lakehouse.business_date import BusinessDate
from lakehouse.errors import LedgerError
from lakehouse.personal import forget as work
from lakehouse.personal.plan import plan
from lakehouse.records import Row
from lakehouse.runs.rebuild import rebuild
from lakehouse.upkeep import again, rewind
from lakehouse.upkeep.locks import locked
from lakehouse.upkeep.verify import verify
from tests.e2e.small_shop import SmallShop, day
from tests.personal.everywhere import found_in_database, found_in_folder

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

ID = "X-Canary-77"
# The least and the greatest of their columns too, as entries of Delta's log and statistics of Postgres hold these.
TEXTS = (
    "x-canary-77",
    "aaacanaryfirst",
    "zzzcanarylast",
    "canary.one@",
    "canary.two@",
    "4917155500111",
    "canarycity",
    "canaryland",
)
# One key in two spellings, edited on the second day; a third image that the lake cannot hold whole waits in quarantine, and so
# does one of the orders.
DAY_1 = """
insert into customers (customer_id, first_name, last_name, email, phone, city, state, country, created_at, updated_at) values
    ('x-canary-77', 'AAACanaryFirst', 'zzzCanaryLast', 'canary.one@example.test', '+49 171 555 00111', 'CanaryCity',
     'CanaryState', 'CanaryLand', '2020-01-01', '2020-01-01');
insert into orders (order_id, customer_id, status, ordered_at, created_at, updated_at) values
    ('P-1', 'x-canary-77', 'paid', '2020-01-01 10:00', '2020-01-01', '2020-01-01');
insert into order_items (order_item_id, order_id, product_id, quantity, unit_price, unit_cost, created_at, updated_at) values
    ('Q-1', 'P-1', 'P1', 7, 4, 1, '2020-01-01', '2020-01-01');
"""
DAY_2 = """
update customers set email = 'canary.two@example.test', updated_at = '2020-01-02 09:00' where customer_id = 'x-canary-77';
insert into customers (customer_id, first_name, email, created_at, updated_at) values
    (' X-CANARY-77', 'AAACanaryFirst II', 'canary.two@example.test', '2020-01-02', '2020-01-02 10:00'),
    ('X-canary-77 ', 'AAACanaryFirst III', 'canary.two@example.test', 'infinity', '2020-01-02 11:00');
insert into orders (order_id, customer_id, status, ordered_at, created_at, updated_at) values
    ('P-2', 'X-CANARY-77', 'paid', '2020-01-02 10:00', '2020-01-02', '2020-01-02'),
    ('P-3', 'x-canary-77', 'no such status', '2020-01-02 10:00', '2020-01-02', '2020-01-02');
insert into order_items (order_item_id, order_id, product_id, quantity, unit_price, unit_cost, created_at, updated_at) values
    ('Q-2', 'P-2', 'P1', 1, 4, 1, '2020-01-02', '2020-01-02');
"""
DAY_3 = """
update customers set email = 'canary.two@example.test', phone = '+4917155500111', updated_at = '2020-01-03 09:00'
    where customer_id = 'x-canary-77';
insert into orders (order_id, customer_id, status, ordered_at, created_at, updated_at) values
    ('P-4', 'x-canary-77', 'paid', '2020-01-03 10:00', '2020-01-03', '2020-01-03');
"""
NET = "select customer_id, lifetime_net_sales, lifetime_orders from gold.dim_customers order by 1"


def everywhere(shop: SmallShop) -> set[str]:
    return found_in_folder(shop.lake, TEXTS) | found_in_database(shop.gold, TEXTS)


def forget(shop: SmallShop) -> list[Row]:
    with locked(shop.lakehouse) as leases:
        return work.forget(shop.lakehouse, plan(shop.lakehouse, [ID]), leases, "a test")


@pytest.fixture(scope="module")
def shop(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallShop]:
    shop = SmallShop(postgres, "forget", tmp_path_factory.mktemp("forget"))
    for n, script in ((1, DAY_1), (2, DAY_2)):
        shop.write(shop.source, script)
        shop.live(n)
    shop.write(shop.gold, "analyze gold.dim_customers")
    yield shop
    shop.close()


def test_the_person_is_found_nowhere_and_only_their_sums_have_moved(
    shop: SmallShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = everywhere(shop)
    assert {f.rsplit(": ", 1)[1] for f in before} == set(TEXTS), "the search finds what is there"
    assert {
        f"{place}: x-canary-77" for place in ("gold.dim_customers", "gold.fact_customer_orders", "pg_dump")
    } <= before
    assert any(f.startswith("bronze/customers/_delta_log/") for f in before)
    assert any(f.startswith("quarantine/customers/") for f in before)
    assert any(f.startswith("pg_catalog.pg_statistic") for f in before)
    sums = {row[0]: row[1:] for row in shop.ask(NET)}
    days = shop.ask("select sales_date, product_id, net_sales, units_sold from gold.fact_daily_sales order by 1, 2")
    theirs = sums.pop(ID.upper())
    assert theirs == (Decimal(32), 2)

    with monkeypatch.context() as broken:
        broken.setattr(work, "_made_again", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            forget(shop)
    report = forget(shop)

    assert everywhere(shop) == set()
    of = {(r["store"], r["table"]): r for r in report}
    assert of["silver", "customers"]["rows"] == 1
    assert of["quarantine", "customers"]["rows"] == 1
    assert of["silver", "orders"]["rows"] == 2
    assert of["bronze", "customers"]["versions"] > 1
    assert ID.lower() not in str(report).lower()
    after = {row[0]: row[1:] for row in shop.ask(NET)}
    guests, guests_before = after.pop("UNKNOWN"), sums.pop("UNKNOWN")
    assert after == sums, "nobody else's figures have changed"
    assert guests == (guests_before[0] + theirs[0], guests_before[1] + theirs[1])
    assert days == shop.ask(
        "select sales_date, product_id, net_sales, units_sold from gold.fact_daily_sales order by 1, 2"
    )
    assert [c.row() for c in verify(shop.lakehouse) if not c.holds] == []


def test_a_second_time_changes_nothing(shop: SmallShop) -> None:
    before = shop.hashes()
    again_ = plan(shop.lakehouse, [ID])
    assert again_.is_empty
    assert again_.rows() == []
    assert plan(shop.lakehouse, [" x-CANARY-77 "]).digests == again_.digests
    assert shop.hashes() == before


def test_the_next_days_do_not_bring_them_back_and_neither_does_a_replaced_day_or_a_rebuild(shop: SmallShop) -> None:
    shop.write(shop.source, DAY_3)
    shop.live(3)
    assert everywhere(shop) == set()
    assert (
        shop.ask("select customer_id from gold.fact_customer_orders where order_id in ('P-1', 'P-2', 'P-4')")
        == [("UNKNOWN",)] * 3
    )
    assert shop.ask("select unexpected, rows from ops.quality_results where rule = 'forgotten_stay_out'") == [(1, 2)]
    after = shop.hashes()
    again.rerun(
        shop.lakehouse,
        again.plan(shop.lakehouse, BusinessDate.parse(day(1).isoformat(), shop.lakehouse.settings.zone), ["bronze"]),
        "a test",
    )
    rebuild(shop.lakehouse, "silver")
    rebuild(shop.lakehouse, "gold")
    assert everywhere(shop) == set()
    assert shop.hashes() == after
    assert [c.row() for c in verify(shop.lakehouse) if not c.holds] == []


def test_no_rewind_goes_back_to_where_they_were(shop: SmallShop) -> None:
    with pytest.raises(LedgerError, match="customers were forgotten since 2020-01-01"):
        rewind.plan(shop.lakehouse, day(1))
    with locked(shop.lakehouse) as leases:
        rewind.run(shop.lakehouse, rewind.plan(shop.lakehouse, day(2)), leases, "a test")
    assert everywhere(shop) == set()
    shop.run(3)
    assert everywhere(shop) == set()

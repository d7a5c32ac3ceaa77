"""A day once more, a layer once more, quarantine once more: what is given again is the same, and a waiver is a rule less."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from lakehouse.business_date import BusinessDate
from lakehouse.errors import LedgerError, UsageError
from lakehouse.runs.rebuild import rebuild
from lakehouse.upkeep import again
from lakehouse.upkeep.maintain import maintain
from lakehouse.upkeep.verify import verify
from tests.e2e.small_shop import SmallShop, day

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture(scope="module")
def shop(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallShop]:
    """A shop after its second day."""
    made = SmallShop(postgres, "again", tmp_path_factory.mktemp("again"))
    made.live(1, 2)
    yield made
    made.close()


def test_a_day_and_its_quarantine_once_more_are_the_same(shop: SmallShop) -> None:
    before, sums = shop.hashes(), shop.sums()
    first = BusinessDate(day(1), shop.lakehouse.settings.zone)
    steps = again.plan(shop.lakehouse, first, ("bronze", "silver", "gold"))
    assert [str(s.day) for s in steps] == ["2020-01-01", "2020-01-02", "2020-01-02"], "silver and gold never go back"
    outcomes = again.rerun(shop.lakehouse, steps, "a test")
    assert [o.state for o in outcomes] == ["published"] * 3, "though every layer had published the day"
    assert next(o.state for o in again.replay(shop.lakehouse, "a test")) == "published"
    assert shop.hashes() == before
    assert shop.sums() == sums, "no image was judged twice"
    assert shop.ask("select action, reason from ops.actions order by seq") == [
        ("rerun", "a test"),
        ("replay", "a test"),
    ]
    with pytest.raises(LedgerError, match="has not published 2020-01-09 yet"):
        again.plan(shop.lakehouse, BusinessDate(day(9), shop.lakehouse.settings.zone), ("silver",))


def test_silver_is_rebuilt_though_its_files_are_gone(shop: SmallShop) -> None:
    before = shop.hashes()
    for layer in ("silver", "quarantine"):
        for file in (shop.lake / layer / "order_items").rglob("*.parquet"):
            file.unlink()
    missing = {c.table for c in verify(shop.lakehouse) if not c.holds}
    assert missing == {"order_items"}
    rebuild(shop.lakehouse, "silver", reason="files were deleted")
    assert shop.hashes() == before
    shop.run(2)
    looked_through = {(r["layer"], r["table"]) for r in maintain(shop.lakehouse)}
    assert ("silver", "order_items") in looked_through, "the versions that lack their files are superseded"
    assert shop.hashes() == before
    assert [c.row() for c in verify(shop.lakehouse) if not c.holds] == []


def test_a_waived_rule_holds_nothing_back_and_a_rebuild_gives_the_same(shop: SmallShop) -> None:
    before = shop.hashes()
    held = (
        "select coalesce(sum(rows), 0) from ops.totals t join ops.quarantine_counts q using (run_id, table_name) "
        "where layer = 'silver' and reason = 'quantity_zero'"
    )
    assert shop.ask(held) == [(2,)]
    for table, rule in (("order_items", "key_null"), ("order_items", "no_such_rule"), ("nothing", "quantity_zero")):
        with pytest.raises(UsageError, match="there are"):
            again.waive(shop.lakehouse, table, rule, "a test")

    again.waive(shop.lakehouse, "order_items", "quantity_zero", "samples are given away")
    with pytest.raises(LedgerError, match="already waived"):
        again.waive(shop.lakehouse, "order_items", "quantity_zero", "once more")
    shop.run(2)
    waived = shop.hashes()
    assert shop.ask(held) == [(0,)]
    assert waived["silver.order_items"][0] == before["silver.order_items"][0] + 2
    shop.live(3)
    by_day = shop.hashes()
    for layer in ("silver", "gold"):
        rebuild(shop.lakehouse, layer)
    assert shop.hashes() == by_day, "day by day and in one go are the same"
    assert [(w["rule"], w["reason"]) for w in shop.lakehouse.ledger.waivers()] == [
        ("quantity_zero", "samples are given away")
    ]

    again.waive(shop.lakehouse, "order_items", "quantity_zero", "no longer", ends=True)
    shop.run(3)
    assert shop.ask(held) == [(3,)]


def test_a_price_below_zero_that_is_waived_reaches_gold(shop: SmallShop) -> None:
    debt = "insert into order_items (order_item_id, order_id, product_id, quantity, unit_price, unit_cost, created_at, updated_at)"
    shop.write(shop.source, f"{debt} values ('N4', 'O3', 'P1', 1, -50, 1, '{day(4)}', '{day(4)}')")
    shop.run(4)
    gross = "select gross_amount from gold.fact_customer_orders where order_id = 'O3'"
    assert shop.ask(gross) == [(12,)]
    again.waive(shop.lakehouse, "order_items", "unit_price_negative", "a bad debt is written off")
    assert [o.state for o in shop.run(4)] == ["covered", "published", "published"]
    assert shop.ask(gross) == [(-38,)]

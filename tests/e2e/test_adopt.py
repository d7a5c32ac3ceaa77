"""A ledger of yesterday, or none, over a lake of today: what only the lake still knows is taken in, and nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from lakehouse.errors import LedgerError
from lakehouse.upkeep import adopt
from lakehouse.upkeep.locks import locked
from lakehouse.upkeep.verify import verify
from tests.e2e.small_shop import SmallShop, bring_back, dump

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture(scope="module")
def lived(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SmallShop, bytes]]:
    """A shop after its third day, and the backup of its gold database after the first."""
    shop = SmallShop(postgres, "adopt", tmp_path_factory.mktemp("adopt"))
    shop.live(1)
    backup = dump(shop.gold)
    shop.live(2, 3)
    # What the source has purged since, only the lake still has.
    shop.write(shop.source, "delete from order_items where order_item_id = 'I2'")
    yield shop, backup
    shop.close()


def taken_in(shop: SmallShop, ledger_id: str | None = None) -> adopt.Plan:
    with locked(shop.lakehouse) as leases:
        plan = adopt.plan(shop.lakehouse, ledger_id)
        if not plan.is_empty:
            adopt.run(shop.lakehouse, plan, leases, "the server was lost")
    return plan


def test_a_ledger_of_yesterday_refuses_to_go_on_and_adopts(lived: tuple[SmallShop, bytes], postgres: Any) -> None:
    shop, backup = lived
    undisturbed = shop.hashes()
    shop.close()
    bring_back(postgres.create_database("adopt_gold"), backup)
    shop.open()

    with pytest.raises(
        LedgerError, match=r"bronze\.\w+ holds [1-9]\d* rows of \d runs that this ledger does not know.*adopt"
    ):
        shop.run(3)
    plan = taken_in(shop)

    # Tables to which a run brought nothing are read again, from where the ledger left them.
    assert [(r.business_date.day, len(r.tables)) for r in plan.runs] == [(2, 4), (3, 4)]
    assert [o.state for o in shop.run(3)] == ["published"] * 3
    assert shop.hashes() == undisturbed
    assert [c.row() for c in verify(shop.lakehouse) if not c.holds] == []
    assert taken_in(shop).is_empty, "there is nothing left to take in"


def test_a_new_ledger_takes_the_place_of_a_lost_one_when_it_is_told_which(
    lived: tuple[SmallShop, bytes], postgres: Any
) -> None:
    shop, _ = lived
    undisturbed, lost = shop.hashes(), shop.lakehouse.ledger.identity()
    shop.close()
    postgres.create_database("adopt_gold")
    shop.open()

    for _ in range(2):
        with pytest.raises(LedgerError, match="belongs to another ledger"):
            shop.run(3)
    with pytest.raises(LedgerError, match=f"Only if that ledger is lost for good: lakehouse adopt --ledger-id {lost}"):
        taken_in(shop)
    assert len(taken_in(shop, lost).runs) == 3

    assert shop.lakehouse.ledger.identity() == lost
    shop.run(3)
    assert shop.hashes() == undisturbed


def test_a_ledger_with_a_lake_of_its_own_adopts_no_other(
    lived: tuple[SmallShop, bytes], postgres: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shop, _ = lived
    theirs, held = shop.lakehouse.ledger.identity(), shop.hashes()
    other = SmallShop(postgres, "adopt_other", tmp_path_factory.mktemp("other"))
    other.live(1)
    own = other.lakehouse.ledger.identity()
    other.lake = shop.lake
    other.close()
    other.open()
    with pytest.raises(LedgerError, match="this ledger has published runs of its own"):
        taken_in(other, theirs)
    assert other.lakehouse.ledger.identity() == own
    other.close()
    assert shop.hashes() == held


def test_what_is_broken_is_found(lived: tuple[SmallShop, bytes]) -> None:
    shop, _ = lived

    def broken() -> set[tuple[str, str, str]]:
        return {(c.layer, c.table, c.name) for c in verify(shop.lakehouse) if not c.holds}

    assert broken() == set()
    shop.write(shop.gold, "update gold.fact_customer_orders set net_amount = net_amount + 1 where order_id = 'O1'")
    shop.write(shop.gold, "delete from gold.agg_inventory_status; update ops.totals set rows_held = rows_held + 1 "
                          "where layer = 'silver' and table_name = 'orders'")  # fmt: skip
    wanted = {
        ("gold", "fact_customer_orders", "net_amount_of_silver_order_items"),
        ("gold", "fact_customer_orders", "net_sales_agree_with_fact_daily_sales"),
        ("gold", "fact_customer_orders", "rows_of_silver_orders"),
        ("silver", "orders", "rows_as_the_ledger_counts"),
        ("silver", "orders", "every_image_is_somewhere"),
    }
    assert broken() == wanted
    version = shop.lakehouse.ledger.published("bronze")["orders"].version
    next((shop.lake / "bronze" / "orders").rglob("*.parquet")).unlink()
    (shop.lake / "bronze" / "products" / "_delta_log" / f"{1:020d}.json").unlink()
    assert version > 1
    assert {("bronze", "orders", "published_version_is_there"), ("bronze", "products", "log_is_contiguous")} <= broken()

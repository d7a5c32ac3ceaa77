"""Nights on which gold follows what changed: what the units, the compaction and the audit make of it is what a rebuild makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame

from lakehouse.gold import dim_products
from lakehouse.records import Outcome
from lakehouse.runs.rebuild import rebuild
from lakehouse.units import audit
from lakehouse.upkeep.maintain import maintain
from tests.e2e.small_shop import SmallShop, day, follow_changes

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
BY_UNITS = "by the units that changed"


def gold_of(outcomes: list[Outcome]) -> Outcome:
    (found,) = (o for o in outcomes if o.layer == "gold")
    return found


def versions(shop: SmallShop) -> dict[str, set[tuple[Any, ...]]]:
    """The rows of each gold table with the version that Postgres has of each: one that is touched has another."""
    return {t: set(shop.ask(f"select xmin::text, {', '.join(c.key)} from gold.{t}"))
            for t, c in shop.lakehouse.contracts["gold"].items()}  # fmt: skip


def missed(shop: SmallShop, run_id: str) -> dict[str, int]:
    """What the audit of a run found, by table; of tables that it looked at."""
    query = "select table_name, unexpected from ops.quality_results where rule = 'units_missed' and run_id = '{}'"
    return dict(shop.ask(query.format(run_id)))


def test_nights_by_units_touch_what_changed_and_the_audit_finds_what_they_miss(
    postgres: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = SmallShop(postgres, "units", tmp_path / "lake")
    first = gold_of(shop.live(1))
    follow_changes(monkeypatch)
    monkeypatch.setattr(audit, "NIGHTS", 10**9)
    second, before = gold_of(shop.live(2)), versions(shop)
    assert BY_UNITS not in first.message
    assert BY_UNITS in second.message

    # A line of the second day moves to the first day's order.
    shop.write(
        shop.source, f"update order_items set order_id = 'O1', updated_at = '{day(3)}' where order_item_id = 'I2'"
    )
    assert BY_UNITS in gold_of(shop.run(3)).message
    stood = {t: len(rows & before[t]) for t, rows in versions(shop).items()}
    # UNKNOWN and no other customer; no order of another customer; stock there is none.
    assert stood["dim_customers"] == 1
    assert stood["fact_customer_orders"] == 0
    followed = shop.hashes()
    rebuild(shop.lakehouse, "gold")
    assert shop.hashes() == followed

    # Files are joined, units miss what they should name, and a row is changed by hand.
    maintain(shop.lakehouse)
    monkeypatch.setattr(dim_products, "units", none_of_them)
    SmallShop.write(shop.gold, "update gold.dim_customers set city = 'elsewhere' where customer_id = 'C1'")
    assert BY_UNITS in gold_of(shop.live(4)).message
    wrong = shop.hashes()
    monkeypatch.setattr(audit, "NIGHTS", 1)
    night = gold_of(shop.live(5))
    found = missed(shop, night.run_id)
    # Of products P4 and P5 are not there, and P1 has another price; of customers the one that was changed by hand.
    assert {t: rows for t, rows in found.items() if rows} == {"dim_products": 3, "dim_customers": 1}
    assert len(found) == 6
    repaired = shop.hashes()
    rebuild(shop.lakehouse, "gold")
    assert shop.hashes() == repaired != wrong

    # A row that a change touches breaks a rule that no row broke as gold was published: somebody else wrote it.
    monkeypatch.setattr(audit, "NIGHTS", 10**9)
    SmallShop.write(shop.gold, "update gold.fact_customer_orders set line_count = -1 where order_id = 'O5'")
    shop.write(
        shop.source, f"update order_items set order_id = 'O1', updated_at = '{day(6)}' where order_item_id = 'I5'"
    )
    assert BY_UNITS not in gold_of(shop.run(6)).message
    written = shop.hashes()
    rebuild(shop.lakehouse, "gold")
    assert shop.hashes() == written != repaired
    shop.close()


def none_of_them(changed_products: DataFrame, changed_fact_daily_sales: DataFrame) -> tuple[DataFrame]:
    """Units that miss every product."""
    return (changed_products.select("product_id").limit(0),)

"""A shop is taken back by days, and goes forward again to the very same content."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lakehouse.contracts import LAYERS, Contracts
from lakehouse.errors import BusyError, LedgerError
from lakehouse.upkeep import rewind
from lakehouse.upkeep.locks import locked
from lakehouse.upkeep.maintain import maintain
from lakehouse.upkeep.verify import verify
from tests.e2e.small_shop import Hashes, SmallShop, day

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def rewound(shop: SmallShop, to: int) -> rewind.Plan:
    with locked(shop.lakehouse) as leases:
        plan = rewind.plan(shop.lakehouse, day(to))
        if not plan.is_empty:
            rewind.run(shop.lakehouse, plan, leases, "a test")
    return plan


@pytest.fixture(scope="module")
def lived(
    postgres: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[SmallShop, dict[int, Hashes], Any]]:
    """Four days of a shop, with what it held after each."""
    shop, after = SmallShop(postgres, "rewind", tmp_path_factory.mktemp("rewind")), {}
    for n in range(1, 5):
        shop.live(n)
        after[n] = shop.hashes()
    yield shop, after, shop.sums()
    shop.close()


def test_back_by_three_days_and_forward_again_gives_the_same_content(
    lived: tuple[SmallShop, dict[int, Hashes], Any],
) -> None:
    shop, after, sums = lived
    brought = shop.ask("select count(*) from ops.runs where layer = 'bronze' and state = 'published'")

    plan = rewound(shop, 1)

    assert [(r["layer"], r["runs_taken_back"]) for r in plan.rows()] == [("bronze", 3), ("silver", 3), ("gold", 3)]
    assert shop.hashes() == after[1], "one consistent set, in the lake and in gold"
    assert shop.ask("select distinct business_date from ops.published") == [(day(1),)]
    assert shop.ask("select count(*) from ops.runs where state = 'rewound'") == [(9,)]
    assert shop.ask("select action, reason from ops.actions") == [("rewind", "a test")]

    for n in (2, 3, 4):
        assert [o.state for o in shop.run(n)] == ["published"] * 3
        assert shop.hashes() == after[n], "images that the source has overwritten since came back from bronze itself"
    assert shop.sums() == sums
    assert brought <= shop.ask("select count(*) from ops.runs where layer = 'bronze' and state = 'published'")
    assert [o.state for o in shop.run(4)] == ["covered"] * 3


def test_what_a_rewind_cannot_do_it_refuses_and_nothing_changes(
    lived: tuple[SmallShop, dict[int, Hashes], Any],
) -> None:
    shop, after, _ = lived
    with pytest.raises(LedgerError, match=r"nothing was published as of 2019-12-31: the first day is 2020-01-01"):
        rewind.plan(shop.lakehouse, day(0))
    assert rewind.plan(shop.lakehouse, day(9)).is_empty
    with shop.lakehouse.ledger.alone("silver"), ExitStack() as locks, pytest.raises(BusyError):
        locks.enter_context(locked(shop.lakehouse))
    assert shop.hashes() == after[4]


def test_broken_off_before_the_publish_nothing_has_moved_and_the_same_command_completes(
    lived: tuple[SmallShop, dict[int, Hashes], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, after, _ = lived

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(shop.lakehouse.gold, "publish", interrupted)
        with pytest.raises(KeyboardInterrupt):
            rewound(shop, 3)
    assert shop.hashes() == after[4]
    rewound(shop, 3)
    assert shop.hashes() == after[3]
    shop.run(4)
    assert shop.hashes() == after[4]


def test_maintenance_keeps_what_is_published_and_what_a_rewind_set_aside(
    lived: tuple[SmallShop, dict[int, Hashes], Any],
) -> None:
    shop, after, _ = lived
    rewound(shop, 3)
    # Nothing is young enough to be kept for its age.
    shop.lakehouse.settings = shop.lakehouse.settings.model_copy(update={"retention": timedelta(0)})
    told = maintain(shop.lakehouse, dry_run=True)
    assert shop.hashes() == after[3]

    done = maintain(shop.lakehouse)

    files = sum(r["files"] for r in done if r["layer"] in ("bronze", "silver", "quarantine"))
    assert files == sum(r["files"] for r in told if r["layer"] in ("bronze", "silver", "quarantine")) > 0
    assert sum(r["bytes_after"] or 0 for r in done) < sum(r["bytes_before"] or 0 for r in done)
    assert shop.ask("select count(*) from ops.quality_results") == [(0,)]
    assert shop.hashes() == after[3]
    with pytest.raises(
        LedgerError, match=r"as of 2020-01-01 is not kept any more \(.*silver\.products.*LAKEHOUSE_RETENTION"
    ):
        rewind.plan(shop.lakehouse, day(1))
    shop.run(4)
    assert shop.hashes() == after[4], "what the rewind had set aside was still there"
    assert [c.row() for c in verify(shop.lakehouse) if not c.holds] == []


def test_a_column_that_widened_on_a_day_that_was_taken_back_comes_back_wide(postgres: Any, tmp_path: Path) -> None:
    shop = SmallShop(postgres, "rewind_wide", tmp_path / "lake")
    contracts = shop.lakehouse.contracts
    evolves = contracts["bronze"]["orders"].model_copy(update={"drift_policy": "evolve"})
    others = (c for layer in LAYERS for c in contracts[layer].values() if c.id != evolves.id)
    shop.lakehouse.contracts = Contracts([*others, evolves])
    shop.live(1)
    SmallShop.write(shop.source, "alter table orders add points integer default 3")
    shop.live(2)
    SmallShop.write(shop.source, "alter table orders alter points type bigint, alter points set default 30000000000")
    shop.live(3)
    after, points = shop.hashes(), sorted((r["order_id"], str(r["points"])) for r in shop.pipeline.bronze("orders"))
    assert ("O3", "30000000000") in points
    for back in (2, 1):
        rewound(shop, back)
        shop.run(3)
        assert shop.hashes() == after
        assert sorted((r["order_id"], str(r["points"])) for r in shop.pipeline.bronze("orders")) == points
    shop.close()

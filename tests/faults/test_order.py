"""A backfill of five days in any order, beside the run of the newest day, ends where days in their order do."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lakehouse.errors import BusyError, NotYetError
from tests.e2e.small_shop import EVERY_DAY, SmallShop, day

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
LAKEHOUSE = Path(sys.executable).parent / "lakehouse"
BACKFILLED, NEWEST = range(2, 7), 7


def opened(postgres: Any, name: str, folder: Path) -> SmallShop:
    """A shop that has lived through seven days, of which the first is published."""
    shop = SmallShop(postgres, name, folder / "lake", home=folder / "home")
    shop.live(1)
    for n in (*BACKFILLED, NEWEST):
        shop.write(shop.source, EVERY_DAY.format(n=n, next=n + 1, day=day(n).isoformat()))
    return shop


@pytest.fixture(scope="module")
def in_order(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    shop = opened(postgres, "in_order", tmp_path_factory.mktemp("in-order"))
    shop.run(*BACKFILLED, NEWEST)
    yield shop.hashes()
    shop.close()


@pytest.mark.fault("F20")
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_days_in_any_order_beside_the_newest_are_days_in_order(
    postgres: Any, tmp_path: Path, in_order: dict[str, Any], seed: int
) -> None:
    """The backfill begins at once, while the newest day is in bronze, or while it is in silver."""
    shop = opened(postgres, f"in_order_{seed}", tmp_path)
    order = random.Random(seed).sample(BACKFILLED, len(BACKFILLED))
    daily = _newest(shop, tmp_path)
    at_work = {2: "bronze", 3: "silver"}.get(seed)
    try:
        while at_work and not shop.ask(f"select 1 from ops.runs where layer = '{at_work}' and state = 'running'"):
            assert daily.poll() is None, (tmp_path / "run.log").read_text()[-3000:]
            time.sleep(0.05)
        for n in order:
            _patiently(shop, n)
        while (code := daily.wait(timeout=300)) in (10, 12):  # as a scheduler does
            daily = _newest(shop, tmp_path)
        assert code == 0, (tmp_path / "run.log").read_text()[-3000:]
    finally:
        daily.kill()
    shop.close()
    shop.open()
    assert shop.hashes() == in_order, f"in the order {order}"
    twice = "select layer, business_date from ops.runs where state = 'published' group by 1, 2 having count(*) > 1"
    assert shop.ask(twice) == []
    shop.close()


def _newest(shop: SmallShop, folder: Path) -> subprocess.Popen[bytes]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LAKEHOUSE_", "AWS_", "PYSPARK_", "SPARK_"))}
    settings = {
        "LAKEHOUSE_SOURCE_DSN": shop.source, "LAKEHOUSE_GOLD_DSN": shop.gold, "LAKEHOUSE_TIMEZONE": "UTC",
        "LAKEHOUSE_LAKE": shop.lake.as_uri(), "LAKEHOUSE_HOME": str(folder / "home"),
    }  # fmt: skip
    command = [LAKEHOUSE, "run", "day", "--date", day(NEWEST).isoformat()]
    with (folder / "run.log").open("ab") as log:
        return subprocess.Popen(command, env={**kept, **settings}, stdout=log, stderr=log)


def _patiently(shop: SmallShop, n: int) -> None:
    """A day; where another run is at work, it is waited for as a scheduler waits."""
    deadline = time.monotonic() + 300
    while True:
        try:
            shop.run(n)
            return
        except (BusyError, NotYetError):
            assert time.monotonic() < deadline
            time.sleep(0.5)

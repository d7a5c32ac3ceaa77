"""Sixty random days: rows made, changed, deleted, late, handed to other parents, broken and repaired. After each of them
what the nights have made of silver, quarantine and gold is what a rebuild makes."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from lakehouse.runs.rebuild import rebuild
from tests.e2e.small_shop import Hashes, SmallShop, bring_back, dump, follow_changes
from tests.e2e.test_deletes import NO_KEYS, broken, content, happenings

pytestmark = [pytest.mark.e2e, pytest.mark.endurance, pytest.mark.timeout(7200)]
NIGHTS = int(os.environ.get("NIGHTS", "60"))
SEED = int(os.environ.get("SEED", "60"))


def rebuilt(shop: SmallShop, postgres: Any, folder: Path) -> tuple[dict[str, list[Any]], Hashes]:
    """The content that a rebuild makes, in a copy of the lakehouse: the shop goes on from what its nights have made."""
    copy = SmallShop(postgres, "rebuilt", folder, NO_KEYS)
    copy.close()
    bring_back(copy.gold, dump(shop.gold))
    shutil.copytree(shop.lake, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("home"))
    copy.source = shop.source
    copy.open()
    for layer in ("silver", "gold"):
        rebuild(copy.lakehouse, layer)
    found = content(copy), copy.hashes()
    copy.close()
    shutil.rmtree(folder)
    return found


def test_after_each_of_many_random_days_a_rebuild_changes_nothing(
    postgres: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As in a big shop: keys are looked up, gold stages what differs, and follows what changed.
    monkeypatch.setattr("lakehouse.layers.candidates.MANY_HELD", -1)
    monkeypatch.setattr("lakehouse.warehouse.gold.MANY_ROWS", 0)
    follow_changes(monkeypatch)
    shop, draw = SmallShop(postgres, "random_days", tmp_path / "lake", NO_KEYS), random.Random(SEED)
    for n in range(1, NIGHTS + 1):
        shop.write(shop.source, happenings(draw, n))
        *_, gold = shop.run(n)
        assert ("by the units that changed" in gold.message) == (n > 1)
        assert rebuilt(shop, postgres, tmp_path / "rebuilt") == (content(shop), shop.hashes()), (
            f"day {n} of seed {SEED}"
        )
        print(f"day {n} of seed {SEED}: a rebuild changes nothing", flush=True)  # noqa: T201 - hours of work, told day by day
    assert broken(shop) == []
    shop.close()

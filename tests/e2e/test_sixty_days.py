"""Sixty days of real sales with everything that a year brings: maintenance, a rewind, a rerun, rebuilds; the same content."""

from __future__ import annotations

import os
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from lakehouse.business_date import BusinessDate
from lakehouse.runs.rebuild import rebuild
from lakehouse.upkeep import again, rewind
from lakehouse.upkeep.locks import locked
from lakehouse.upkeep.maintain import maintain
from lakehouse.upkeep.verify import verify
from lakehouse.wiring import Lakehouse
from tests.e2e.test_samples_by_day import HASHES, LAST, TOTALS, Sample

pytestmark = [pytest.mark.e2e, pytest.mark.endurance, pytest.mark.timeout(7200)]
# Fewer for a quicker look: an hour and more goes by on two slow cores.
NIGHTS = int(os.environ.get("NIGHTS", "60"))
FIRST = LAST - timedelta(days=NIGHTS - 1)
# Every so many days, as if all that is not published were a month old.
MAINTAINED_EVERY = min(10, NIGHTS // 2)


def broken(lakehouse: Lakehouse) -> list[Any]:
    with locked(lakehouse):
        return [c.row() for c in verify(lakehouse) if not c.holds]


def kept_small(lakehouse: Lakehouse) -> tuple[int, int]:
    """Maintains the lakehouse; its bytes before and after."""
    rows = maintain(lakehouse)
    return sum(r["bytes_before"] or 0 for r in rows), sum(r["bytes_after"] or 0 for r in rows)


def test_sixty_days_end_as_if_they_were_one(
    postgres: Any, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    lake: Path = tmp_path_factory.mktemp("sixty-days")
    sample = Sample(postgres, "online_retail", "sixty_days", lake, FIRST)
    lakehouse = sample.pipeline.lakehouse
    lakehouse.settings = lakehouse.settings.model_copy(update={"retention": timedelta(0)})
    sizes = []
    for n in range(NIGHTS):
        day = FIRST + timedelta(days=n)
        sample.shop.advance(sample.source, day, lambda _: None)
        sample.pipeline.run_day(day)
        if day in TOTALS:
            assert sample.totals() == TOTALS[day], day
        if n % MAINTAINED_EVERY == MAINTAINED_EVERY - 1 and day < LAST - timedelta(days=3):
            sizes.append(kept_small(lakehouse))
    gold, silver = sample.hashes()
    assert gold == HASHES

    with locked(lakehouse) as leases:
        plan = rewind.plan(lakehouse, LAST - timedelta(days=3))
        rewind.run(lakehouse, plan, leases, "a test")
    assert sample.totals() == TOTALS[LAST - timedelta(days=3)]
    assert broken(lakehouse) == []
    for n in (2, 1, 0):
        sample.pipeline.run_day(LAST - timedelta(days=n))
        assert sample.totals() == TOTALS[LAST - timedelta(days=n)]
    assert sample.hashes() == (gold, silver)

    covered = BusinessDate(date(2011, 12, 8), lakehouse.settings.zone)
    again.rerun(lakehouse, again.plan(lakehouse, covered, ("bronze", "silver", "gold")), "a test")
    assert sample.hashes() == (gold, silver)
    for layer in ("silver", "gold"):
        rebuild(lakehouse, layer, reason="a test")
    sizes.append(kept_small(lakehouse))
    assert all(after < before for before, after in sizes), sizes
    assert sample.hashes() == (gold, silver)
    assert broken(lakehouse) == []
    told = "".join(f"\n{before:14,} {after:14,}" for before, after in sizes)
    with capsys.disabled():
        sys.stdout.write(f"\nbytes of the lake before and after each maintenance{told}\n")

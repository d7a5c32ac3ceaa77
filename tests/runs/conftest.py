"""A lakehouse of fakes that has lived a day, for repairs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from lakehouse.business_date import BusinessDate
from lakehouse.lake.files import answering
from lakehouse.lake.log import Log
from lakehouse.runs import day as days
from tests.fakes import FakeLedger, fake_lakehouse, replace_bodies

DAY = BusinessDate(date(2020, 1, 2), ZoneInfo("UTC"))


@pytest.fixture
def lived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Fakes after a day of three layers; `actions`: what persons did, and why. Of each table versions 0 to 2 can be loaded."""
    replace_bodies(monkeypatch)
    made = fake_lakehouse(tmp_path)
    ledger, lake = made.ledger, made.lake
    days.run(made, "day", DAY)
    made.actions, ledger.pinned = [], []

    @contextmanager
    def connection() -> Iterator[Any]:
        yield SimpleNamespace(cursor=lambda: cursor())

    @contextmanager
    def cursor() -> Iterator[FakeLedger]:
        yield ledger

    ledger.database = SimpleNamespace(connection=connection)
    ledger.lease.unwatch = lambda: None
    ledger.record_action = lambda _, action, reason, plan, by_whom: made.actions.append((action, reason, plan))
    ledger.kept_versions = ledger.needed_versions = lambda *_: {}
    ledger.forget_quality = lambda *_: ledger.steps("forget results") or 4
    ledger.old_results = lambda *_: 4
    ledger.pins = lambda: [dict(zip(("layer", "table", "version"), p, strict=True)) for p in ledger.pinned]
    ledger.pin = lambda _, *which: ledger.pinned.append(which[:3])
    ledger.unpin = lambda _, *which: ledger.pinned.remove(which)
    made.pages.forget = lambda _: ledger.steps("forget pages") or 5
    made.pages.older_than = lambda _: 5
    lake.answering = lambda: answering("file:///lake")
    lake.marks = lambda _: None
    lake.log = lambda *_: Log(frozenset(range(3)), frozenset())
    ledger.steps.clear()
    return made

"""Adopting on a real ledger over a fake lake: whatever a backup holds, one adopt makes the next run of bronze possible.

What rows and windows are is tested with Spark and a shop; here it is which runs the ledger takes in, and which not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from lakehouse.business_date import BusinessDate, last_over
from lakehouse.database import Database
from lakehouse.errors import LedgerError, StoreError
from lakehouse.frame.run import opened
from lakehouse.ledger import Ledger
from lakehouse.records import TableRun
from lakehouse.upkeep import adopt
from lakehouse.upkeep.locks import locked
from tests.e2e.small_shop import bring_back, dump
from tests.fakes import CONTRACTS, FakeLake, Steps, fake_lakehouse

pytestmark = pytest.mark.integration
AT = datetime(2020, 1, 1, tzinfo=UTC)
UNDONE = "be undone: the lake was not told that it was published"


def on(n: int) -> BusinessDate:
    return BusinessDate(date(2020, 1, n), ZoneInfo("UTC"))


def counted(lakehouse: Any, table: str, version: int) -> adopt.Counted:
    """Rows of each run in a version, by the commits of the fake lake."""
    rows: Counter[str] = Counter()
    for c in reversed(lakehouse.lake.tables["bronze", table][: version + 1]):
        if c.operation == "RESTORE" and c.version <= version:
            version = c.facts["version"]
        elif c.version <= version and c.rows:
            rows[c.run] += c.rows
    return {run_id: (n, AT, 0) for run_id, n in rows.items()}


class Story:
    """One lake of its own, and a gold database that can be lost and come back from a backup."""

    def __init__(self, postgres: Any, home: Path) -> None:
        self.postgres, self.home, self.lake = postgres, home, FakeLake(Steps())
        self.runs: dict[int, str] = {}
        self.lakehouse: Any = None
        self.open()

    def open(self, backup: bytes = b"") -> None:
        """A new gold database, with what a backup holds."""
        self.close()
        self.dsn = self.postgres.create_database("adopt_fake")
        bring_back(self.dsn, backup)
        ledger = Ledger(Database(self.dsn, "gold", StoreError))
        self.lakehouse = fake_lakehouse(self.home, ledger=ledger, lake=self.lake)
        ledger.prepare("UTC")

    def close(self) -> None:
        if self.lakehouse:
            self.lakehouse.ledger.database.close()

    def bring(self, n: int, rows: dict[str, int], *, fails: bool = False, told: bool = True) -> bytes:
        """A day of bronze; returns a backup made while it was at work. `told`: whether the lake heard of its publish."""
        self.lake.steps.breaks = {} if told else {"mark bronze": StoreError("killed")}
        with opened(self.lakehouse, "bronze", on(n)) as run:
            self.runs[n] = run.record.run_id
            run.restore("bronze", {**CONTRACTS["bronze"], **rows})
            start, end = on(n - 1).end if n > 1 else None, on(n).end
            done = []
            for table, count in rows.items():
                version = self.lake.write("bronze", table, count)
                held = self.lake.tables["bronze", table]
                facts = {
                    "window_start": start and start.isoformat(),
                    "window_end": end.isoformat(),
                    "snapshot": f"{n}:{n}:",
                }
                held[version] = replace(
                    held[version], facts=facts, business_date=on(n).day, timestamp=AT + timedelta(n)
                )
                done.append(
                    TableRun(table, version, count, count, window_start=start, window_end=end, snapshot=f"{n}:{n}:")
                )
            backup = dump(self.dsn)
            if fails:
                raise StoreError("away")
            run.publish({"bronze": done}, {"bronze": {t: {} for t in rows}}, "")
        return backup

    def set_back_to_the_first_day(self) -> None:
        """What a rewind publishes of bronze: the first version of orders, as a new one."""
        with opened(self.lakehouse, "bronze", on(1)) as run:
            run.enter_lake()
            orders = TableRun("orders", self.lake.restore("bronze", "orders", 0))
            run.publish({"bronze": [orders]}, {"bronze": {"orders": {}}}, "")

    def adopt(self, ledger_id: str | None = None) -> list[tuple[Any, ...]]:
        """What the plan says of each run, carried out."""
        with locked(self.lakehouse) as leases:
            plan = adopt.plan(self.lakehouse, ledger_id)
            if not plan.is_empty:
                adopt.run(self.lakehouse, plan, leases, "lost")
        return [(r["run_id"], r["rows"], r["would"]) for r in plan.rows()]

    def rows(self) -> dict[str, int]:
        """Rows of each table as published, by the lake itself."""
        pointers = self.lakehouse.ledger.published("bronze")
        return {t: sum(n for n, _, _ in counted(self.lakehouse, t, p.version).values()) for t, p in pointers.items()}

    def refused(self) -> None:
        before = {at: list(held) for at, held in self.lake.tables.items()}
        with pytest.raises(LedgerError, match="lakehouse adopt"):
            self.bring(9, {})
        assert self.lake.tables == before


@pytest.fixture
def story(postgres: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Story]:
    monkeypatch.setattr(adopt, "_counted", counted)
    made = Story(postgres, tmp_path)
    yield made
    made.close()


def test_a_run_at_work_when_the_backup_was_made_and_published_since_is_taken_in(story: Story) -> None:
    story.bring(1, {"orders": 3})
    backup = story.bring(2, {"orders": 25, "products": 4})
    story.open(backup)
    story.refused()
    assert story.adopt() == [(story.runs[2], 29, "be taken in")]
    assert story.lakehouse.ledger.state(story.runs[2]) == "published"
    assert story.adopt() == []
    story.bring(3, {"orders": 1})
    assert story.rows() == {"orders": 29, "products": 4}


def test_what_was_published_without_the_lake_being_told_is_named_before_it_is_undone(story: Story) -> None:
    story.bring(1, {"orders": 3})
    story.bring(2, {"orders": 25, "products": 4}, told=False)
    lost = story.lakehouse.ledger.identity()
    story.open()
    assert story.adopt(lost) == [(story.runs[1], 3, "be taken in"), (story.runs[2], 29, UNDONE)]
    story.bring(3, {"orders": 1})
    assert story.rows() == {"orders": 4}
    assert story.lakehouse.ledger.state(story.runs[2]) == "abandoned"


def test_a_run_that_failed_after_the_backup_does_not_shut_bronze_for_ever(story: Story) -> None:
    backup = story.bring(1, {"orders": 3})
    story.open(backup)
    story.adopt()
    backup = dump(story.dsn)
    with pytest.raises(StoreError):
        story.bring(5, {"orders": 25, "products": 4}, fails=True)
    story.open(backup)
    story.refused()
    assert story.adopt() == [(story.runs[5], 29, UNDONE)]
    last = story.lakehouse.ledger.last("bronze")
    assert last.as_of == on(1).day, "nothing of a later day was published"
    story.bring(2, {"orders": 1})
    assert story.rows() == {"orders": 4}


def test_what_a_rewind_took_out_after_the_backup_is_not_lost_by_adopting(story: Story) -> None:
    story.bring(1, {"orders": 3})
    story.bring(2, {"orders": 25})
    backup = dump(story.dsn)
    story.set_back_to_the_first_day()
    with pytest.raises(StoreError):
        story.bring(3, {"orders": 1}, fails=True)
    story.open(backup)
    story.refused()
    assert story.adopt() == [(story.runs[3], 1, UNDONE)]
    story.bring(3, {"orders": 2})
    assert story.rows() == {"orders": 30}


def test_an_adopt_that_was_killed_before_it_told_the_lake_does_not_shut_bronze_after_a_rewind(story: Story) -> None:
    story.bring(1, {"orders": 3})
    story.bring(2, {"orders": 25})
    backup = dump(story.dsn)
    story.set_back_to_the_first_day()
    story.bring(3, {"orders": 1})
    story.open(backup)
    story.refused()
    story.lake.steps.breaks = {"mark bronze": StoreError("killed")}
    assert story.adopt() == [(story.runs[3], 1, UNDONE)]
    story.refused()
    assert story.adopt() == [(None, 0, "stay as the ledger has them: the lake was told of a rewind")]
    story.bring(3, {"orders": 2})
    assert story.rows() == {"orders": 30}
    assert story.adopt() == []


def test_a_lake_of_another_zone_is_not_taken_in_as_its_dates_would_move(story: Story) -> None:
    story.bring(1, {"orders": 3})
    lost = story.lakehouse.ledger.identity()
    story.open()
    story.lakehouse.settings = story.lakehouse.settings.model_copy(update={"timezone": "Europe/Berlin"})
    with pytest.raises(
        LedgerError, match=r"another zone than Europe/Berlin: there 2020-01-01 ended at 2020-01-02T00:00"
    ):
        story.adopt(lost)
    assert not story.lakehouse.ledger.ever_published()


def test_a_table_whose_contract_was_taken_away_is_taken_in_with_the_others(story: Story) -> None:
    story.bring(1, {"orders": 3, "retired": 5})
    lost = story.lakehouse.ledger.identity()
    story.open()
    assert story.adopt(lost) == [(story.runs[1], 8, "be taken in")]
    shapes = {t: p.shape for t, p in story.lakehouse.ledger.published("bronze").items()}
    assert shapes == {"orders": CONTRACTS["bronze"]["orders"].shape, "retired": {}}


def test_a_run_is_of_the_day_that_its_commits_say_and_an_adopt_of_nothing_of_the_last_day_that_is_over(
    story: Story,
) -> None:
    story.bring(1, {"orders": 3})
    for table, held in story.lake.tables.items():
        facts = {"window_end": on(7).end.isoformat()}
        story.lake.tables[table] = [
            replace(c, business_date=date(2020, 1, 7), facts={**c.facts, **facts}) for c in held
        ]
    lost = story.lakehouse.ledger.identity()
    story.open()
    with locked(story.lakehouse):
        assert [r.business_date for r in adopt.plan(story.lakehouse, lost).runs] == [date(2020, 1, 7)]
    story.lake.tables.clear()
    story.lake.mark("bronze", lost, "bronze-1", {})
    assert story.adopt(lost) == []
    newest = story.lakehouse.ledger.recent()[0]
    assert (newest["state"], newest["business_date"]) == ("covered", last_over(ZoneInfo("UTC")))


def test_a_lake_that_does_not_say_what_was_published_is_left_alone(story: Story) -> None:
    backup = dump(story.dsn)
    story.bring(1, {"orders": 3}, told=False)
    story.open(backup)
    story.refused()
    with pytest.raises(LedgerError, match="does not say which versions of bronze had been published"):
        story.adopt()

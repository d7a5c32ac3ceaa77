"""A ledger of yesterday over a lake of today: a run of bronze is refused before it has touched anything.

On fakes alone. What the ledger does not know as published, the source may have overwritten since: only the lake has it.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from lakehouse.business_date import BusinessDate
from lakehouse.errors import LedgerError
from lakehouse.frame.run import opened
from lakehouse.lake.reading import LostError
from lakehouse.records import Marks, Published, Stamped
from tests.fakes import Row, fake_lakehouse

pytestmark = pytest.mark.unit
DAY = BusinessDate(date(2020, 1, 2), ZoneInfo("UTC"))


class Story:
    """Bronze as its runs left it: commits by table, pointers of the ledger, and what the lake was told."""

    def __init__(self, home: Path) -> None:
        self.lakehouse: Any = fake_lakehouse(home)
        self.lakehouse.lake.owner = "ours"

    def run(self, run_id: str, state: str | None) -> None:
        """How a run stands in the ledger; None: the ledger does not know it."""
        if state is not None:
            self.lakehouse.ledger.runs[run_id] = Row("bronze", date(2020, 1, 1), state)

    def commit(self, table: str, run_id: str, rows: int, operation: str = "WRITE") -> None:
        held = self.lakehouse.lake.tables.setdefault(("bronze", table), [])
        held.append(Stamped(len(held), operation, "ours", run_id, "bronze", {}, rows, datetime.now(UTC)))

    def point(self, table: str, version: int, run_id: str) -> None:
        pointer = Published(table, version, run_id, date(2020, 1, 1), {})
        self.lakehouse.ledger.pointers.setdefault("bronze", {})[table] = pointer

    def tell(self, run_id: str, ledger: str = "ours", **versions: int) -> None:
        self.lakehouse.lake.kept["bronze"] = Marks(ledger, run_id, versions)

    def restore(self, *tables: str) -> list[str]:
        """Opens a run of bronze that restores tables; what it did to the lake."""
        before = len(self.lakehouse.steps)
        with opened(self.lakehouse, "bronze", DAY) as run:
            run.restore("bronze", tables)
            run.cover("nothing to do")
        return [s for s in self.lakehouse.steps[before:] if s.startswith(("restore", "clear"))]

    def refused(self, words: str, *tables: str) -> None:
        """A run is refused, as is its retry, and the lake is as it was."""
        before = {at: list(held) for at, held in self.lakehouse.lake.tables.items()}
        for _ in range(2):
            with pytest.raises(LedgerError, match=words):
                self.restore(*tables)
        assert self.lakehouse.lake.tables == before
        assert not [s for s in self.lakehouse.steps if s.startswith(("restore", "clear", "write"))]


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(tmp_path)


def test_a_table_that_was_first_published_after_the_backup_is_not_emptied(story: Story) -> None:
    story.commit("orders", "lost", 25)
    story.refused(r"bronze\.orders holds 25 rows of 1 runs that this ledger does not know .* lakehouse adopt", "orders")


def test_every_table_is_looked_at_before_the_first_is_touched(story: Story) -> None:
    story.run("dead", "failed")
    story.commit("customers", "dead", 3)
    story.commit("orders", "lost", 25)
    story.refused(r"bronze\.orders holds 25 rows", "customers", "orders")


def test_a_backup_of_before_what_the_lake_still_keeps_is_told_to_adopt_and_not_to_restore_the_lake(
    story: Story,
) -> None:
    story.run("first", "published")
    story.commit("orders", "first", 3)
    story.point("orders", 0, "first")
    story.commit("orders", "lost", 25)
    head = story.lakehouse.lake.head

    def cleaned_up(layer: str, table: str, known: int | None = None) -> int | None:
        if known == 0:
            raise LostError("version 0 is cleaned up")
        return head(layer, table)

    story.lakehouse.lake.head = cleaned_up
    story.refused(r"bronze\.orders holds 25 rows of 1 runs that this ledger does not know .* lakehouse adopt", "orders")


def test_a_run_that_was_at_work_in_the_backup_and_published_since_is_not_taken_for_a_dead_one(story: Story) -> None:
    story.run("first", "published")
    story.run("second", "running")
    for table in ("orders", "products"):
        story.commit(table, "first", 3)
    story.point("orders", 0, "first")
    story.commit("orders", "second", 25)
    story.tell("second", orders=1, products=0)
    story.refused(r"bronze\.orders holds 25 rows of 1 runs", "orders")
    # A run that looks at other tables only is refused too: its publish would tell the lake of older versions.
    story.refused(r"bronze\.orders holds 25 rows of 1 runs", "customers")


def test_a_dead_run_of_which_the_lake_was_not_told_is_restored_away(story: Story) -> None:
    story.run("first", "published")
    story.run("dead", "running")
    story.commit("orders", "first", 3)
    story.point("orders", 0, "first")
    story.tell("first", orders=0)
    story.commit("orders", "dead", 25)
    story.commit("customers", "dead", 25)
    assert story.restore("orders", "customers") == ["restore bronze.orders to 0", "clear bronze.customers"]


@pytest.mark.parametrize("state", ["published", "rewound", "maintained"])
def test_pointers_that_the_ledger_moved_since_it_told_the_lake_are_no_lost_rows(story: Story, state: str) -> None:
    """As a rewind that was killed before it told: it took one table back to its first day, and another out."""
    story.run("first", "published")
    story.run("second", state)
    for run_id in ("first", "second"):
        story.commit("orders", run_id, 3)
    story.commit("products", "second", 3)
    story.tell("second", orders=1, products=0)
    story.run("rewind", "published")
    story.commit("orders", "rewind", 0, "RESTORE")
    story.point("orders", 2, "rewind")
    assert story.restore("orders", "products") == ["clear bronze.products"]


def test_what_a_lake_was_told_by_another_ledger_says_nothing_of_this_one(story: Story) -> None:
    story.run("dead", "failed")
    story.commit("orders", "dead", 3)
    story.tell("of theirs", "theirs", orders=0)
    assert story.restore("orders") == ["clear bronze.orders"]


def test_a_compaction_of_a_run_that_the_ledger_does_not_know_loses_nothing_and_goes_back(story: Story) -> None:
    story.run("first", "published")
    story.commit("orders", "first", 3)
    story.point("orders", 0, "first")
    story.commit("orders", "maintenance after the backup", 0, "OPTIMIZE")
    story.tell("maintenance after the backup", orders=1)
    assert story.restore("orders") == ["restore bronze.orders to 0"]

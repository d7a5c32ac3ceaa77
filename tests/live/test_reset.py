"""What a night has brought leaves the live tables, and nothing else: given rows and the night's snapshot."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from pyspark.sql import SparkSession

from lakehouse.lake.delta import Lake
from lakehouse.live.reset import Resets, clear, seen
from lakehouse.live.status import today
from lakehouse.records import Extracted, Published
from lakehouse.settings import Settings
from tests.live.conftest import LiveTable, event
from tests.tables import contract

pytestmark = pytest.mark.unit

MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)
BEFORE, AFTER = "2026-03-01 23:59:59", "2026-03-02 00:00:00"
SEEN, OPEN, LATER = 700, 705, 710
SNAPSHOT = "705:710:705,707|server|16384"


def brought(
    spark: SparkSession, snapshot: str, *rows: tuple[str, int, str | None, bool], keys_compared: bool = True
) -> set[str]:
    frame = spark.createDataFrame(list(rows), "name string, _tx bigint, at string, _deleted boolean")
    stamped = frame.selectExpr("name", "_tx", "cast(at as timestamp) as updated_at", "_deleted")
    return {row["name"] for row in stamped.where(seen(snapshot, MIDNIGHT, keys_compared=keys_compared)).collect()}


def test_rows_that_the_night_saw_before_the_end_of_its_day_are_brought(spark: SparkSession) -> None:
    assert brought(
        spark,
        SNAPSHOT,
        ("seen", SEEN, BEFORE, False),
        ("seen, of the next day", SEEN, AFTER, False),
        ("seen to be gone", SEEN, None, True),
        ("seen, and never of a day", SEEN, None, False),
        ("still open", OPEN, BEFORE, False),
        ("open, and gone by now", 707, None, True),
        ("done between two that were open", 706, BEFORE, False),
        ("begun later", LATER, BEFORE, False),
        ("gone later", LATER + 5, None, True),
    ) == {"seen", "seen to be gone", "seen, and never of a day", "done between two that were open"}


def test_numbers_of_transactions_that_began_at_zero_again_are_told_apart(spark: SparkSession) -> None:
    around = 7 * 2**32
    snapshot = f"{around - 2}:{around + 3}:{around - 2}||"
    assert brought(
        spark,
        snapshot,
        ("just before the turn", 2**32 - 1, BEFORE, False),
        ("open before the turn", 2**32 - 2, BEFORE, False),
        ("just after it", 2, BEFORE, False),
        ("later", 3, BEFORE, False),
    ) == {"just before the turn", "just after it"}


def test_of_a_night_that_compared_no_keys_rows_that_are_gone_stay(spark: SparkSession) -> None:
    rows = (("seen", SEEN, BEFORE, False), ("gone", SEEN, None, True))
    assert brought(spark, SNAPSHOT, *rows, keys_compared=False) == {"seen"}


class Nights:
    """The ledger as far as a reset asks it: the last night of order_items."""

    def __init__(self, *, compares: bool = True) -> None:
        self.compares, self.run, self.snapshot, self.end = compares, "", "", MIDNIGHT

    def night(self, run: str, snapshot: str, end: datetime) -> None:
        self.run, self.snapshot, self.end = run, snapshot, end

    def marks(self, _: object) -> dict[str, Extracted]:
        of = Extracted(self.run, "order_items", date(2026, 3, 1), None, self.end, self.snapshot, 1)
        return {"order_items": of} if self.run else {}

    def published(self, _: str) -> dict[str, Published]:
        seen = "2026-03-02 sum" if self.compares else None
        return {"order_items": Published("order_items", 1, self.run, date(2026, 3, 1), {}, seen)}


class Kept:
    """A live table of order_items in a lake, the nights of its ledger, and the resets of one stream."""

    def __init__(self, spark: SparkSession, folder: Path, nights: Nights) -> None:
        root = f"file://{folder / 'lake'}"
        self.settings, self.nights = Settings(home=folder, lake=root), nights
        self.table = LiveTable(spark, folder / "lake" / "live" / "order_items", contract("bronze.order_items"))
        self.lakehouse = SimpleNamespace(spark=spark, ledger=nights, lake=Lake(spark, root))
        self.resets = self.another_stream()

    def another_stream(self) -> Resets:
        return Resets(self.lakehouse, {"order_items": self.table.path})  # type: ignore[arg-type]

    def versions(self) -> int:
        return len(list((Path(self.table.path) / "_delta_log").glob("*.json")))


@pytest.fixture
def kept(spark: SparkSession, tmp_path: Path) -> Kept:
    return Kept(spark, tmp_path, Nights())


def test_what_a_night_has_brought_is_deleted_once_and_nothing_before_it(kept: Kept) -> None:
    kept.table.brings(event("c", "1", 20, tx=SEEN), event("d", "2", 21, tx=SEEN), event("c", "3", 22, tx=LATER))
    assert kept.resets.carry_out() == {}  # no night yet
    kept.nights.night("r1", SNAPSHOT, MIDNIGHT)
    assert kept.resets.carry_out(dry_run=True) == {"order_items": 2}
    assert kept.resets.carry_out() == {"order_items": 2}
    assert kept.table.rows() | kept.table.rows(gone=True) == {("3", "1")}
    before = kept.versions()
    assert kept.resets.carry_out() == {}
    assert kept.another_stream().carry_out() == {"order_items": 0}
    assert kept.versions() == before


def test_events_that_come_after_the_reset_of_their_night_are_deleted_too(kept: Kept) -> None:
    kept.nights.night("r1", SNAPSHOT, MIDNIGHT)
    kept.table.brings(event("c", "1", 20, tx=LATER))
    assert kept.resets.carry_out() == {"order_items": 0}
    # The stream was behind: a sale of yesterday, which the night saw, beside one of today.
    kept.table.brings(event("c", "2", 18, tx=SEEN), event("c", "3", 30, tx=LATER + 1))
    assert today(kept.settings)["lines"] == 3
    assert kept.resets.carry_out() == {"order_items": 1}
    assert (kept.table.rows(), today(kept.settings)["lines"]) == ({("1", "1"), ("3", "1")}, 2)


def test_a_row_that_is_gone_waits_for_a_night_that_compares_keys(kept: Kept) -> None:
    kept.nights.compares = False
    kept.table.brings(event("c", "1", 20, tx=SEEN), event("d", "2", 21, tx=SEEN))
    kept.nights.night("r1", SNAPSHOT, MIDNIGHT)
    assert kept.resets.carry_out() == {"order_items": 1}
    assert kept.table.rows(gone=True) == {("2", None)}
    kept.nights.compares = True
    assert kept.resets.carry_out() == {"order_items": 1}
    assert kept.table.rows(gone=True) == set()


def test_keys_that_another_run_of_the_table_compared_are_not_those_of_the_window(kept: Kept) -> None:
    kept.table.brings(event("d", "2", 21, tx=SEEN))
    kept.nights.night("r1", SNAPSHOT, MIDNIGHT)
    pointer = Published("order_items", 2, "r0-again", date(2026, 2, 1), {}, "2026-02-01 sum")
    kept.nights.published = lambda _: {"order_items": pointer}  # type: ignore[method-assign]
    assert kept.resets.carry_out() == {"order_items": 0}


def test_a_clear_that_is_cut_off_leaves_no_checkpoint_behind_tables_that_are_gone(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = kept.settings.home / "live"
    (folder / "checkpoint-1" / "commits").mkdir(parents=True)

    def interrupted(_: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as cut:
        cut.setattr(kept.lakehouse.lake.files, "delete_folder", interrupted)
        with pytest.raises(KeyboardInterrupt):
            clear(kept.lakehouse, folder, {"order_items": kept.table.path})  # type: ignore[arg-type]
    assert [f.name for f in folder.iterdir()] == ["gone-checkpoint-1"]
    clear(kept.lakehouse, folder, {"order_items": kept.table.path})  # type: ignore[arg-type]
    assert (list(folder.iterdir()), Path(kept.table.path).exists()) == ([], False)

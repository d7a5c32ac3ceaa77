"""The frame of a run: the order of its steps, what each failure leaves in the ledger, and that a verdict stands.

On fakes alone: the frame's own order is the matter here. What the real ledger, lake and gold do is tested on them.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from lakehouse.business_date import BusinessDate
from lakehouse.errors import (
    BusyError,
    GateError,
    LedgerError,
    RightLostError,
    SourceError,
    StoreError,
)
from lakehouse.frame.run import opened
from lakehouse.records import Finding, Outcome, Published, Stamped, TableRun
from tests.fakes import Row, fake_lakehouse

pytestmark = pytest.mark.unit
DAY = BusinessDate(date(2020, 1, 2), ZoneInfo("UTC"))
BROKEN = Finding("silver", "orders", "key_unique", "critical", False, 2, 10)
WARNED = Finding("silver", "orders", "many", "warning", False, 2, 10)
SHAPES: dict[str, Any] = {"silver": {"orders": {}, "customers": {}}}
# What a run asks for, from its lock to the front page.
ORDER = [
    "lock", "prepare", "open", "watch", "identity", "write silver.orders", "claim", "publish", "published",
    "unwatch", "commit", "mark silver", "unstamp", "unlock", "findings", "gate pages", "page of a run that is published",
    "front page",
]  # fmt: skip
BEFORE_THE_COMMIT = ORDER[: ORDER.index("commit") + 1]
AFTERWARDS = [s for s in ORDER[ORDER.index("commit") + 1 :] if s != "unlock"]


@pytest.fixture
def lakehouse(tmp_path: Path) -> Any:
    return fake_lakehouse(tmp_path)


def silver(lakehouse: Any, *findings: Finding, tables: tuple[str, ...] = ("orders",)) -> Outcome:
    """A run as silver's, with a body of one write."""
    with opened(lakehouse, "silver", DAY) as run:
        run.restore("silver", tables)
        version = lakehouse.lake.write("silver", "orders")
        run.find(findings)
        return run.publish({"silver": [TableRun("orders", version)]}, SHAPES, "done")


def row(lakehouse: Any) -> Row:
    """The newest run, as the ledger has it."""
    found: Row = list(lakehouse.ledger.runs.values())[-1]
    return found


def publish(lakehouse: Any, table: str, commits: int = 1, layer: str = "silver", run: str = "before") -> None:
    """A table of an earlier run: its commits, and its pointer at the newest."""
    lakehouse.ledger.runs[run] = Row(layer, date(2020, 1, 1), "published")
    held = lakehouse.lake.tables.setdefault((layer, table), [])
    held += [commit(len(held) + n, run) for n in range(commits)]
    pointer = Published(table, len(held) - 1, run, date(2020, 1, 1), {})
    lakehouse.ledger.pointers.setdefault(layer, {})[table] = pointer
    lakehouse.lake.owner = "ours"


def commit(version: int, run: str | None, ledger: str | None = "ours", rows: int = 1) -> Stamped:
    return Stamped(version, "WRITE", ledger, run, "silver", {}, rows, datetime.now(UTC))


def test_a_run_locks_restores_works_and_publishes_and_only_then_are_pages_and_marks_made(lakehouse: Any) -> None:
    outcome = silver(lakehouse, WARNED)
    assert lakehouse.steps == ORDER
    assert (outcome.state, row(lakehouse).state) == ("published", "published")
    assert lakehouse.ledger.pointers["silver"]["orders"].version == 0
    assert lakehouse.lake.tables["silver", "orders"][0].run == outcome.run_id


def test_a_day_that_is_covered_closes_its_run_and_touches_neither_lake_nor_pointers(lakehouse: Any) -> None:
    with opened(lakehouse, "silver", DAY) as run:
        outcome = run.cover("it was published before", {"transforms": 1})
    assert (outcome.state, row(lakehouse).state, row(lakehouse).inputs) == ("covered", "covered", {"transforms": 1})
    assert lakehouse.steps == ["lock", "prepare", "open", "watch", "covered", "unwatch", "unlock", "front page"]


@pytest.mark.parametrize("step", [s for s in BEFORE_THE_COMMIT if s not in ("lock", "prepare", "open", "watch")])
@pytest.mark.parametrize(("error", "code"), [(StoreError("away"), 7), (ZeroDivisionError("1/0 of a row"), 1)])
def test_a_failure_at_any_step_up_to_the_commit_publishes_nothing_and_is_what_the_ledger_says(
    lakehouse: Any, step: str, error: Exception, code: int
) -> None:
    lakehouse.steps.breaks[step] = error
    with pytest.raises(type(error)) as raised:
        silver(lakehouse, WARNED)
    assert raised.value is error
    words = "away" if code == 7 else "ZeroDivisionError"
    assert (row(lakehouse).state, row(lakehouse).code, row(lakehouse).message) == ("failed", code, words)
    assert lakehouse.ledger.pointers == {}
    assert "mark silver" not in lakehouse.steps


@pytest.mark.parametrize("step", ["lock", "prepare", "open"])
def test_what_is_refused_before_a_run_is_open_leaves_a_row_of_its_own(lakehouse: Any, step: str) -> None:
    lakehouse.steps.breaks[step] = LedgerError("this lakehouse was built in the zone Europe/Berlin")
    with pytest.raises(LedgerError):
        silver(lakehouse)
    assert (row(lakehouse).state, row(lakehouse).code) == ("failed", 8)
    assert row(lakehouse).message == "this lakehouse was built in the zone Europe/Berlin"


def test_a_run_that_finds_another_at_work_leaves_a_row_and_lets_it_work(lakehouse: Any) -> None:
    lakehouse.ledger.locked.add("silver")
    lakehouse.ledger.runs["at work"] = Row("silver", DAY.day)
    with pytest.raises(BusyError):
        silver(lakehouse)
    assert lakehouse.ledger.runs["at work"].state == "running"
    assert (row(lakehouse).state, row(lakehouse).code) == ("failed", 10)
    assert lakehouse.steps == ["lock", "refused"]


def test_a_heartbeat_that_waited_for_the_publish_does_not_meet_a_run_that_has_ended(lakehouse: Any) -> None:
    """The lock may be held on, as by a rewind: a beat that found the run published would take it for lost."""
    silver(lakehouse)
    steps = lakehouse.steps
    assert steps.index("publish") < steps.index("unwatch") < steps.index("commit")


def test_the_lake_s_own_copy_of_the_pointers_is_written_before_another_run_can_publish(lakehouse: Any) -> None:
    silver(lakehouse)
    assert lakehouse.steps.index("commit") < lakehouse.steps.index("mark silver") < lakehouse.steps.index("unlock")


def test_a_dead_run_is_called_abandoned_by_the_next(lakehouse: Any) -> None:
    lakehouse.ledger.runs["dead"] = Row("silver", DAY.day)
    silver(lakehouse)
    assert lakehouse.ledger.runs["dead"].state == "abandoned"


@pytest.mark.parametrize("step", AFTERWARDS)
@pytest.mark.parametrize("error", [StoreError("the bucket is away"), OSError("no space"), KeyError("secret")])
def test_nothing_after_the_publish_changes_that_a_night_is_published(
    lakehouse: Any, step: str, error: Exception
) -> None:
    lakehouse.steps.breaks[step] = error
    assert silver(lakehouse, WARNED).state == "published"
    assert (row(lakehouse).state, row(lakehouse).code) == ("published", None)
    assert lakehouse.steps[-1] == "front page", "what comes after it is still done"


@pytest.mark.parametrize("step", ["unstamp", "findings", "gate pages", "page of a run that is failed", "front page"])
def test_a_failed_gate_is_a_failed_gate_whatever_happens_to_its_pages(lakehouse: Any, step: str) -> None:
    lakehouse.steps.breaks[step] = StoreError("the bucket is away")
    with pytest.raises(GateError, match=r"silver\.orders key_unique \(2 of 10 rows\)"):
        silver(lakehouse, WARNED, BROKEN)
    assert (row(lakehouse).state, row(lakehouse).code) == ("failed", 6)
    assert step in lakehouse.steps
    assert not {"claim", "publish", "mark silver"} & set(lakehouse.steps)


def test_pages_that_cannot_even_be_made_change_no_verdict(lakehouse: Any) -> None:
    class NoPages:
        def __get__(self, *_: object) -> object:
            raise StoreError("the place of the pages is away")

    bare = type("Bare", (type(lakehouse),), {"pages": NoPages()})
    lakehouse.__class__ = bare
    del lakehouse.__dict__["pages"]
    assert silver(lakehouse, WARNED).state == "published"
    with pytest.raises(GateError):
        silver(lakehouse, BROKEN)


def test_lineage_is_told_of_every_run_once_the_ledger_has_its_findings_and_the_lock_is_free(lakehouse: Any) -> None:
    lakehouse.tell_lineage = lambda run_id: lakehouse.steps(
        f"lineage of a run that is {lakehouse.ledger.state(run_id)}"
    )
    lakehouse.steps.breaks["lineage of a run that is published"] = OSError("no thread can be started")
    assert silver(lakehouse, WARNED).state == "published"
    told = lakehouse.steps.index("lineage of a run that is published")
    assert lakehouse.steps.index("unlock") < lakehouse.steps.index("findings") < told
    with pytest.raises(GateError):
        silver(lakehouse, BROKEN)
    assert "lineage of a run that is failed" in lakehouse.steps


def test_what_was_to_be_done_once_published_is_left_out_where_nothing_was(lakehouse: Any) -> None:
    def body(breaks: bool) -> None:
        with opened(lakehouse, "gold", DAY) as run:
            run.after(lambda: lakehouse.steps("marts"))
            if breaks:
                raise SourceError("away")
            run.publish({"gold": []}, {}, "")

    with pytest.raises(SourceError):
        body(True)
    assert "marts" not in lakehouse.steps
    body(False)
    pages = ["page report/index.html", "page catalogue/index.html", "front page"]
    assert lakehouse.steps[-4:] == ["marts", *pages]


@pytest.mark.parametrize("step", ["identity", "write silver.orders", "claim"])
def test_a_right_that_is_lost_at_any_step_publishes_nothing_and_has_its_own_code(lakehouse: Any, step: str) -> None:
    publish(lakehouse, "orders", commits=2)
    before = lakehouse.ledger.pointers["silver"]["orders"]
    asked = lakehouse.steps.__class__.__call__

    class Losing(type(lakehouse.steps)):  # type: ignore[misc]
        def __call__(self, name: str) -> None:
            asked(self, name)
            if name == step:
                lakehouse.ledger.lease.lost = True
                # Another run has taken over.
                for run in lakehouse.ledger.runs.values():
                    run.state = "abandoned" if run.state == "running" else run.state

    lakehouse.steps.__class__ = Losing
    with pytest.raises(RightLostError) as raised:
        silver(lakehouse)
    assert raised.value.exit_code == 11
    assert row(lakehouse).state == "abandoned", "it is the other run that says how this one ended"
    assert lakehouse.ledger.pointers["silver"]["orders"] == before
    assert "mark silver" not in lakehouse.steps


def test_once_its_right_is_lost_a_run_commits_nothing_more_to_the_lake(lakehouse: Any) -> None:
    def body() -> None:
        with opened(lakehouse, "silver", DAY) as run:
            run.enter_lake()
            lakehouse.lake.write("silver", "orders")
            lakehouse.ledger.lease.lost = True
            lakehouse.lake.write("silver", "customers")

    with pytest.raises(RightLostError):
        body()
    assert list(lakehouse.lake.tables) == [("silver", "orders")]


def test_a_commit_of_another_that_a_sleeper_meets_first_is_told_as_its_lost_right(lakehouse: Any) -> None:
    """Two that write at once: Delta refuses the merge of the one that has no right any more before the lock does."""

    def body() -> None:
        with opened(lakehouse, "silver", DAY) as run:
            run.enter_lake()
            lakehouse.ledger.lease.lost = True
            raise StoreError("another driver wrote to the same table of the lake")

    with pytest.raises(RightLostError):
        body()
    assert (row(lakehouse).state, row(lakehouse).code) == ("failed", 11)


def test_a_run_that_is_published_though_the_reply_to_its_commit_was_lost_is_published(lakehouse: Any) -> None:
    lakehouse.ledger.lease.reply_lost = True
    assert silver(lakehouse).state == "published"
    assert (row(lakehouse).state, row(lakehouse).code) == ("published", None)
    assert "mark silver" in lakehouse.steps


def test_a_commit_that_never_arrived_is_told_as_what_broke_it(lakehouse: Any) -> None:
    lakehouse.steps.breaks["commit"] = RightLostError("this run lost its lock")
    with pytest.raises(RightLostError):
        silver(lakehouse)
    assert (row(lakehouse).state, row(lakehouse).code) == ("failed", 11)


def test_a_ledger_that_cannot_be_asked_after_a_lost_reply_does_not_make_the_run_a_zombie(lakehouse: Any) -> None:
    """Nobody knows whether it was published: the code says that the store is away, so that it is tried again."""
    lakehouse.ledger.lease.reply_lost = True
    lakehouse.steps.breaks["state"] = StoreError("the gold database does not let us in")
    with pytest.raises(StoreError, match="does not let us in"):
        silver(lakehouse)
    assert row(lakehouse).state == "published"


def test_a_head_that_is_not_published_goes_back_before_anything_is_written(lakehouse: Any) -> None:
    publish(lakehouse, "orders", commits=2)
    lakehouse.lake.tables["silver", "orders"] += [commit(2, "dead"), commit(3, "dead")]
    silver(lakehouse)
    steps = lakehouse.steps
    assert steps.index("restore silver.orders to 1") < steps.index("write silver.orders") < steps.index("publish")
    # 4 is the content of 1 again, 5 what this run wrote.
    assert "point at silver.orders" in steps
    assert lakehouse.ledger.pointers["silver"]["orders"].version == 5


def test_a_run_that_dies_after_a_restore_leaves_a_pointer_at_the_content_that_was_published(lakehouse: Any) -> None:
    publish(lakehouse, "orders", commits=2)
    lakehouse.lake.tables["silver", "orders"].append(commit(2, "dead"))
    lakehouse.steps.breaks["publish"] = StoreError("away")
    with pytest.raises(StoreError):
        silver(lakehouse)
    assert lakehouse.ledger.pointers["silver"]["orders"].version == 3, "the restored head"


def test_a_table_that_was_never_published_is_emptied_only_where_every_commit_is_of_this_ledger(lakehouse: Any) -> None:
    lakehouse.lake.tables["silver", "orders"] = [commit(0, "dead")]
    silver(lakehouse)
    assert "clear silver.orders" in lakehouse.steps

    lakehouse.lake.tables["silver", "customers"] = [commit(0, None, None)]
    for _ in range(3):
        with pytest.raises(LedgerError, match=r"silver\.customers, which this ledger never published"):
            silver(lakehouse, tables=("orders", "customers"))
        assert (row(lakehouse).state, row(lakehouse).code) == ("failed", 8)
    assert len(lakehouse.lake.tables["silver", "customers"]) == 1


def test_a_bronze_with_rows_of_runs_that_the_ledger_does_not_know_is_refused_with_their_number(lakehouse: Any) -> None:
    """A ledger of yesterday over a lake of today: what only the lake has would be lost."""
    publish(lakehouse, "orders", layer="bronze")
    ahead = [commit(1, "of a lost ledger", rows=25)]
    lakehouse.lake.tables["bronze", "orders"] += ahead
    for _ in range(3):
        with pytest.raises(LedgerError, match=r"bronze\.orders holds 25 rows of 1 runs .* lakehouse adopt"):
            bronze(lakehouse)
    assert lakehouse.lake.tables["bronze", "orders"][1:] == ahead
    assert not [s for s in lakehouse.steps if s.startswith("restore")]


def test_what_a_dead_run_that_the_ledger_knows_left_in_bronze_goes_back(lakehouse: Any) -> None:
    publish(lakehouse, "orders", layer="bronze")
    lakehouse.ledger.runs["dead"] = Row("bronze", DAY.day, "failed")
    lakehouse.lake.tables["bronze", "orders"].append(commit(1, "dead"))
    bronze(lakehouse)
    assert "restore bronze.orders to 0" in lakehouse.steps


def bronze(lakehouse: Any) -> None:
    with opened(lakehouse, "bronze", DAY) as run:
        run.restore("bronze", ["orders"])
        run.cover("nothing to do")


def test_a_lake_of_another_ledger_and_a_lake_that_is_not_there_are_refused_for_ever(lakehouse: Any) -> None:
    publish(lakehouse, "orders", layer="bronze")
    lakehouse.lake.owner = "theirs"
    for _ in range(3):
        with pytest.raises(LedgerError, match=r"belongs to another ledger \(theirs; this one is ours\)"):
            silver(lakehouse)
        assert row(lakehouse).code == 8
    lakehouse.lake.owner, lakehouse.lake.tables = None, {}
    for _ in range(3):
        with pytest.raises(LedgerError, match="does not hold orders, which this ledger has published"):
            silver(lakehouse)
        assert row(lakehouse).code == 8
    assert lakehouse.lake.tables == {}


def test_an_interrupt_is_recorded_and_goes_on(lakehouse: Any) -> None:
    lakehouse.steps.breaks["write silver.orders"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        silver(lakehouse)
    assert (row(lakehouse).state, row(lakehouse).message) == ("failed", "KeyboardInterrupt")

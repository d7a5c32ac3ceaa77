"""The sums of silver: what a run read is somewhere, once, by its own counts and by what its commit says."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace

import pytest

from lakehouse.contracts import load_contracts
from lakehouse.layers.silver_gate import Silver, balances, quality
from lakehouse.records import Commit, Published, Totals

pytestmark = pytest.mark.unit

# A thousand images so far; ten more come, and two wait: six are new keys, three newer images of old ones.
BEFORE = Totals(read=1000, gone=100, held=898, open=2)
NO_DELETES = {"removed": 0, "recalled": 0, "reopened": 0, "left": 0}
COUNTS = {"kept": 9, "deduplicated": 1, "open": 2, "displaced": 3}
COMMIT = Commit(7, 9, 4096, inserted=6, updated=3)


def broken(
    counts: dict[str, int] = COUNTS, commit: Commit | None = COMMIT, before: Totals = BEFORE
) -> dict[str, int | None]:
    findings = balances("orders", before, 10, before.open, NO_DELETES | counts, commit)
    assert all(f.severity == "critical" for f in findings)
    return {f.rule: f.unexpected for f in findings if not f.success}


def test_a_run_whose_rows_are_all_somewhere_once_adds_up() -> None:
    assert broken() == {}


def test_a_table_that_is_new_adds_up() -> None:
    counts = {"kept": 8, "deduplicated": 1, "open": 1, "displaced": 0}
    assert broken(counts, Commit(0, 8, 4096, inserted=8), Totals()) == {}


def test_a_run_that_keeps_nothing_commits_nothing_and_adds_up() -> None:
    assert broken({"kept": 0, "deduplicated": 8, "open": 4, "displaced": 0}, None) == {}


def test_a_row_that_got_lost_between_batch_and_verdict_is_critical() -> None:
    lost = {**COUNTS, "deduplicated": 0}
    assert broken(lost) == {"rows_of_run_add_up": 1, "rows_since_beginning_add_up": 1}


def test_a_merge_that_added_a_row_it_should_have_changed_leaves_a_key_twice() -> None:
    doubled = Commit(7, 9, 4096, inserted=7, updated=2)
    assert broken(commit=doubled) == {"rows_since_beginning_add_up": 1, "keys_once_in_table": 2}


def test_a_merge_that_changed_two_rows_of_one_key_found_it_twice() -> None:
    assert broken(commit=Commit(7, 10, 4096, inserted=6, updated=4)) == {"keys_once_in_table": 1}


def test_a_ledger_that_counts_other_rows_than_were_read_is_critical() -> None:
    assert broken(before=Totals(1000, 100, 897, 2)) == {"rows_since_beginning_add_up": 1}


# Rows that are gone. Of the same ten images two are of a key that is gone, as is a row that silver had; another row of silver is
# held back, as the row that it refers to has left, and with it an image that it had overtaken.
GONE = {"kept": 7, "deduplicated": 1, "removed": 3, "open": 4, "displaced": 3, "recalled": 2, "reopened": 1, "left": 2}
MERGED = Commit(7, 9, 4096, inserted=4, updated=3, deleted=2)


def test_a_run_in_which_rows_are_gone_adds_up() -> None:
    assert broken(GONE, MERGED) == {}


def test_a_row_that_is_gone_and_came_back_in_the_same_run_is_changed() -> None:
    back = {**GONE, "kept": 8, "deduplicated": 0, "left": 1}
    assert broken(back, Commit(7, 9, 4096, inserted=4, updated=4, deleted=1)) == {}


def test_a_row_that_was_to_leave_and_is_still_there_is_critical() -> None:
    stays = Commit(7, 9, 4096, inserted=4, updated=3, deleted=1)
    assert broken(GONE, stays) == {"rows_since_beginning_add_up": 1, "keys_once_in_table": 1}


def test_what_was_removed_before_is_still_counted() -> None:
    assert broken(GONE, MERGED, Totals(read=1000, gone=90, held=898, open=2, removed=10)) == {}
    assert broken(GONE, MERGED, Totals(read=1000, gone=90, held=898, open=2)) == {"rows_since_beginning_add_up": 10}


LINES = load_contracts()["silver"]["order_items"]  # which refer to orders and products


@pytest.mark.parametrize(
    ("heads", "again", "may"),
    [
        ({"orders": 4, "products": 7}, False, False),
        ({"orders": 5, "products": 7}, False, True),
        ({"orders": 4, "products": 7, "customers": 9}, False, False),
        ({"orders": 4, "products": 7}, True, True),
    ],
)
def test_rows_that_wait_are_judged_again_where_a_row_that_they_refer_to_may_have_come(
    heads: dict[str, int], again: bool, may: bool
) -> None:
    published = {t: Published(t, v, "silver-1", date(2020, 1, 1), {}) for t, v in (("orders", 4), ("products", 7))}
    run = Silver(None, None, None, False, {}, published, {}, {}, {}, heads, {}, again)  # type: ignore[arg-type]
    assert run.may_free(LINES) is may


@pytest.mark.parametrize(
    ("rebuilds", "was_open", "is_open", "passes"),
    [
        (False, 0, 1_500, False),
        # They were held back as their orders were gone, a few a night, and nobody had to be asked.
        (True, 1_500, 1_500, True),
        (True, 1_500, 2_200, False),
        # An ordinary night's batch is not what has waited for long.
        (False, 1_500, 1_500, False),
    ],
)
def test_a_rebuild_is_refused_for_rows_that_it_holds_back_for_the_first_time(
    rebuilds: bool, was_open: int, is_open: int, passes: bool
) -> None:
    parts = SimpleNamespace(
        gate=SimpleNamespace(judge=lambda *_: []), settings=SimpleNamespace(max_quarantined_share=0.05)
    )
    totals = {"order_items": Totals(open=was_open)}
    run = Silver(parts, None, None, rebuilds, {}, {}, {}, totals, {}, {}, {})  # type: ignore[arg-type]
    counts = {"kept": 10_000 - is_open, "deduplicated": 0, "removed": 0, "open": is_open, "open_in_batch": is_open}
    findings = quality(run, LINES, SimpleNamespace(columns=[]), [], 10_000, counts, None)  # type: ignore[arg-type]
    assert [(f.rule, f.success) for f in findings] == [("quarantined_share", passes)]

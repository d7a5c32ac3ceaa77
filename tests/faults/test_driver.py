"""A driver that is killed at the exact moment of a commit: before the store hears of it, or before the driver hears back."""

from __future__ import annotations

import random

import pytest

from tests.conftest import MinioForTests
from tests.faults.proxy import Reply, Request, error
from tests.faults.world import DATA, ENTRIES, Trial

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

# Commits of a second day in the order of layers; a seed chooses which one the driver does not live through.
COMMITS = [f"*/{layer}/{table}/_delta_log/*.json" for layer, table in (
    ("bronze", "customers"), ("bronze", "products"), ("bronze", "orders"), ("bronze", "order_items"),
    ("silver", "customers"), ("silver", "products"), ("silver", "orders"), ("silver", "order_items"),
    ("quarantine", "order_items"),
)]  # fmt: skip
SEEDS = (20181028, 20190331, 20200229)


def _runs_again(trial: Trial, minio: MinioForTests) -> None:
    """P6: the dead run could not say how it ended, so the next one does; then P1 to P4."""
    trial.changed_nothing()
    layer, state = trial.ask("select layer, state from ops.runs order by seq desc limit 1")[0]
    assert state == "running"
    dead = trial.ask("select run_id from ops.runs order by seq desc limit 1")[0][0]
    trial.run(2)
    assert trial.ask(f"select layer, state from ops.runs where run_id = '{dead}'") == [(layer, "abandoned")]
    trial.ends_well(minio)


@pytest.mark.fault("F1")
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_killed_in_an_extract_only_orphans_are_left(trial: Trial, minio: MinioForTests, seed: int) -> None:
    """The seed is the number of data files of bronze that are there when it dies; no entry of a log is."""
    trial.proxy.answer(503, "PUT", "*/bronze/" + ENTRIES)
    written: list[str] = []

    def count(request: Request, _: Reply) -> None:
        written.append(request.key)
        if len(written) == seed:
            trial.kill()

    trial.proxy.after(count, "PUT", "*/bronze/" + DATA)
    assert trial.start().wait(timeout=300) == -9, trial.said()
    trial.proxy.clear()
    assert trial.log() == trial.before.log
    assert {key.partition("/")[2] for key in written} <= set(trial.store.objects()), "the orphans are there"
    _runs_again(trial, minio)


@pytest.mark.fault("F2")
@pytest.mark.parametrize("seed", SEEDS)
def test_killed_between_data_and_commit_the_version_is_absent(trial: Trial, minio: MinioForTests, seed: int) -> None:
    def kill(request: Request) -> Reply:
        entries.append(request.key.partition("/")[2])
        trial.kill()
        return error(503)

    entries: list[str] = []
    trial.proxy.before(kill, "PUT", random.Random(seed).choice(COMMITS), times=1)
    assert trial.start().wait(timeout=300) == -9, trial.said()
    trial.proxy.clear()
    assert len(entries) == 1
    assert entries[0] not in trial.log()
    _runs_again(trial, minio)


@pytest.mark.fault("F3")
@pytest.mark.parametrize("seed", SEEDS)
def test_killed_once_the_commit_reached_the_store_the_version_is_there_once(
    trial: Trial, minio: MinioForTests, seed: int
) -> None:
    def kill(request: Request, reply: Reply) -> None:
        entries.append((request.key.partition("/")[2], reply.status))
        trial.kill()

    entries: list[tuple[str, int]] = []
    trial.proxy.after(kill, "PUT", random.Random(seed + 1).choice(COMMITS), times=1)
    assert trial.start().wait(timeout=300) == -9, trial.said()
    trial.proxy.clear()
    ((entry, status),) = entries
    assert status == 200
    assert entry in trial.log()
    trial.log_is_whole()
    _runs_again(trial, minio)

"""A machine without memory for the driver, at the moment when gold is aggregated."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from tests.conftest import MinioForTests
from tests.e2e.small_shop import day
from tests.faults.world import World

# Only root may limit a process's memory, so this is left to `make faults`.
pytestmark = [pytest.mark.e2e, pytest.mark.slow]
CGROUPS = Path("/sys/fs/cgroup")


class MemoryLimit:
    """A control group, of version 1 or 2, whose limit can be pulled down to what its processes use."""

    def __init__(self) -> None:
        first = CGROUPS / "memory"
        self._group = (first if first.is_dir() else CGROUPS) / f"lakehouse-{uuid.uuid4().hex[:8]}"
        names = (
            ("memory.usage_in_bytes", "memory.limit_in_bytes") if first.is_dir() else ("memory.current", "memory.max")
        )
        self._group.mkdir()
        self._usage, self._limit = (self._group / name for name in names)

    def take(self, pid: int) -> None:
        (self._group / "cgroup.procs").write_text(str(pid))

    def tighten(self) -> None:
        """No byte more than now; what the kernel cannot take back it leaves."""
        with suppress(OSError):
            self._limit.write_text(self._usage.read_text())

    def remove(self) -> None:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                self._group.rmdir()
            except OSError:
                time.sleep(0.1)
            else:
                return


@contextmanager
def memory_limit() -> Iterator[MemoryLimit]:
    limit = MemoryLimit()
    try:
        yield limit
    finally:
        limit.remove()


def _java(pid: int) -> list[psutil.Process]:
    return [p for p in psutil.Process(pid).children(recursive=True) if p.name() == "java"]


@pytest.mark.fault("F11")
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_driver_that_runs_out_of_memory_while_it_aggregates_fails_its_layer_and_the_next_try_ends_it(
    world: World, minio: MinioForTests, seed: int
) -> None:
    """The seed is the number of gold tables that are staged by then."""
    with memory_limit() as limit, world.trial(minio) as trial:
        trial.run_layers("bronze", "silver")
        silver = trial.pointers()
        process = trial.start("run", "gold", "--date", day(2).isoformat())
        limit.take(process.pid)
        staged = "select count(*) from pg_tables where schemaname = 'gold_staging'"
        while trial.ask(staged)[0][0] < seed:
            assert process.poll() is None, trial.said()
            time.sleep(0.005)
        (java,) = _java(process.pid)
        while process.poll() is None and java.is_running():
            limit.tighten()
            time.sleep(0.01)
        code = process.wait(timeout=60)
        assert code != 0, "the kernel took nothing"
        assert code in (1, 7, 11, -9), trial.said()
        assert trial.gold_hashes() == trial.before.gold
        assert trial.pointers() == silver
        state = trial.ask("select state from ops.runs where layer = 'gold' order by seq desc limit 1")
        assert state == [("running" if code == -9 else "failed",)]
        trial.run(2)
        trial.ends_well(minio)

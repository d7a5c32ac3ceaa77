"""The clock of the driver's machine is off, or jumps while it works: the business date comes by parameter."""

from __future__ import annotations

import struct
import subprocess
import threading
from pathlib import Path

import pytest

from tests.conftest import MinioForTests
from tests.faults.world import Trial, World

# The shifted clock is compiled, which takes a C compiler, so this is left to `make faults`.
pytestmark = [pytest.mark.e2e, pytest.mark.slow]
DAY = 24 * 60 * 60


class Clock:
    """The clock of every process that is started with its environment."""

    def __init__(self, folder: Path, seconds: int) -> None:
        source, library = Path(__file__).with_name("shifted_clock.c"), folder / "shifted_clock.so"
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
        self._file = folder / "shift"
        self._file.write_bytes(struct.pack("q", seconds))
        self.environment = {"LD_PRELOAD": str(library), "SHIFTED_CLOCK": str(self._file)}

    def jump(self, seconds: int) -> None:
        """Sets it while processes look at it."""
        with self._file.open("r+b") as file:
            file.write(struct.pack("q", seconds))


def shown(clock: Clock) -> str:
    """The date that a program sees."""
    return subprocess.run(
        ["date", "-u", "+%F"],
        env={"PATH": "/usr/bin:/bin", **clock.environment},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def ends_well(trial: Trial, minio: MinioForTests) -> None:
    assert trial.process is not None
    assert trial.process.wait(timeout=300) == 0, trial.said()[-3000:]
    days = "select distinct business_date::text from ops.runs where seq > (select max(seq) - 3 from ops.runs)"
    assert trial.ask(days) == [("2020-01-02",)]
    trial.ends_well(minio)


@pytest.mark.fault("F25")
@pytest.mark.parametrize("days", [-3, 3])
def test_a_clock_that_is_off_by_days_brings_the_day_it_is_given(
    world: World, minio: MinioForTests, tmp_path: Path, days: int
) -> None:
    clock = Clock(tmp_path, days * DAY)
    assert shown(clock) != shown(Clock(tmp_path, 0)), "the clock is not shifted"
    clock.jump(days * DAY)
    with world.trial_in_files() as trial:
        trial.start(**clock.environment)
        ends_well(trial, minio)


@pytest.mark.fault("F25")
@pytest.mark.parametrize("days", [-1, 1])
def test_a_clock_that_jumps_by_a_day_between_two_layers_changes_nothing(
    world: World, minio: MinioForTests, tmp_path: Path, days: int
) -> None:
    clock = Clock(tmp_path, 0)
    with world.trial_in_files() as trial:
        trial.start(**clock.environment)
        published = threading.Event()
        while not published.wait(0.02):
            if trial.ask("select 1 from ops.runs where layer = 'silver' and state = 'running'"):
                published.set()
            assert trial.process is not None
            assert trial.process.poll() is None, trial.said()[-3000:]
        clock.jump(days * DAY)
        ends_well(trial, minio)


@pytest.mark.fault("F25")
def test_a_store_that_refuses_requests_of_another_day_is_written_to_by_its_own_clock_and_pages_wait(
    world: World, minio: MinioForTests, tmp_path: Path
) -> None:
    """Signatures bear the time, and stores allow a quarter of an hour: Hadoop's client learns theirs from the refusal."""
    with world.trial(minio) as trial:
        trial.start(**Clock(tmp_path, DAY).environment)
        ends_well(trial, minio)
        assert 403 in {status for _, _, status in trial.proxy.log}, "the store refused nothing"
        assert "docs.not_synced" in trial.said()
        assert "RequestTimeTooSkewed" in trial.said()

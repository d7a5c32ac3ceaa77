"""A real shop loses home, server and lake at once, and comes back to a second between two days; the next day is as it was."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.mark.fault("F28")
def test_a_machine_that_is_lost_comes_back_to_a_second_and_lives_the_next_day_again() -> None:
    drill = [sys.executable, "-m", "tools.drill", "--only", "machine"]
    done = subprocess.run(drill, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (row,) = (line for line in done.stdout.splitlines() if line.startswith("| home, server and lake"))
    _, _, _, lost, _, content, replay, _ = (cell.strip() for cell in row.split("|"))
    assert (lost, content, replay.partition(",")[0]) == ("0", "equal", "equal")

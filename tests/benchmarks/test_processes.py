"""What a command cost: its processes are found by their session, even those that nobody waits for."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.measure.processes import measured, processes
from lakehouse.errors import SetupError

BURN = "import time; began = time.process_time()\nwhile time.process_time() < began + 0.6: pass"
HOLD = "import time; held = bytearray(200 << 20); held[::4096] = bytes(len(held[::4096])); time.sleep(0.6)"


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


@pytest.mark.unit
def test_the_cpu_of_a_child_that_nobody_waits_for_is_counted() -> None:
    child = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {BURN!r}])"
    found = measured(python(child))
    assert found.state == "done"
    assert 0.45 < found.client_cpu_s < 1.5
    assert found.wall_s > 0.5, "it is over when the child is"


@pytest.mark.unit
def test_the_cpu_of_others_is_not_the_commands() -> None:
    found = measured(["sleep", "0.3"])
    assert found.client_cpu_s < 0.1
    assert found.wall_s >= 0.3
    assert found.others_cpu_s >= 0


@pytest.mark.unit
def test_memory_is_the_most_that_all_processes_held_together() -> None:
    two = f"import subprocess, sys; c = [sys.executable, '-c', {HOLD!r}]\n" + "p = subprocess.Popen(c)\n" + HOLD
    found = measured(python(two))
    # One of the two alone holds some 220 MB.
    assert found.peak_rss_bytes > 300 << 20


@pytest.mark.unit
def test_memory_that_a_child_was_just_forked_with_counts_once() -> None:
    # As Java's does until it has become the program it was started for.
    found = measured(python("import os\nheld = bytearray(200 << 20); held[::4096] = bytes(len(held[::4096])); os.fork()\n"
                            "import time; time.sleep(0.6)"))  # fmt: skip
    assert 200 << 20 < found.peak_rss_bytes < 300 << 20


@pytest.mark.unit
def test_what_it_prints_and_what_it_logs_are_kept_apart() -> None:
    found = measured(python("import sys; print('out'); print('words', file=sys.stderr); sys.exit(3)"))
    assert (found.state, found.output.strip(), found.log.strip()) == ("failed", "out", "words")


@pytest.mark.unit
def test_a_command_that_takes_too_long_is_ended_with_all_its_processes() -> None:
    child = "import subprocess; subprocess.Popen(['sleep', '60']).wait()"
    found = measured(python(child), limit=0.5)
    assert found.state == "timed out"
    assert found.wall_s < 10


@pytest.mark.unit
def test_who_interrupts_it_leaves_nothing_running(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []

    def interrupted(process: subprocess.Popen[bytes], *_: object) -> bool:
        started.append(process.pid)
        raise KeyboardInterrupt

    monkeypatch.setattr("benchmarks.measure.processes._wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        measured(["sleep", "60"])
    deadline = time.monotonic() + 10
    while started[0] in dict(processes()):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.integration
def test_the_servers_cpu_is_counted_apart(postgres: Any) -> None:
    query = "select count(*) from generate_series(1, 2000000) n where md5(n::text) like 'ab%'"
    code = f"import psycopg2; psycopg2.connect({postgres.server.dsn('postgres')!r}).cursor().execute({query!r})"
    found = measured(python(code), postgres.server.data)
    assert found.state == "done"
    assert found.server_cpu_s > 0.2
    assert found.server_cpu_s > found.client_cpu_s / 2


@pytest.mark.unit
def test_a_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=f"no Postgres runs on {tmp_path}"):
        measured(["true"], tmp_path)

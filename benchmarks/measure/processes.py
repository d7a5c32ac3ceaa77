"""Wall, CPU and memory of a command with all the processes of its session, read from /proc; Linux only.

A JVM that nobody waits for counts: processes are found by their session, not by who reaps them. They are looked at ten times
a second, so that up to a tenth of a second of CPU of each is missed, and a process that lives shorter than that altogether.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple

from lakehouse.errors import SetupError

TICKS, PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
EVERY = 0.1
"""Seconds between two looks."""
GRACE = 10
"""Seconds that a command which took too long has to end by itself."""


class Process(NamedTuple):
    """What /proc says of a process: CPU in ticks, its own and that of children it waited for; its address space and resident
    memory in bytes."""

    parent: int
    session: int
    own: int
    of_children: int
    size: int
    resident: int


@dataclass(frozen=True)
class Measured:
    """What a command cost. Seconds of CPU are those of the command, of the server, and of everybody else meanwhile."""

    state: str
    """done, failed or timed out"""
    began_at: float
    wall_s: float
    client_cpu_s: float
    server_cpu_s: float
    others_cpu_s: float
    peak_rss_bytes: int
    output: str = field(repr=False)
    log: str = field(repr=False)

    @property
    def cpu_s(self) -> float:
        return self.client_cpu_s + self.server_cpu_s


def measured(
    command: list[str],
    server: Path | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    limit: float = 3600,
) -> Measured:
    """Runs a command in a session of its own, until the last process of it has ended, and says what it cost.

    `server` is the data folder of the Postgres it works with; `limit` the seconds after which it is ended. Raises
    SetupError where there is no such server, or the machine has no /proc.
    """
    with (
        tempfile.TemporaryFile("w+", errors="replace") as output,
        tempfile.TemporaryFile("w+", errors="replace") as log,
    ):
        server_before, machine_before = _server_cpu(server), _machine_cpu()
        began_at, began = time.time(), time.monotonic()
        process = subprocess.Popen(
            command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=log,
            start_new_session=True,
        )  # fmt: skip
        watch = _Watch(process.pid)
        try:
            is_late = _wait(process, watch, began + limit)
        except BaseException:
            _signal(watch.look(), signal.SIGKILL)  # an interrupted run leaves nothing running
            raise
        finally:
            watch.end()
        wall = time.monotonic() - began
        server_cpu, machine_cpu = _server_cpu(server) - server_before, _machine_cpu() - machine_before
        client_cpu = sum(watch.cpu.values()) / TICKS
        return Measured(
            state="timed out" if is_late else "failed" if process.returncode else "done",
            began_at=began_at,
            wall_s=round(wall, 2),
            client_cpu_s=round(client_cpu, 2),
            server_cpu_s=round(server_cpu, 2),
            others_cpu_s=round(max(machine_cpu - client_cpu - server_cpu, 0.0), 2),
            peak_rss_bytes=watch.peak,
            output=_text(output),
            log=_text(log),
        )


def _text(file: IO[str]) -> str:
    file.seek(0)
    return file.read()


class _Watch:
    """Looks at the processes of a session until told to end: the last CPU of each, and the most memory of all."""

    def __init__(self, session: int) -> None:
        self._session, self._over = session, threading.Event()
        self.cpu: dict[int, int] = {}
        self.peak = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def look(self) -> list[int]:
        """Counts what the session has used so far; returns the processes that are at work."""
        found = {pid: process for pid, process in processes() if process.session == self._session}
        self.cpu.update({pid: process.own for pid, process in found.items()})
        self.peak = max(self.peak, resident(found))
        return list(found)

    def end(self) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(EVERY):
            self.look()


def resident(found: Mapping[int, Process]) -> int:
    """The resident memory of processes, in bytes: a child that was just forked has that of its parent, which counts once."""
    forked = {pid for pid, p in found.items() if p.parent in found and p.size == found[p.parent].size}
    return sum(process.resident for pid, process in found.items() if pid not in forked)


def _wait(process: subprocess.Popen[bytes], watch: _Watch, deadline: float) -> bool:
    """Waits for all processes of the session; ends those that are at work at the deadline, and says whether it had to."""
    is_late = False
    while process.poll() is None or watch.look():
        if time.monotonic() > deadline:
            _signal(watch.look(), signal.SIGKILL if is_late else signal.SIGTERM)
            is_late, deadline = True, time.monotonic() + GRACE
        time.sleep(EVERY / 2)
    return is_late


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def processes() -> Iterator[tuple[int, Process]]:
    """The processes of the machine that have not ended."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                found = _process(folder)
            except (FileNotFoundError, ProcessLookupError):
                continue
            if found:
                yield int(folder.name), found


def _process(folder: Path) -> Process | None:
    # The name of a program may hold blanks and brackets: fields are counted from the last bracket on.
    fields = (folder / "stat").read_text(errors="replace").rsplit(")", 1)[1].split()
    if fields[0] in "ZX":
        return None
    own, of_children = int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])
    return Process(int(fields[1]), int(fields[3]), own, of_children, int(fields[20]), int(fields[21]) * PAGE)


def _server_cpu(data: Path | None) -> float:
    """The CPU of a Postgres so far: the postmaster, the children that ended, and those at work."""
    if data is None:
        return 0.0
    try:
        master = int((data / "postmaster.pid").read_text().split()[0])
        postmaster = _process(Path("/proc") / str(master))
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        postmaster = None
    if postmaster is None:
        raise SetupError(f"no Postgres runs on {data}, or its processes cannot be seen: start it, on Linux")
    of_children = sum(process.own for _, process in processes() if process.parent == master)
    return (postmaster.own + postmaster.of_children + of_children) / TICKS


def _machine_cpu() -> float:
    """The CPU that everybody has used so far; waiting for disks is idle."""
    fields = [int(word) for word in Path("/proc/stat").read_text().partition("\n")[0].split()[1:]]
    return (sum(fields[:8]) - fields[3] - fields[4]) / TICKS

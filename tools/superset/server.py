"""The process of a Superset: started beside everything else, found again by what was noted of it, ended by its id."""

from __future__ import annotations

import fcntl
import json
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import psutil

from tools.setup.machine import ROOT, SetupError, take_port
from tools.superset.environment import SUPERSET
from tools.superset.home import HOST, MARK, USER, SupersetHome

START_SECONDS = 300
END_SECONDS = 20


class Running(NamedTuple):
    """A Superset that has a process."""

    process: psutil.Process
    url: str

    def answers(self) -> bool:
        """Whether it says that it is well."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"{self.url}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@contextmanager
def alone(home: SupersetHome) -> Iterator[None]:
    """One start or end at a time."""
    with open(home.lock, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def running(home: SupersetHome) -> Running | None:
    """The one of this home; a process of another program that has got its id is none."""
    try:
        noted = json.loads(home.noted.read_text(encoding="utf-8"))
        process = psutil.Process(noted["pid"])
        is_ours = process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == str(home.folder)
    except (OSError, ValueError, psutil.Error):
        return None
    return Running(process, noted["url"]) if is_ours else None


def start(home: SupersetHome, port: int) -> Running:
    """Brings metadata and user up to date and starts it; raises SetupError where it does not come up."""
    with socket.socket() as probe:
        take_port(probe, HOST, port, "make superset SUPERSET_PORT=8089")
        port = int(probe.getsockname()[1])
    with home.log.open("wb") as log:
        words = [SUPERSET.python, "-P", ROOT / "tools" / "superset" / "ready.py", home.secrets, USER]
        given = {
            "env": home.environment(),
            "cwd": home.folder,
            "stdin": subprocess.DEVNULL,
            "stdout": log,
            "stderr": log,
        }
        if subprocess.run(words, **given).returncode:  # type: ignore[call-overload]
            raise SetupError(f"Superset's metadata could not be made: see {home.log}.")
        server = [SUPERSET.folder / "bin" / "gunicorn", "--bind", f"{HOST}:{port}", "--workers", "1", "--threads", "8",
                  "--worker-class", "gthread", "--timeout", "120", "--no-control-socket", "superset.app:create_app()"]  # fmt: skip
        process = subprocess.Popen(server, start_new_session=True, **given)  # type: ignore[call-overload]
    url = f"http://{HOST}:{port}"
    home.noted.write_text(json.dumps({"pid": process.pid, "url": url}), encoding="utf-8")
    started = Running(psutil.Process(process.pid), url)
    deadline = time.monotonic() + START_SECONDS
    while not started.answers():
        if process.poll() is not None:
            raise SetupError(f"Superset ended by itself: see {home.log}.")
        if time.monotonic() > deadline:
            end(home, started)
            raise SetupError(f"Superset did not answer within {START_SECONDS} s: see {home.log}.")
        time.sleep(0.5)
    return started


def end(home: SupersetHome, server: Running) -> None:
    """Ends it with its workers; its data stay."""
    processes = [server.process, *server.process.children(recursive=True)]
    server.process.terminate()
    _, left = psutil.wait_procs(processes, END_SECONDS)
    for process in left:
        process.kill()
    psutil.wait_procs(left, END_SECONDS)
    home.noted.unlink(missing_ok=True)

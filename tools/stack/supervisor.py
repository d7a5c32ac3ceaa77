"""The supervisor that keeps the parts up: its configuration, its start and end, and what it knows of each part.

It is supervisord, reached by a Unix socket only. What it starts carries a mark in its environment, so that even what a
killed supervisor left behind is found.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Callable
from pathlib import Path

import psutil
from supervisor.xmlrpc import SupervisorTransport

from tools.setup.machine import ROOT, VENV, SetupError
from tools.stack.parts import FRONT, Part
from tools.stack.ports import MARK
from tools.stack.settings import Stack

UNWANTED = re.compile("[\"'\\\\;#]")  # in the name of a folder: supervisord's configuration cannot hold them
LONGEST_SOCKET = 100  # bytes: what the system allows, less the ending that supervisord adds while it makes it
START_SECONDS = 30
END_SECONDS = 90
STORES = {"minio", "postgres", FRONT}


class Supervisor:
    """The supervisor of one stack, running or not."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.conf = stack.home / "supervisord.conf"
        self.socket = stack.home / "supervisor.sock"
        self.log = stack.logs / "supervisord.log"

    # Each call is one request: the supervisor may be gone by the next.

    @property
    def _rpc(self) -> xmlrpc.client.ServerProxy:
        transport = SupervisorTransport(serverurl=f"unix://{self.socket}")
        return xmlrpc.client.ServerProxy("http://supervisor", transport)

    def runs(self) -> bool:
        """Whether it answers."""
        try:
            return bool(self._rpc.supervisor.getState()["statename"] == "RUNNING")
        except (OSError, xmlrpc.client.Error):
            return False

    def states(self) -> dict[str, dict]:
        """What it knows of each part: statename, pid, start, spawnerr and more; nothing where it does not run."""
        try:
            return {each["name"]: each for each in self._rpc.supervisor.getAllProcessInfo()}
        except (OSError, xmlrpc.client.Error):
            return {}

    def check(self) -> None:
        """Raises SetupError where it could not run because of a folder's name."""
        if len(bytes(self.socket)) > LONGEST_SOCKET:
            raise SetupError(f"The path {self.socket} is too long for a socket: set LAKEHOUSE_HOME to a shorter one.")
        for folder in (self.stack.home, ROOT):
            if UNWANTED.search(str(folder)):
                raise SetupError(f"The stack cannot run in {folder}: the name has a quote, a backslash, a ; or a #.")

    def open(self, parts: list[Part]) -> None:
        """Starts it with these parts, none of them started yet, or tells it of what changed in them.

        Raises SetupError where it cannot be started.
        """
        self._write(parts)
        if self.runs():
            subprocess.run(self._program("supervisorctl", "update"), stdout=subprocess.DEVNULL, check=True)
            return
        self.socket.unlink(missing_ok=True)
        told = subprocess.run(
            self._program("supervisord"), env=self.stack.inherited(), cwd=ROOT, capture_output=True, text=True
        )
        if told.returncode:
            raise SetupError(f"The supervisor did not start ({told.stderr.strip()}): see {self.log}.")
        self._wait(self.runs, "The supervisor did not answer", START_SECONDS)

    def start(self, part: Part) -> None:
        """Starts a part unless it runs; whether it stays up is what `states` says later."""
        try:
            self._rpc.supervisor.startProcess(part.name, False)
        except xmlrpc.client.Fault as e:
            if not e.faultString.startswith("ALREADY_STARTED"):
                raise SetupError(f"{part.name} cannot be started: {e.faultString}.") from None

    def close(self) -> None:
        """Ends the parts, those that others rest on last, then the supervisor, then what either may have left behind."""
        if self.runs():
            for name in self.states().keys() - STORES:
                with contextlib.suppress(xmlrpc.client.Fault):  # it has ended by itself
                    self._rpc.supervisor.stopProcess(name, False)
            self._wait(lambda: not self._alive() - STORES, "The parts did not end", END_SECONDS)
            supervisor = psutil.Process(int(self._rpc.supervisor.getPID()))
            supervisor.terminate()
            psutil.wait_procs([supervisor], timeout=END_SECONDS)
        end_leftovers(self.stack)

    def log_of(self, part: str) -> Path:
        return self.stack.logs / f"{part}.log"

    def _alive(self) -> set[str]:
        return {name for name, state in self.states().items() if state["pid"]}

    def _wait(self, until: Callable[[], bool], fault: str, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not until():
            if time.monotonic() > deadline:
                raise SetupError(f"{fault} within {seconds} s: see {self.log}.")
            time.sleep(0.1)

    def _program(self, name: str, *words: str) -> list[str]:
        return [sys.executable, str(VENV / "bin" / name), "-c", str(self.conf), *words]

    def _write(self, parts: list[Part]) -> None:
        account = "user=root\n" if os.geteuid() == 0 else ""  # said aloud, as supervisord wants it
        text = [
            f"[supervisord]\nnodaemon=false\nlogfile={self.log}\npidfile={self.stack.home / 'supervisord.pid'}\n"
            f"childlogdir={self.stack.logs}\n{account}",
            f"[unix_http_server]\nfile={self.socket}\nchmod=0600\n",
            f"[supervisorctl]\nserverurl=unix://{self.socket}\n",
            "[rpcinterface:supervisor]\n"
            "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n",
            *(self._program_section(part) for part in parts),
        ]
        self.conf.touch(mode=0o600)
        self.conf.write_text("\n".join(text).replace("%", "%%"), encoding="utf-8")

    def _program_section(self, part: Part) -> str:
        environment = ",".join(f"{name}={_enclosed(name, value)}" for name, value in sorted(part.environment.items()))
        return (
            f"[program:{part.name}]\ncommand={shlex.join(part.command)}\n"
            f"environment={environment}\ndirectory={self.stack.home}\n"
            # Started in our order, and started again whenever it ends; given up if it ends again and again in its
            # first minute (some need half of it to find out that they cannot run).
            "autostart=false\nautorestart=true\nstartsecs=60\nstartretries=2\n"
            "stopasgroup=true\nkillasgroup=true\nstopwaitsecs=30\n"
            f"redirect_stderr=true\nstdout_logfile={self.log_of(part.name)}\n"
            "stdout_logfile_maxbytes=10MB\nstdout_logfile_backups=3\n"
        )


def _enclosed(name: str, value: str) -> str:
    # In an environment supervisord knows no escapes, and takes every quote off both ends of a value.
    quote = "'" if '"' in value else '"'
    if quote in value or "\n" in value or value[-1:] in "'\"":
        raise SetupError(
            f"{name} cannot be handed on: it has both kinds of quotes, a line break, or a quote at its end."
        )
    return f"{quote}{value}{quote}"


def end_leftovers(stack: Stack) -> None:
    """Ends every process that carries this stack's mark: tasks and their Spark, and what a dead supervisor left."""
    left = leftovers(stack)
    for process in left:
        _signal(process, "terminate")
    for process in psutil.wait_procs(left, timeout=10)[1]:
        _signal(process, "kill")
    psutil.wait_procs(left, timeout=10)


def leftovers(stack: Stack) -> list[psutil.Process]:
    """The processes that carry this stack's mark in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(stack.home):
                found.append(process)
        except (psutil.Error, OSError):
            continue  # gone, or another account's
    return found


def _signal(process: psutil.Process, what: str) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        getattr(process, what)()

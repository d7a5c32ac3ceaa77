"""Whether the stack's ports are free, and if not, who has them: asked before anything is started."""

from __future__ import annotations

import socket
from collections.abc import Collection

import psutil
from machine import SetupError
from stack_settings import PORTS, Stack

HOST = "127.0.0.1"


def check(stack: Stack, running: Collection[str]) -> None:
    """Raises SetupError that names every port somebody else has; `running` are parts that hold theirs themselves."""
    wanted: dict[int, str] = {}
    faults = []
    for setting, (purpose, part) in PORTS.items():
        port = stack.port(setting)
        if port in wanted:
            faults.append(f"Port {port} is given to both {wanted[port]} and {purpose}: change {setting}.")
        elif part not in running and not _is_free(port):
            faults.append(f"Port {port}, which {purpose} needs, is taken by {_holder(port)}: end that, or set {setting} "
                          "to a free port.")  # fmt: skip
        wanted[port] = purpose
    if faults:
        raise SetupError("\n".join(faults))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do it: connections that ended a moment ago are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _holder(port: int) -> str:
    try:
        pids = {c.pid for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN and c.laddr.port == port}
        for pid in pids - {None}:
            return f"process {pid} ({psutil.Process(pid).name()})"
    except psutil.Error:
        pass
    return "a process of another account"

"""Whether the stack's ports are free, and if not, who has them: asked before anything is started."""

from __future__ import annotations

import socket

import psutil

from tools.setup.machine import SetupError
from tools.stack.settings import MARK, Stack

HOST = "127.0.0.1"


def check(stack: Stack) -> None:
    """Raises SetupError that names every port somebody else has; the stack's own processes may have theirs already."""
    purposes: dict[int, str] = {}
    faults = []
    for setting, purpose in stack.ports.items():
        port = stack.port(setting)
        if port in purposes:
            faults.append(f"Port {port} is given to both {purposes[port]} and {purpose}: set {setting} to another.")
        elif not _is_free(port) and (holder := _holder(stack, port)):
            faults.append(
                f"Port {port}, which {purpose} needs, is taken by {holder}: end that, or set {setting} to a free port."
            )
        purposes[port] = purpose
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


def _holder(stack: Stack, port: int) -> str:
    """Who listens there, in words; nothing where it is the stack itself."""
    unknown = "a process of another account"
    try:
        listeners = [
            c.pid for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN and c.laddr.port == port
        ]
        for pid in filter(None, listeners):
            process = psutil.Process(pid)
            return "" if process.environ().get(MARK) == str(stack.home) else f"process {pid} ({process.name()})"
    except psutil.Error:
        return unknown
    return unknown

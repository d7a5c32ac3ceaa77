"""The stack's ports; whether they are free, and if not, who has them: asked before anything is started."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from tools.setup.machine import SetupError

if TYPE_CHECKING:
    from tools.stack.settings import Stack

HOST = "127.0.0.1"
# By this in its environment a process is known as one of a stack's.
MARK = "LAKEHOUSE_STACK"
# The setting of each port, and what it is for.
PORTS = {
    "LAKEHOUSE_AIRFLOW_PORT": "Airflow",
    "LAKEHOUSE_DOCS_PORT": "the Data Docs",
    "LAKEHOUSE_JUPYTER_PORT": "Jupyter",
    "LAKEHOUSE_MINIO_PORT": "MinIO",
    "LAKEHOUSE_MINIO_CONSOLE_PORT": "MinIO's console",
    "LAKEHOUSE_POSTGRES_PORT": "Postgres by TLS",
    "LAKEHOUSE_VICTORIA_PORT": "VictoriaMetrics",
    "LAKEHOUSE_VMALERT_PORT": "vmalert",
    "LAKEHOUSE_METRICS_PORT": "the metrics",
    "LAKEHOUSE_ALERTS_PORT": "the receiver of alerts",
    "LAKEHOUSE_KAFKA_PORT": "Kafka",
    "LAKEHOUSE_KAFKA_CONTROLLER_PORT": "Kafka's controller",
    "LAKEHOUSE_CONNECT_PORT": "Kafka Connect",
}
OF_MONITORING = ("LAKEHOUSE_VICTORIA_PORT", "LAKEHOUSE_VMALERT_PORT", "LAKEHOUSE_METRICS_PORT", "LAKEHOUSE_ALERTS_PORT")
OF_LIVE = ("LAKEHOUSE_KAFKA_PORT", "LAKEHOUSE_KAFKA_CONTROLLER_PORT", "LAKEHOUSE_CONNECT_PORT")


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
    import psutil  # settings.py, which reads this file, needs nothing but Python

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

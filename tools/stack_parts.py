"""The parts of the stack as plain processes: what starts each, what it is told, and how one sees that it is well."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import stack_health
from machine import ROOT, VENV
from minio import binary
from stack_settings import AIRFLOW_BIN, PORTS, Stack

from lakehouse.stores.embedded import EmbeddedPostgres

TOOLS = ROOT / "tools"


@dataclass(frozen=True)
class Part:
    """A long-running process of the stack."""

    name: str
    command: list[str]
    environment: dict[str, str]
    healthy: Callable[[], bool]
    url: str = ""


def parts(stack: Stack) -> list[Part]:
    """Every part, in the order in which they are started."""
    airflow, url = stack.airflow_environment(), stack.url("LAKEHOUSE_AIRFLOW_PORT")

    def of_airflow(name: str, process: str, *options: str) -> Part:
        command = [str(AIRFLOW_BIN / "airflow"), name, *options]
        return Part(name, command, airflow, lambda: stack_health.is_alive(url, process))

    found = [
        Part("postgres", [sys.executable, str(TOOLS / "stack_postgres.py"), str(stack.home)], {},
             EmbeddedPostgres(stack.home).running),
        *([_minio(stack)] if stack.brings_minio else []),
        Part("docs", [sys.executable, str(TOOLS / "docs_server.py"), "--port", str(stack.port("LAKEHOUSE_DOCS_PORT"))],
             stack.lakehouse("docs"), lambda: stack_health.answers(f"{stack.url('LAKEHOUSE_DOCS_PORT')}/health"),
             url=stack.url("LAKEHOUSE_DOCS_PORT")),
        _jupyter(stack),
        Part("api-server", [str(AIRFLOW_BIN / "airflow"), "api-server"], airflow,
             lambda: stack_health.answers(f"{url}/api/v2/monitor/health"), url=url),
        # Their logs are files that the web server reads itself; a server of logs would listen on every interface.
        of_airflow("scheduler", "scheduler", "--skip-serve-logs"),
        of_airflow("dag-processor", "dag_processor"),
        of_airflow("triggerer", "triggerer", "--skip-serve-logs"),
    ]  # fmt: skip
    return [part for part in found if part.name != "docs" or Path(part.command[1]).is_file()]


def ports_of(part: str) -> list[str]:
    """The settings of the ports that a part listens on."""
    return [setting for setting, (_, listener) in PORTS.items() if listener == part]


def _minio(stack: Stack) -> Part:
    api, console = (f"127.0.0.1:{stack.port(f'LAKEHOUSE_MINIO_{what}PORT')}" for what in ("", "CONSOLE_"))
    command = [str(binary()), "server", "--address", api, "--console-address", console, str(stack.home / "minio")]
    healthy = f"http://{api}/minio/health/live"
    return Part(
        "minio", command, stack.minio_environment(), lambda: stack_health.answers(healthy), url=f"http://{console}"
    )


def _jupyter(stack: Stack) -> Part:
    url = stack.url("LAKEHOUSE_JUPYTER_PORT")
    command = [str(VENV / "bin" / "jupyter"), "lab", f"--config={ROOT / 'conf' / 'jupyter' / 'jupyter_lab_config.py'}",
               "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={stack.port('LAKEHOUSE_JUPYTER_PORT')}",
               "--ServerApp.port_retries=0", f"--ServerApp.root_dir={ROOT / 'notebooks'}"]  # fmt: skip
    return Part(
        "jupyter", command, stack.jupyter_environment(), lambda: stack_health.answers(f"{url}/api"), url=f"{url}/lab"
    )

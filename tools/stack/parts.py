"""The parts of the stack as plain processes: what starts each, what it is told, and how one sees that it is well."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

from lakehouse.server.embedded import EmbeddedPostgres
from tools.setup.machine import ROOT, VENV
from tools.setup.minio import binary
from tools.stack import health
from tools.stack.settings import AIRFLOW_BIN, Stack

STACK = ROOT / "tools" / "stack"


@dataclass(frozen=True)
class Part:
    """A long-running process of the stack."""

    name: str
    command: list[str]
    environment: dict[str, str]
    healthy: Callable[[], bool]
    url: str | None = None
    is_airflow: bool = False
    """Whether it rests on Airflow's metadata."""


def parts(stack: Stack) -> list[Part]:
    """Every part, in the order in which they are started."""
    return [
        _postgres(stack),
        *([_minio(stack)] if stack.brings_minio else []),
        _docs(stack),
        _jupyter(stack),
        *_airflow(stack),
    ]


def _postgres(stack: Stack) -> Part:
    # -P: else the files beside it would stand before the standard library's of the same names.
    command = [sys.executable, "-P", str(STACK / "postgres.py"), str(stack.home)]
    return Part("postgres", command, {}, EmbeddedPostgres(stack.home).running)


def _minio(stack: Stack) -> Part:
    api, console = (f"127.0.0.1:{stack.port(f'LAKEHOUSE_MINIO_{what}PORT')}" for what in ("", "CONSOLE_"))
    command = [str(binary()), "server", "--address", api, "--console-address", console, str(stack.home / "minio")]
    # Not `live`: that one answers before MinIO has looked at its drives.
    healthy = f"http://{api}/minio/health/cluster"
    return Part("minio", command, stack.minio_environment(), lambda: health.answers(healthy), f"http://{console}")


def _docs(stack: Stack) -> Part:
    url, port = stack.url("LAKEHOUSE_DOCS_PORT"), stack.port("LAKEHOUSE_DOCS_PORT")
    command = [sys.executable, "-m", "lakehouse.pages.server", "--port", str(port)]
    return Part("docs", command, stack.lakehouse("docs"), lambda: health.answers(f"{url}/health"), url)


def _jupyter(stack: Stack) -> Part:
    url, port = stack.url("LAKEHOUSE_JUPYTER_PORT"), stack.port("LAKEHOUSE_JUPYTER_PORT")
    command = [
        *(str(VENV / "bin" / "jupyter"), "lab"),
        f"--config={ROOT / 'conf' / 'jupyter' / 'jupyter_lab_config.py'}",
        *("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"),
        f"--ServerApp.root_dir={ROOT / 'notebooks'}",
    ]
    return Part("jupyter", command, stack.jupyter_environment(), lambda: health.answers(f"{url}/api"), f"{url}/lab")


def _airflow(stack: Stack) -> list[Part]:
    url, environment = stack.url("LAKEHOUSE_AIRFLOW_PORT"), stack.airflow_environment()

    def part(name: str, healthy: Callable[[], bool], *options: str, url: str | None = None) -> Part:
        return Part(name, [str(AIRFLOW_BIN / "airflow"), name, *options], environment, healthy, url, is_airflow=True)

    return [
        part("api-server", lambda: health.answers(f"{url}/api/v2/monitor/health"), url=url),
        # Logs of tasks are files that the web server reads; a server of logs would listen on every interface.
        part("scheduler", lambda: health.is_alive(url, "scheduler"), "--skip-serve-logs"),
        part("dag-processor", lambda: health.is_alive(url, "dag_processor")),
        part("triggerer", lambda: health.is_alive(url, "triggerer"), "--skip-serve-logs"),
    ]

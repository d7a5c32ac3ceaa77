"""The parts of the stack as plain processes: what starts each, what it is told, and how one sees that it is well."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from lakehouse.live.place import folder, last_batch
from lakehouse.live.status import connector
from lakehouse.server.embedded import EmbeddedPostgres
from tools.live import parts as live_layer
from tools.setup.go.victoria import program
from tools.setup.machine import ROOT, VENV
from tools.setup.minio import binary
from tools.stack import health
from tools.stack.settings import AIRFLOW_BIN, Stack
from tools.stack.tls import front
from tools.stack.tls.files import Files

STACK = ROOT / "tools" / "stack"
FRONT = "postgres-tls"  # what Airflow's metadata are reached by, where the stack speaks TLS
# As in docker-compose.yml. Metrics are kept for a year, and Airflow's get the names that rules and dashboards have.
VICTORIA_OPTIONS = ("-retentionPeriod=1y", "-opentelemetry.usePrometheusNaming")
VMALERT_OPTIONS = ("-evaluationInterval=30s",)
# By the last two an alert that waits for its time is not forgotten by a restart.
VMALERT_URLS = ("datasource", "remoteWrite", "remoteRead")


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
    is_live: bool = False
    """Whether it is of the live layer, whose parts rest on each other and on the shop's tables."""


def parts(stack: Stack) -> list[Part]:
    """Every part, in the order in which they are started."""
    found = [
        _postgres(stack),
        *([_front(stack, stack.tls)] if stack.tls else []),
        *([_minio(stack)] if stack.brings_minio else []),
        _docs(stack),
        _jupyter(stack),
        *(_monitoring(stack) if stack.is_watched else []),
        *_airflow(stack),
        *(_live(stack) if stack.is_live else []),
    ]
    return [replace(p, environment=p.environment | stack.tls.mark()) for p in found] if stack.tls else found


def _postgres(stack: Stack) -> Part:
    # -P: else the files beside it would stand before the standard library's of the same names.
    command = [
        sys.executable,
        "-P",
        str(STACK / "postgres.py"),
        str(stack.home),
        *(["followed"] if stack.is_live else []),
    ]
    return Part("postgres", command, {}, EmbeddedPostgres(stack.home).running)


def _front(stack: Stack, tls: Files) -> Part:
    port = stack.port("LAKEHOUSE_POSTGRES_PORT")
    words = ["--port", str(port), "--home", str(stack.home), "--certificates", str(tls.folder)]
    command = [sys.executable, "-m", "tools.stack.tls.front", *words]
    # A part starts in the stack's folder, where Python would not find it.
    return Part(
        FRONT, command, {"PYTHONPATH": str(ROOT)}, lambda: front.answers(port, Path(tls.trusted)), f"127.0.0.1:{port}"
    )


def _answers(stack: Stack) -> Callable[[str], bool]:
    """Whether what this stack brings answers, by a certificate that its clients trust."""
    return partial(health.answers, ca=stack.tls.trusted if stack.tls else None)


def _minio(stack: Stack) -> Part:
    api, console = (f"127.0.0.1:{stack.port(f'LAKEHOUSE_MINIO_{what}PORT')}" for what in ("", "CONSOLE_"))
    shown = stack.tls.minio() if stack.tls else []
    where = ["--address", api, "--console-address", console, str(stack.home / "minio")]
    command = [str(binary()), "server", *shown, *where]
    # Not `live`: that one answers before MinIO has looked at its drives.
    healthy = f"{stack.url('LAKEHOUSE_MINIO_PORT')}/minio/health/cluster"
    page = stack.url("LAKEHOUSE_MINIO_CONSOLE_PORT")
    return Part("minio", command, stack.minio_environment(), lambda: _answers(stack)(healthy), page)


def _docs(stack: Stack) -> Part:
    url, port = stack.url("LAKEHOUSE_DOCS_PORT"), stack.port("LAKEHOUSE_DOCS_PORT")
    command = [sys.executable, "-m", "lakehouse.pages.server", "--port", str(port)]
    command += stack.tls.docs() if stack.tls else []
    return Part("docs", command, stack.lakehouse("docs"), lambda: _answers(stack)(f"{url}/health"), url)


def _jupyter(stack: Stack) -> Part:
    url, port = stack.url("LAKEHOUSE_JUPYTER_PORT"), stack.port("LAKEHOUSE_JUPYTER_PORT")
    command = [
        *(str(VENV / "bin" / "jupyter"), "lab"),
        f"--config={ROOT / 'conf' / 'jupyter' / 'jupyter_lab_config.py'}",
        *("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"),
        f"--ServerApp.root_dir={ROOT / 'notebooks'}",
        *(stack.tls.jupyter() if stack.tls else []),
    ]
    return Part("jupyter", command, stack.jupyter_environment(), lambda: _answers(stack)(f"{url}/api"), f"{url}/lab")


def _monitoring(stack: Stack) -> list[Part]:
    ours, conf = str(VENV / "bin" / "lakehouse"), ROOT / "conf" / "monitoring"
    urls = {name: stack.url(f"LAKEHOUSE_{name.upper()}_PORT") for name in ("metrics", "alerts", "victoria", "vmalert")}

    def part(name: str, command: list[str], environment: dict[str, str], page: str | None = None) -> Part:
        healthy = f"{urls[name]}/health"
        return Part(name, command, environment, lambda: _answers(stack)(healthy), page)

    def port(name: str) -> str:
        return str(stack.port(f"LAKEHOUSE_{name}_PORT"))

    # It reads what a notebook reads, and nothing else.
    metrics = [ours, "metrics", "serve", "--port", port("METRICS")]
    alerts = [ours, "metrics", "alerts", "--port", port("ALERTS")]
    victoria = [
        str(program("victoria-metrics")), f"-httpListenAddr=127.0.0.1:{port('VICTORIA')}",
        f"-storageDataPath={stack.home / 'victoria'}", f"-promscrape.config={conf / 'scrape.yml'}",
        f"-vmui.customDashboardsPath={conf / 'dashboards'}", *VICTORIA_OPTIONS, *(stack.tls.victoria() if stack.tls else []),
    ]  # fmt: skip
    vmalert = [
        str(program("vmalert")), f"-httpListenAddr=127.0.0.1:{port('VMALERT')}", f"-rule={conf / 'rules.yml'}",
        f"-notifier.url={urls['alerts']}", *(f"-{what}.url={urls['victoria']}" for what in VMALERT_URLS), *VMALERT_OPTIONS,
        *(stack.tls.vmalert(VMALERT_URLS) if stack.tls else []),
    ]  # fmt: skip
    return [
        part("metrics", metrics, stack.lakehouse("notebooks"), f"{urls['metrics']}/metrics"),
        part("alerts", alerts, stack.lakehouse("pipeline")),
        part("victoria", victoria, _scraped(stack), f"{urls['victoria']}/vmui"),
        part("vmalert", vmalert, {}, urls["vmalert"]),
    ]


def _scraped(stack: Stack) -> dict[str, str]:
    """What conf/monitoring/scrape.yml asks for."""
    minio = f"127.0.0.1:{stack.port('LAKEHOUSE_MINIO_PORT')}" if stack.brings_minio else "none"
    return {
        "METRICS_ADDRESS": f"127.0.0.1:{stack.port('LAKEHOUSE_METRICS_PORT')}",
        "MINIO_ADDRESS": minio,
        "SCRAPE_CA_FILE": stack.tls.trusted if stack.tls else "",
        "SCRAPE_INTERVAL": "30s",
        "SCRAPE_SCHEME": "https" if stack.tls else "http",
        "VMALERT_ADDRESS": f"127.0.0.1:{stack.port('LAKEHOUSE_VMALERT_PORT')}",
    }


def _live(stack: Stack) -> list[Part]:
    place, chosen = live_layer.place(stack), live_layer.live_settings(stack)
    words = [str(VENV / "bin" / "lakehouse"), "live", "run"]
    state = folder(stack.home)
    return [
        Part("kafka", place.kafka(), {}, partial(health.listens, place.broker), is_live=True),
        Part(
            "connect", place.connect_worker(), {}, lambda: connector(chosen) == "RUNNING", chosen.connect, is_live=True
        ),
        # A stream that has brought a batch has found everything that it needs.
        Part("live", words, live_layer.environment(stack), lambda: last_batch(state)[0] >= 0, is_live=True),
    ]


def _airflow(stack: Stack) -> list[Part]:
    url, environment = stack.url("LAKEHOUSE_AIRFLOW_PORT"), stack.airflow_environment()
    is_alive = partial(health.is_alive, url, ca=stack.tls.trusted if stack.tls else None)

    def part(name: str, healthy: Callable[[], bool], *options: str, url: str | None = None) -> Part:
        return Part(name, [str(AIRFLOW_BIN / "airflow"), name, *options], environment, healthy, url, is_airflow=True)

    return [
        part("api-server", lambda: _answers(stack)(f"{url}/api/v2/monitor/health"), url=url),
        # Logs of tasks are files that the web server reads; a server of logs would listen on every interface.
        part("scheduler", lambda: is_alive("scheduler"), "--skip-serve-logs"),
        part("dag-processor", lambda: is_alive("dag_processor")),
        part("triggerer", lambda: is_alive("triggerer"), "--skip-serve-logs"),
    ]

"""Exporter, VictoriaMetrics, vmalert and receiver while they run: as the stack starts them, but quicker."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import free_port
from tests.monitoring.victoria import running, victoria

ROOT = Path(__file__).parent.parent.parent
LAKEHOUSE = Path(sys.executable).with_name("lakehouse")
RULES = ROOT / "conf" / "monitoring" / "rules.yml"


@dataclass(frozen=True)
class Watched:
    """Where VictoriaMetrics is, and how the receiver of alerts is started, which a test may do again."""

    victoria: str
    alerts: Callable[[], Any]


@contextmanager
def watched(
    dsn: str, folder: Path, webhook: str, *, logs: Path | None = None, rules: Path = RULES, minio: str = "none"
) -> Iterator[Watched]:
    """Watches the lakehouse whose gold is at `dsn` and whose home is `folder`."""
    ports = {name: free_port() for name in ("metrics", "victoria", "vmalert", "alerts")}
    at = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
    settings = {"LAKEHOUSE_HOME": str(folder), "LAKEHOUSE_GOLD_DSN": dsn, "LAKEHOUSE_ALERT_WEBHOOK": webhook}
    logs = logs or folder

    def ours(command: str, port: str) -> Any:
        return running(
            [LAKEHOUSE, "metrics", command, "--port", str(ports[port])], f"http://{at[port]}/health",
            logs / f"{port}.log", **settings,
        )  # fmt: skip

    database = [
        victoria("victoria-metrics"), f"-httpListenAddr={at['victoria']}", f"-storageDataPath={logs / 'victoria'}",
        f"-promscrape.config={ROOT / 'conf/monitoring/scrape.yml'}", "-search.latencyOffset=0s",
    ]  # fmt: skip
    addresses = {
        "SCRAPE_SCHEME": "http",
        "SCRAPE_CA_FILE": "",
        "METRICS_ADDRESS": at["metrics"],
        "VMALERT_ADDRESS": at["vmalert"],
        "MINIO_ADDRESS": minio,
    }
    judge = [
        victoria("vmalert"), f"-rule={rules}", f"-httpListenAddr={at['vmalert']}",
        f"-notifier.url=http://{at['alerts']}", "-evaluationInterval=1s", "-rule.evalDelay=0s",
        *(f"-{what}.url=http://{at['victoria']}" for what in ("datasource", "remoteWrite", "remoteRead")),
    ]  # fmt: skip
    with (
        ours("serve", "metrics"),
        running(database, f"http://{at['victoria']}/health", logs / "victoria.log", SCRAPE_INTERVAL="1s", **addresses),
        running(judge, f"http://{at['vmalert']}/health", logs / "vmalert.log"),
    ):
        yield Watched(f"http://{at['victoria']}", lambda: ours("alerts", "alerts"))


def at_once(folder: Path) -> Path:
    """The rules without the time for which each must hold: everything else is as it is at night."""
    text, changed = re.subn(r"\n +for: \w+", "", RULES.read_text(encoding="utf-8"))
    assert changed > 10
    file = folder / "rules.yml"
    file.write_text(text, encoding="utf-8")
    return file


def until(holds: Callable[[], Any], seconds: float = 60, about: str = "") -> None:
    """Waits until it holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, about
        time.sleep(0.2)

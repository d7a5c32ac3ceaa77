"""The stack as `make up` starts it, on free ports and in a folder of its own, and its Airflow by the public API."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import psutil
import psycopg2

from lakehouse.airflow import DAGS
from lakehouse.contracts import load_contracts
from lakehouse.server.embedded import EmbeddedPostgres
from tests.conftest import free_port
from tests.content_hash import content_hash

ROOT = Path(__file__).parent.parent.parent
BIN = Path(sys.executable).parent
PORTS = ("AIRFLOW", "DOCS", "JUPYTER", "MINIO", "MINIO_CONSOLE")
FURTHER_PORTS = ("POSTGRES", "VICTORIA", "VMALERT", "METRICS", "ALERTS", "KAFKA", "KAFKA_CONTROLLER", "CONNECT")
LOOPBACK = {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
# When each layer's DAG fires, by the clock of the shop.
HOURS = {"bronze": 1, "silver": 3, "gold": 5}
# A zone in which it is early afternoon: tonight's three times are over, and the next are hours away.
AFTERNOON = ZoneInfo(f"Etc/GMT{datetime.now(UTC).hour - 14:+d}")
TASKS = {"bronze": "ingest_to_bronze", "silver": "transform_to_silver", "gold": "aggregate_to_gold"}


class StackForTests:
    """One stack; everything of it is below `folder`."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.home = folder / "stack"
        ports = {f"LAKEHOUSE_{name}_PORT": str(free_port()) for name in (*PORTS, *FURTHER_PORTS)}
        kept = {k: v for k, v in os.environ.items() if k in ("HOME", "LANG", "PATH", "JAVA_HOME", "XDG_CACHE_HOME")}
        self.environment = {**kept, **ports, "LAKEHOUSE_HOME": str(folder), **settings}

    def run(self, command: str, *options: str) -> subprocess.CompletedProcess[str]:
        """tools.stack, which `make up`, `make down` and `make status` call."""
        tool = [sys.executable, "-m", "tools.stack", "--env-file", os.devnull, command, *options]
        return subprocess.run(tool, cwd=ROOT, env=self.environment, text=True, capture_output=True, timeout=500)

    def lakehouse(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """The command line, on the stack's own databases and lake."""
        environment = {**self.environment, "LAKEHOUSE_HOME": str(self.home), **settings}
        done = subprocess.run(
            [BIN / "lakehouse", *arguments], env=environment, text=True, capture_output=True, timeout=3000
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done

    def dsn(self, database: str) -> str:
        """The libpq URL of a database of the stack, as the server's owner."""
        return EmbeddedPostgres(self.home).dsn(database)

    def query(self, database: str, statement: str) -> list[tuple[Any, ...]]:
        """What a statement answers, as the server's owner; nothing where it answers no rows."""
        with closing(psycopg2.connect(self.dsn(database))) as connection, connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def hashes(self) -> dict[str, tuple[int, int]]:
        """Of every gold table: rows, and a hash of what they hold in any order."""
        with closing(psycopg2.connect(self.dsn("ecommerce_gold"))) as connection, connection.cursor() as cursor:
            return {
                t: content_hash(cursor, f"gold.{t}", {c.name: c.type for c in contract.columns})
                for t, contract in load_contracts()["gold"].items()
            }

    def pid_of(self, part: str) -> int:
        """The process of a part; 0 where it does not run."""
        parts = json.loads(self.run("status", "--json").stdout)["parts"]
        return next(p["pid"] or 0 for p in parts if p["name"] == part)

    def runs(self) -> list[tuple[Any, ...]]:
        """Layer, business date and state of each run of the lakehouse, in their order."""
        return self.query("ecommerce_gold", "select layer, business_date, state from ops.runs order by seq")

    def processes(self) -> list[psutil.Process]:
        """The processes that carry the stack's mark, and those of its Postgres."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if process.environ().get("LAKEHOUSE_STACK") == str(self.home) or Path(process.cwd()).is_relative_to(
                    self.home
                ):
                    found.append(process)
        return found

    def listeners(self) -> set[tuple[str, str, int]]:
        """Who listens where: program, address and port."""
        found = set()
        for process in self.processes():
            with suppress(psutil.Error):
                found |= {
                    (process.name(), connection.laddr.ip, connection.laddr.port)
                    for connection in process.net_connections("inet")
                    if connection.status == psutil.CONN_LISTEN
                }
        return found

    def wait_for_bronze(self, day: date) -> None:
        """Returns while bronze is at work on a day."""

        def at_work() -> bool:
            with suppress(psycopg2.errors.UndefinedTable):  # before the first run
                return ("bronze", day, "running") in self.runs()
            return False

        AirflowForTests.until("bronze is at work", at_work)

    def wait_for_scheduler(self, dead: int) -> None:
        """Returns when another scheduler than the dead one is there."""
        AirflowForTests.until("the scheduler is back", lambda: self.pid_of("scheduler") not in (0, dead))

    def secret(self, name: str) -> str:
        """A secret of the stack."""
        return (self.home / "secrets" / name).read_text(encoding="utf-8")

    def url(self, part: str) -> str:
        """Where a part listens."""
        scheme = "https" if self.environment.get("LAKEHOUSE_TLS") else "http"
        return f"{scheme}://127.0.0.1:{self.environment[f'LAKEHOUSE_{part}_PORT']}"

    @property
    def ca(self) -> Path | None:
        """What its clients trust, of a stack that speaks TLS."""
        return self.home / "tls" / "ca.pem" if self.environment.get("LAKEHOUSE_TLS") else None

    def log_of(self, dag: str, run_id: str) -> str:
        """What the tasks of a DAG run wrote."""
        files = sorted((self.home / "airflow" / "task-logs" / f"dag_id={dag}" / f"run_id={run_id}").rglob("*.log"))
        return "\n".join(f"{f}\n{f.read_text(errors='replace')[-3000:]}" for f in files)

    def airflow(self) -> AirflowForTests:
        """The stack's Airflow, as its administrator."""
        return AirflowForTests(self.url("AIRFLOW"), self.secret("airflow_password"), self.log_of, self.ca)


@contextmanager
def running_stack(folder: Path, **settings: str) -> Iterator[StackForTests]:
    """A stack that is up, and down afterwards."""
    stack = StackForTests(folder, **settings)
    try:
        up = stack.run("up")
        assert up.returncode == 0, up.stdout + up.stderr
        yield stack
    finally:
        down = stack.run("down")
        assert down.returncode == 0, down.stdout + down.stderr


class AirflowForTests:
    """What a person does in Airflow's pages, by its API."""

    def __init__(self, url: str, password: str, log_of: Callable[[str, str], str], ca: Path | None = None) -> None:
        self._log_of = log_of
        trusted = ssl.create_default_context(cafile=ca) if ca else True
        self._client = httpx.Client(base_url=url, timeout=60, trust_env=False, verify=trusted)
        answer = self._client.post("/auth/token", json={"username": "admin", "password": password})
        self._client.headers["Authorization"] = f"Bearer {answer.raise_for_status().json()['access_token']}"

    def call(self, method: str, path: str, **given: Any) -> Any:
        """One request; an answer that is an error fails the test with its words."""
        answer = self._client.request(method, f"/api/v2{path}", **given)
        assert not answer.is_error, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        return answer.json() if answer.content else None

    def unpause(self) -> None:
        """Lets the three DAGs run; waits until the DAG processor has read them."""
        self.until(
            "the DAGs are read", lambda: {d["dag_id"] for d in self.call("GET", "/dags")["dags"]} >= set(DAGS.values())
        )
        for dag in DAGS.values():
            self.call("PATCH", f"/dags/{dag}", json={"is_paused": False})

    def trigger(self, layer: str, logical_date: datetime) -> str:
        """Starts a run by hand with a logical date; returns its id."""
        body = {"logical_date": logical_date.isoformat()}
        return str(self.call("POST", f"/dags/{DAGS[layer]}/dagRuns", json=body)["dag_run_id"])

    def state(self, layer: str, run_id: str) -> str:
        """The state of a DAG run."""
        return str(self.call("GET", f"/dags/{DAGS[layer]}/dagRuns/{run_id}")["state"])

    def tasks(self, layer: str, run_id: str) -> dict[str, dict[str, Any]]:
        """The tasks of a DAG run by name."""
        found = self.call("GET", f"/dags/{DAGS[layer]}/dagRuns/{run_id}/taskInstances")["task_instances"]
        return {t["task_id"]: t for t in found}

    def clear(self, layer: str, run_id: str) -> None:
        """Clears the failed tasks of a DAG run, so that they run again."""
        body = {"dry_run": False, "dag_run_id": run_id, "only_failed": True, "reset_dag_runs": True}
        self.call("POST", f"/dags/{DAGS[layer]}/clearTaskInstances", json=body)

    def ends(self, runs: dict[str, str], state: str = "success", seconds: float = 1200) -> None:
        """Waits until each run (by layer) has ended, and holds it against the state expected."""
        left = dict(runs)

        def ended() -> bool:
            for layer, run_id in list(left.items()):
                found = self.state(layer, run_id)
                if found in ("success", "failed"):
                    assert found == state, f"{layer} {run_id} ended as {found}\n{self._log_of(DAGS[layer], run_id)}"
                    del left[layer]
            return not left

        self.until(f"{left} have ended", ended, seconds)

    @staticmethod
    def until(what: str, holds: Callable[[], bool], seconds: float = 120) -> None:
        """Waits for something, and fails with its name."""
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, f"not within {seconds} s: {what}"
            time.sleep(1)

"""An Airflow of the tests' own: a home that is thrown away, metadata in SQLite, the DAGs of this checkout."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
HOME = Path(tempfile.mkdtemp(prefix="lakehouse-airflow-"))
atexit.register(shutil.rmtree, HOME, ignore_errors=True)

# Airflow reads its configuration when it is first imported.
for name in [n for n in os.environ if n.startswith(("AIRFLOW", "LAKEHOUSE_", "AWS_", "SPARK_", "PYSPARK_"))]:
    del os.environ[name]
(HOME / "no-secrets").mkdir()
os.environ |= {
    "AIRFLOW_HOME": str(HOME),
    "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
    "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    "LAKEHOUSE_SECRETS_DIR": str(HOME / "no-secrets"),
}

SECRET = "s3cret-word"
COMPLETE = {
    "AIRFLOW_CONN_SPARK_DEFAULT": json.dumps({"conn_type": "spark", "host": "local[1]"}),
    "LAKEHOUSE_SOURCE_DSN": f"postgresql://reader:{SECRET}@127.0.0.1:9/shop",
    "LAKEHOUSE_GOLD_DSN": f"postgresql://lakehouse:{SECRET}@127.0.0.1:9/gold",
    "LAKEHOUSE_LAKE": f"file://{HOME}/lake",
}


@pytest.fixture(scope="session")
def metadata() -> None:
    """Airflow's metadata database, with the pool that the DAGs name."""
    from airflow.models.pool import Pool
    from airflow.utils.db import initdb

    initdb()
    for pool, facts in json.loads((ROOT / "conf" / "airflow" / "pools.json").read_text(encoding="utf-8")).items():
        Pool.create_or_update_pool(pool, **facts)


Parsed = Callable[..., Mapping[str, Any]]


@pytest.fixture
def dags(monkeypatch: pytest.MonkeyPatch) -> Parsed:
    """The DAGs of the folder as they are with these settings, by id."""
    from airflow.dag_processing.dagbag import DagBag

    def parse(**settings: str) -> Mapping[str, Any]:
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        bag = DagBag(ROOT / "dags")
        assert bag.import_errors == {}
        return bag.dags

    return parse


@pytest.fixture
def complete(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets all that a Spark task asks for, changed as said; None takes a variable away."""

    def set_all(**changes: str | None) -> None:
        for name, value in {**COMPLETE, **changes}.items():
            monkeypatch.delenv(name, raising=False) if value is None else monkeypatch.setenv(name, value)

    return set_all


@dataclass
class Checkout:
    """A checkout whose jobs do nothing but end with the code they are told, under the real spark-submit."""

    root: Path

    def ends(self, code: str) -> None:
        """What each job does: a Python expression for its end."""
        for layer in ("bronze", "silver", "gold", "maintain", "backup", "verify"):
            (self.root / "jobs" / f"{layer}.py").write_text(
                f"import json, os, signal, sys\n"
                f"seen = {{'arguments': sys.argv[1:], 'python': sys.executable, 'home': os.environ['SPARK_HOME']}}\n"
                f"open({str(self.root / 'seen.json')!r}, 'w').write(json.dumps(seen))\n{code}\n",
                encoding="utf-8",
            )

    @property
    def seen(self) -> dict[str, Any] | None:
        """What the last job saw; None where none was submitted."""
        file = self.root / "seen.json"
        return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """A checkout of one's own, with the jobs environment of this one."""
    root = tmp_path / "checkout"
    for folder in ("jobs", "dist", "conf"):
        (root / folder).mkdir(parents=True)
    (root / "dist" / "lakehouse.zip").write_bytes(b"PK\x05\x06" + 18 * b"\0")
    for file in ("spark-defaults.conf", "conf/spark-cluster.conf"):
        (root / file).touch()
    monkeypatch.setenv("LAKEHOUSE_ROOT", str(root))
    monkeypatch.setenv("LAKEHOUSE_JOBS_ENVIRONMENT", str(ROOT / ".venv"))
    made = Checkout(root)
    made.ends("sys.exit(0)")
    return made


class OutletEvents(dict[Any, Any]):
    """Where a task leaves what its asset events carry."""

    def __missing__(self, asset: Any) -> Any:
        self[asset] = type("Event", (), {"extra": {}})()
        return self[asset]


@pytest.fixture
def context() -> Callable[..., dict[str, Any]]:
    """What Airflow hands to a task of a run with this logical date."""

    def of(logical_date: str | None, **more: Any) -> dict[str, Any]:
        moment = datetime.fromisoformat(logical_date).astimezone(UTC) if logical_date else None
        return {"logical_date": moment, "outlet_events": OutletEvents(), **more}

    return of


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """An empty database for a ledger, on the embedded server of the jobs environment."""
    program = ROOT / ".venv" / "bin" / "lakehouse"
    environment = {**os.environ, "LAKEHOUSE_HOME": str(HOME / "embedded")}
    # Not by the program: looking never makes a server.
    make = "from lakehouse.server.databases import database_url as url; from lakehouse.settings import Settings; "
    command = [ROOT / ".venv" / "bin" / "python", "-c", make + "print(url(Settings(), 'gold'))"]
    started = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    yield started.stdout.strip()
    subprocess.run([program, "stop"], env=environment, capture_output=True, check=True)

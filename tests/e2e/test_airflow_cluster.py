"""The DAGs on a standalone Spark cluster, to which Airflow is pointed by its connection alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.conftest import free_port, passable_folder
from tests.e2e.stack import BIN, TASKS, running_stack
from tests.e2e.test_samples_by_day import HASHES, LAST

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(2400)]
DEPLOY = "org.apache.spark.deploy"


@contextmanager
def cluster(folder: Path) -> Iterator[str]:
    """A master and two workers, as processes that know none of the lakehouse's secrets; their logs are in `folder`."""
    kept = {k: v for k, v in os.environ.items() if k in ("HOME", "LANG", "JAVA_HOME", "PATH")}
    environment = {
        **kept,
        "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable,
    }
    port = free_port()
    master = f"spark://127.0.0.1:{port}"
    here = ["--host", "127.0.0.1", "--webui-port", "0"]
    commands = {
        "master": [f"{DEPLOY}.master.Master", *here, "--port", str(port)],
        **{
            name: [
                f"{DEPLOY}.worker.Worker",
                *here,
                "--cores",
                "1",
                "--memory",
                "1g",
                "--work-dir",
                str(folder / "work"),
                master,
            ]
            for name in ("one", "two")
        },
    }
    with ExitStack() as stack:
        for name, command in commands.items():
            log = stack.enter_context((folder / f"{name}.log").open("wb"))
            process = subprocess.Popen([BIN / "spark-class", *command], env=environment, stdout=log, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.terminate)
        yield master


def test_a_day_on_a_cluster_gives_the_gold_of_one_machine(tmp_path: Path) -> None:
    with cluster(tmp_path) as master, passable_folder() as folder:
        settings = {
            "AIRFLOW_CONN_SPARK_DEFAULT": json.dumps({"conn_type": "spark", "host": master}),
            "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
        }
        with running_stack(folder, **settings) as stack:
            stack.lakehouse("sample", "load", "online_retail")
            airflow = stack.airflow()
            airflow.unpause()
            at = datetime.combine(LAST + timedelta(days=1), datetime.min.time(), ZoneInfo("UTC"))
            airflow.ends({layer: airflow.trigger(layer, at) for layer in TASKS})
            assert stack.hashes() == HASHES
            secrets = [stack.secret(f"{name}_password") for name in ("minio_pipeline", "postgres_pipeline")]
    for worker in ("one", "two"):
        said = (tmp_path / f"{worker}.log").read_text()
        assert said.count("Asked to launch executor") >= len(TASKS)
        assert not [secret for secret in secrets if secret in said]

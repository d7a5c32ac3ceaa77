"""The whole stack by `make up TLS=1`: every door by a certificate of its own CA, and a day through the DAGs."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

import httpx
import psycopg2
import pytest
from minio import Minio
from minio.error import S3Error
from urllib3 import PoolManager

from tests.conftest import passable_folder
from tests.e2e.stack import AFTERNOON, HOURS, LOOPBACK, AirflowForTests, StackForTests, running_stack
from tests.security.servers import certificates

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(1500)]
DOORS = {"AIRFLOW": "/api/v2/version", "DOCS": "/health", "MINIO": "/minio/health/cluster", "MINIO_CONSOLE": "/",
         "JUPYTER": "/api"}  # fmt: skip
SETTINGS = {"LAKEHOUSE_TLS": "1", "LAKEHOUSE_TIMEZONE": AFTERNOON.key}
each_door = pytest.mark.parametrize("door", DOORS)


@pytest.fixture(scope="module")
def stack() -> Iterator[StackForTests]:
    with passable_folder() as folder, running_stack(folder, **SETTINGS) as started:
        yield started


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificates(tmp_path_factory.mktemp("foreign")) / "ca.pem"


def ask(url: str, ca: Path | None) -> bytes:
    """An answer by who trusts nothing but a CA; by what everybody trusts where there is none."""
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=ca))
    )
    with opener.open(url, timeout=20) as answer:
        assert answer.status == 200
        return bytes(answer.read())


def database(stack: StackForTests, name: str, **more: str) -> dict[str, str]:
    """libpq's words for a database of the stack as its pipeline."""
    return {"host": "127.0.0.1", "port": stack.environment["LAKEHOUSE_POSTGRES_PORT"], "dbname": name, "user": "pipeline",
            "password": stack.secret("postgres_pipeline_password"), "sslmode": "verify-full",
            "sslrootcert": str(stack.ca), **more}  # fmt: skip


@each_door
def test_a_door_opens_to_who_trusts_the_stacks_ca(stack: StackForTests, door: str) -> None:
    ask(stack.url(door) + DOORS[door], stack.ca)


@each_door
def test_a_door_is_refused_by_who_does_not(stack: StackForTests, door: str, foreign: Path) -> None:
    for ca in (None, foreign):
        with pytest.raises(urllib.error.URLError, match="certificate verify failed"):
            ask(stack.url(door) + DOORS[door], ca)


@each_door
def test_no_door_answers_without_tls(stack: StackForTests, door: str) -> None:
    with pytest.raises((OSError, urllib.error.HTTPError)) as refused:
        ask(stack.url(door).replace("https", "http") + DOORS[door], None)
    assert getattr(refused.value, "code", 400) == 400


def test_postgres_is_found_by_its_certificate_alone(stack: StackForTests, foreign: Path) -> None:
    with closing(psycopg2.connect(**database(stack, "ecommerce_gold"))) as connection:
        assert connection.info.ssl_in_use
    for more in ({"sslrootcert": str(foreign)}, {"sslmode": "disable"}):
        with pytest.raises(psycopg2.OperationalError) as refused:
            psycopg2.connect(**database(stack, "ecommerce_gold", **more))
        assert stack.secret("postgres_pipeline_password") not in str(refused.value)


def test_status_and_the_command_line_need_not_be_told_again(
    stack: StackForTests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(stack.environment, "LAKEHOUSE_TLS")
    status = stack.run("status")
    assert status.returncode == 0, status.stdout
    done = stack.run("lakehouse", "run", "bronze", "--date", "1998-12-29", "--dry-run")
    assert done.returncode == 0, done.stderr


def test_nothing_listens_beyond_this_machine(stack: StackForTests) -> None:
    assert {ip for _, ip, _ in stack.listeners()} <= LOOPBACK


def test_a_day_goes_through_the_three_dags(stack: StackForTests) -> None:
    airflow = stack.airflow()
    airflow.unpause()
    runs = {
        layer: airflow.trigger(layer, datetime(1998, 12, 30, hour, 7, tzinfo=AFTERNOON))
        for layer, hour in HOURS.items()
    }
    airflow.ends(runs)
    assert [layer for layer, _, state in stack.runs() if state == "published"] == ["bronze", "silver", "gold"]
    [(orders,)] = stack.query("ecommerce_gold", "select count(*) from gold.fact_customer_orders")
    assert orders > 20_000
    assert b"silver" in ask(stack.url("DOCS"), stack.ca)


def test_no_secret_and_no_key_is_in_a_log_a_command_line_or_the_configuration(stack: StackForTests) -> None:
    files = [file for file in (stack.home / "secrets").rglob("*") if file.is_file()]
    secrets = {
        text for file in files if len(text := file.read_text().strip()) > 30 and not text.startswith(("/", "http"))
    }
    keys = {(stack.home / "tls" / name).read_text().splitlines()[1] for name in ("ca.key", "server.key")}
    told = {file: file.read_text(errors="replace") for file in (stack.home / "logs").iterdir()}
    told |= {f: f.read_text(errors="replace") for f in (stack.home / "airflow" / "task-logs").rglob("*.log")}
    told |= {Path(str(p.pid)): " ".join(p.cmdline()) for p in stack.processes()}
    told[Path("conf")] = (stack.home / "supervisord.conf").read_text()
    assert len(secrets) > 12
    assert [str(f) for f, text in told.items() if any(secret in text for secret in secrets | keys)] == []


def test_secrets_are_replaced_on_the_whole_stack_and_the_old_ones_open_nothing(stack: StackForTests) -> None:
    """The last of the stack: it is down for a moment."""
    up = stack.run("rotate")
    assert (up.returncode, up.stderr) == (9, "The stack is up, on the secrets that it has: `make down` first.\n")

    old_database = database(stack, "ecommerce_gold")
    names = ("airflow_password", "minio_pipeline_user", "minio_pipeline_password", "jupyter_token")
    old = {name: stack.secret(name) for name in names}
    hashes = stack.hashes()
    for command in ("down", "rotate", "up"):
        done = stack.run(command)
        assert done.returncode == 0, done.stdout + done.stderr

    psycopg2.connect(**database(stack, "ecommerce_gold")).close()
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(**old_database)
    with pytest.raises(httpx.HTTPStatusError, match="401"):
        AirflowForTests(stack.url("AIRFLOW"), old["airflow_password"], stack.log_of, stack.ca)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        ask(f"{stack.url('JUPYTER')}/api/contents?token={old['jupyter_token']}", stack.ca)
    assert ask(f"{stack.url('JUPYTER')}/api/contents?token={stack.secret('jupyter_token')}", stack.ca)
    http = PoolManager(cert_reqs="CERT_REQUIRED", ca_certs=str(stack.ca), retries=False)
    keys = [old[name] for name in names[1:3]]
    former = Minio(stack.url("MINIO").partition("//")[2], *keys, http_client=http)
    with pytest.raises(S3Error, match="InvalidAccessKeyId"):
        list(former.list_objects("bronze"))

    # The next day, by the new ones, goes through the DAGs.
    assert stack.run("lakehouse", "sample", "advance", "foodmart", "--to", "1998-12-30").returncode == 0
    airflow = stack.airflow()
    airflow.ends(
        {
            layer: airflow.trigger(layer, datetime(1998, 12, 31, hour, 7, tzinfo=AFTERNOON))
            for layer, hour in HOURS.items()
        }
    )
    assert stack.hashes() != hashes


def test_who_watches_shows_the_certificate_and_is_given_metrics_by_it() -> None:
    with passable_folder() as folder, running_stack(folder, **SETTINGS, LAKEHOUSE_MONITORING="1") as watched:
        for door in ("VICTORIA", "VMALERT"):
            ask(f"{watched.url(door)}/health", watched.ca)
            with pytest.raises(urllib.error.URLError, match="certificate verify failed"):
                ask(f"{watched.url(door)}/health", None)

        def series(query: str) -> int:
            found = json.loads(ask(f"{watched.url('VICTORIA')}/api/v1/query?query={query}", watched.ca))
            return len(found["data"]["result"])

        until = AirflowForTests.until
        until("MinIO was scraped", lambda: series("up{job=%22minio%22}==1") == 1)
        until("vmalert was scraped", lambda: series("up{job=%22vmalert%22}==1") == 1)
        until("Airflow sent its metrics", lambda: series("airflow_scheduler_heartbeat_total") > 0)

"""docker-compose.tls.yml on top of docker-compose.yml, read and not run: no address in the clear, and every file there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.test_compose import COMPOSE, IMAGE_ROOT, ROOT, TEXT, VARIABLE, paths_in
from tests.test_docs import example_settings
from tools.stack.parts import VMALERT_URLS
from tools.stack.tls.certificates import NAMES
from tools.stack.tls.files import Files

pytestmark = pytest.mark.unit

TLS_TEXT = (ROOT / "docker-compose.tls.yml").read_text(encoding="utf-8")
TLS: dict[str, Any] = yaml.safe_load(TLS_TEXT)
# Of each key of a service that both files have, what compose takes: https://docs.docker.com/reference/compose-file/merge/
REPLACED = ("command", "entrypoint", "test")
each_service = pytest.mark.parametrize("name", COMPOSE["services"])


def merged(base: Any, over: Any, key: str = "") -> Any:
    """Mappings key by key, lists one after the other, all else as the second file says; secrets and volumes by target."""
    if isinstance(base, dict) and isinstance(over, dict):
        return {k: merged(base[k], over[k], k) if k in base and k in over else (over | base)[k] for k in base | over}
    if isinstance(base, list) and isinstance(over, list) and key not in REPLACED:
        return [*base, *over]
    return over


BOTH: dict[str, Any] = merged({k: v for k, v in COMPOSE.items() if not k.startswith("x-")},
                              {k: v for k, v in TLS.items() if not k.startswith("x-")})  # fmt: skip
SERVICES: dict[str, dict[str, Any]] = BOTH["services"]


def told(name: str) -> str:
    """What a service is told: its command, its check and its environment."""
    service = SERVICES[name]
    return json.dumps([service.get(key) for key in ("command", "healthcheck", "environment")])


def mounted(name: str) -> dict[str, str]:
    """The secrets of a service by the file under which each is found."""
    secrets = SERVICES[name].get("secrets", [])
    return {
        f"/run/secrets/{s if isinstance(s, str) else s['target']}": s if isinstance(s, str) else s["source"]
        for s in secrets
    }


def test_both_files_together_are_valid_and_name_no_service_that_there_is_not() -> None:
    schema = json.loads((ROOT / "tests" / "compose-spec.json").read_text(encoding="utf-8"))
    for compose in (TLS, BOTH):
        assert [e.message for e in jsonschema.Draft7Validator(schema).iter_errors(compose)] == []
    assert TLS["services"].keys() - COMPOSE["services"].keys() == set()


def test_every_variable_is_in_the_example() -> None:
    used = {name for name, _ in VARIABLE.findall(TLS_TEXT)}
    assert used - example_settings() == set()


@each_service
def test_nothing_is_in_the_clear_but_alerts_the_exporter_and_sparks_own_pages(name: str) -> None:
    left = set(re.findall(r"http://([\w.]+:\d+)", told(name)))
    left -= {"connect:8083", "127.0.0.1:8083"} if name in ("connect", "live") else set()
    assert left <= {"alerts:9093", "127.0.0.1:9108", "127.0.0.1:9093", "127.0.0.1:8080", "127.0.0.1:8081"}
    if {"127.0.0.1:8080", "127.0.0.1:8081"} & left:
        assert name in ("spark-master", "spark-worker")


@each_service
def test_what_is_named_below_run_secrets_is_there(name: str) -> None:
    named = set(re.findall(r"/run/secrets/[\w.]+", told(name)))
    assert named - mounted(name).keys() == set()
    assert set(mounted(name).values()) <= BOTH["secrets"].keys()


@each_service
def test_who_asks_by_https_trusts_the_stacks_file_alone(name: str) -> None:
    if "https://" in told(name):
        assert SERVICES[name]["environment"]["LAKEHOUSE_CA_FILE"] == "/run/secrets/tls_trusted"


def test_hosts_that_are_asked_by_tls_are_in_the_certificate() -> None:
    asked = set(re.findall(r"https://([\w-]+):\d", "".join(map(told, SERVICES))))
    assert {"minio", "airflow-api-server", "victoria", "localhost"} <= asked
    assert asked | {"postgres", "metadata"} <= set(NAMES)


@pytest.mark.parametrize("name", ["postgres", "metadata"])
def test_a_postgres_lets_nobody_in_over_a_network_without_tls(name: str) -> None:
    service = SERVICES[name]
    assert {"ssl=on", "hba_file=/etc/postgresql/pg_hba.conf"} <= set(service["command"])
    [volume] = [v for v in service["volumes"] if v.endswith("/etc/postgresql/pg_hba.conf:ro")]
    rules = [
        line.split() for line in (ROOT / volume.partition(":")[0]).read_text().splitlines() if line[:1] not in ("", "#")
    ]
    assert {rule[0] for rule in rules} == {"local", "hostssl"}
    assert {rule[-1] for rule in rules} == {"scram-sha-256"}
    before = [word for word in COMPOSE["services"][name].get("command", []) if word != "-c"]
    assert set(before) <= set(service["command"])


def test_clients_of_the_metadata_and_who_makes_databases_ask_for_the_certificate() -> None:
    for name in (*(n for n in SERVICES if n.startswith("airflow-")), "postgres-init"):
        environment = SERVICES[name]["environment"]
        assert (environment["PGSSLMODE"], environment["PGSSLROOTCERT"]) == ("verify-full", "/run/secrets/tls_trusted")


def test_commands_are_those_without_tls_and_what_the_plain_processes_add() -> None:
    files = Files(Path("/run/secrets"))
    shown = {"docs": files.docs(), "jupyter": files.jupyter(), "victoria": files.victoria(),
             "vmalert": files.vmalert(VMALERT_URLS)}  # fmt: skip
    as_mounted = {"server.pem": "tls_certificate", "server.key": "tls_key", "trusted.pem": "tls_trusted"}
    for name, options in shown.items():
        before, now = COMPOSE["services"][name]["command"], SERVICES[name]["command"]
        added = [re.sub("|".join(as_mounted), lambda m: as_mounted[m[0]], o) for o in options]
        doubled = [f"-{o}" if re.match(r"-\w", o) else o for o in added]
        assert now == [w.replace("http://victoria", "https://victoria") for w in before] + doubled, name


@each_service
def test_a_file_that_a_command_names_is_in_the_image(name: str) -> None:
    service = SERVICES[name]
    found = paths_in([w for w in service.get("command", []) if w != IMAGE_ROOT]) if "build" in service else set()
    assert [p for p in found if not p.exists() and ".venv-airflow" not in p.parts] == []


def test_secrets_are_exactly_the_files_that_the_scripts_make(tmp_path: Path) -> None:
    environment = {"PATH": os.defpath, "LAKEHOUSE_HOME": str(tmp_path), "LAKEHOUSE_UID": "1000", "LAKEHOUSE_TLS": "1"}
    for words in (
        ("access.secrets", "--env-file", os.devnull),
        ("tls.certificates", "--folder", f"{tmp_path}/stack/tls"),
    ):
        subprocess.run(
            [sys.executable, "-m", f"tools.stack.{words[0]}", *words[1:]], cwd=ROOT, env=environment, check=True
        )
    files = {n: Path(s["file"].replace("${LAKEHOUSE_HOME}", str(tmp_path))) for n, s in BOTH["secrets"].items()}
    assert {n: oct(f.stat().st_mode & 0o777) for n, f in files.items()} == dict.fromkeys(files, "0o600")
    executors = files["spark_properties"].read_text()
    assert "-Djavax.net.ssl.trustStore=/run/secrets/tls_trust_store" in executors
    assert "tls_trust_store" in SERVICES["spark-worker"]["secrets"]


def test_the_first_file_alone_says_nothing_of_tls() -> None:
    assert "https://" not in TEXT
    assert "tls_" not in TEXT

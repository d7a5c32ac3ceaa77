"""docker-compose.yml and its images, read and not run: valid, closed to the outside, and naming only what there is.

What a container runs is a script that other tests run: `make setup`, `make airflow`, `make minio`, `make zip`, and the
programs of the stack in tests/integration/test_stack.py.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import pytest
import yaml

from lakehouse.settings import Settings
from tests.test_docs import example_settings
from tools.stack.parts import VICTORIA_OPTIONS, VMALERT_OPTIONS, VMALERT_URLS
from tools.stack.ports import OF_LIVE

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "conf" / "docker" / "Dockerfile").read_text(encoding="utf-8")
EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
IMAGE_ROOT = "/opt/lakehouse"
STACK = ROOT / "tools" / "stack"
VARIABLE = re.compile(r"\$\{(\w+)(:?[-?+])?")
PINNED = re.compile(r"[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64}")
each_service = pytest.mark.parametrize("name", SERVICES)


def waited_for() -> set[str]:
    """The services that run once, and that others wait for."""
    return {
        name
        for service in SERVICES.values()
        for name, how in service.get("depends_on", {}).items()
        if how["condition"] == "service_completed_successfully"
    }


def paths_in(words: list[str]) -> set[Path]:
    """The files of a command that lie in the checkout, and so in the image."""
    values = (word.partition("=")[2] if word.startswith("--") else word for word in words)
    inside = (value.removeprefix(f"{IMAGE_ROOT}/") for value in values)
    named = {ROOT / value for value in inside if re.match(r"(\.venv|tools/|conf|notebooks)\b", value)}
    return named | {file_of(word) for before, word in pairwise(words) if before == "-m"}


def file_of(module: str) -> Path:
    """The file of a module of the checkout, by its name."""
    top = ROOT / "lib" if module.startswith("lakehouse.") else ROOT
    return top / f"{module.replace('.', '/')}.py"


def made_secrets(home: Path) -> Path:
    """The folder of the secrets that a person makes before the first start."""
    environment = {"PATH": os.defpath, "LAKEHOUSE_HOME": str(home), "LAKEHOUSE_UID": "1000"}
    script = [sys.executable, "-m", "tools.stack.access.secrets", "--env-file", os.devnull]
    subprocess.run(script, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    return home / "stack" / "secrets"


def test_it_is_valid_by_the_compose_specification() -> None:
    schema = json.loads((ROOT / "tests" / "compose-spec.json").read_text(encoding="utf-8"))
    found = [f"{e.json_path}: {e.message}" for e in jsonschema.Draft7Validator(schema).iter_errors(COMPOSE)]
    assert found == []


def test_every_variable_is_in_the_example_and_one_without_a_default_has_its_value_there() -> None:
    used = {(name, modifier) for name, modifier in VARIABLE.findall(TEXT)}
    assert {name for name, _ in used} - example_settings() == set()
    set_there = set(re.findall(r"^(\w+)=.+", EXAMPLE, re.MULTILINE))
    assert {name for name, modifier in used if modifier not in (":-", ":+")} - set_there == set()


@each_service
def test_a_service_is_closed(name: str) -> None:
    service = SERVICES[name]
    assert service["user"].startswith("${LAKEHOUSE_UID")
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert {"mem_limit", "pids_limit"} <= service.keys()
    assert [t for t in service.get("tmpfs", []) if "size=" not in t] == []
    assert set(service["networks"]) <= COMPOSE["networks"].keys()
    assert not {"privileged", "cap_add", "devices", "pid", "ipc", "network_mode"} & service.keys()
    assert not [v for v in service.get("volumes", []) if "docker.sock" in v]


@each_service
def test_a_service_is_watched_and_started_again_or_runs_once_and_is_waited_for(name: str) -> None:
    service = SERVICES[name]
    if name in waited_for():
        assert service["restart"] == "on-failure"
    else:
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"][0] == "CMD"
        assert not service["healthcheck"].get("disable")


def test_ports_are_those_of_the_settings_on_this_machine_only() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert [port for port in ports if not re.fullmatch(r"127\.0\.0\.1:\$\{LAKEHOUSE_\w+_PORT\}:\d+", port)] == []
    published = [VARIABLE.findall(port)[0][0] for port in ports]
    named = set(re.findall(r"^(LAKEHOUSE_\w+_PORT)=", EXAMPLE, re.MULTILINE))
    # The live layer's stay on a network of its own.
    assert sorted(published) == sorted(named - set(OF_LIVE))


def test_what_others_wait_for_is_there() -> None:
    for service in SERVICES.values():
        for name, how in service.get("depends_on", {}).items():
            assert name in SERVICES
            assert "healthcheck" in SERVICES[name] or how["condition"] == "service_completed_successfully"
            # A service of another profile must not be needed.
            assert how.get("required", True) is False or set(SERVICES[name].get("profiles", [])) <= set(
                service.get("profiles", [])
            )


def test_profiles_bring_a_postgres_a_cluster_with_workers_monitoring_and_the_live_layer() -> None:
    by_profile = {name: s["profiles"] for name, s in SERVICES.items() if "profiles" in s}
    assert by_profile == {
        "postgres": ["postgres"],
        "postgres-init": ["postgres"],
        "spark-master": ["cluster"],
        "spark-worker": ["cluster"],
        "metrics": ["monitoring"],
        "alerts": ["monitoring"],
        "victoria": ["monitoring"],
        "vmalert": ["monitoring"],
        "kafka": ["live"],
        "connect": ["live"],
        "live": ["live"],
    }
    assert SERVICES["spark-worker"]["deploy"]["replicas"] == 2


def test_images_of_others_are_pinned_by_version_and_digest() -> None:
    foreign = [s["image"] for s in SERVICES.values() if "build" not in s]
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.MULTILINE))
    foreign += [image for image in re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE) if image not in stages]
    assert foreign
    assert [image for image in foreign if not PINNED.fullmatch(image)] == []


@each_service
def test_no_secret_is_an_environment_value(name: str) -> None:
    for variable, value in SERVICES[name].get("environment", {}).items():
        if re.search(r"PASSWORD|SECRET|TOKEN|KEY|DSN|WEBHOOK|SMTP", variable):
            assert str(value).startswith("/run/secrets"), variable
        assert not re.search(r"://[^/\s]*:[^/\s]*@", str(value)), variable


@each_service
def test_a_service_is_given_the_secrets_that_it_names(name: str) -> None:
    given = {s if isinstance(s, str) else s["target"] for s in SERVICES[name].get("secrets", [])}
    environment = SERVICES[name].get("environment", {}).values()
    named = {Path(str(value)).name for value in environment if str(value).startswith("/run/secrets/")}
    assert named - given == set()


def test_secrets_are_exactly_the_files_that_the_script_makes(tmp_path: Path) -> None:
    made_secrets(tmp_path)
    files = {
        name: Path(secret["file"].replace("${LAKEHOUSE_HOME}", str(tmp_path)))
        for name, secret in COMPOSE["secrets"].items()
    }
    assert {name: oct(file.stat().st_mode & 0o777) for name, file in files.items()} == dict.fromkeys(files, "0o600")
    used = [
        s if isinstance(s, str) else s["source"] for service in SERVICES.values() for s in service.get("secrets", [])
    ]
    assert set(used) == set(files)


def test_airflow_keeps_its_metadata_on_a_server_that_it_waits_for_and_the_shop_on_its_own(tmp_path: Path) -> None:
    secrets = made_secrets(tmp_path)
    found = urlsplit((secrets / "compose" / "airflow_dsn").read_text())
    server = SERVICES[found.hostname or ""]["environment"]
    assert found.hostname in SERVICES["airflow-init"]["depends_on"]
    assert (found.username, found.path) == (server["POSTGRES_USER"], f"/{server['POSTGRES_DB']}")
    assert found.password == (secrets / Path(server["POSTGRES_PASSWORD_FILE"]).name).read_text()
    [timeout] = re.findall(r"idle_in_transaction_session_timeout=(\w+)", str(SERVICES["metadata"]["command"]))
    assert f"idle_in_transaction_session_timeout = '{timeout}'" in (STACK / "access" / "databases.py").read_text()
    for setting in ("LAKEHOUSE_SOURCE_DSN", "LAKEHOUSE_GOLD_DSN"):
        assert urlsplit((secrets / "compose" / "pipeline" / setting).read_text()).hostname == "host.docker.internal"


@each_service
def test_a_command_and_its_check_name_what_is_in_the_image(name: str) -> None:
    service = SERVICES[name]
    if "build" not in service:
        return
    assert service["build"]["target"] in re.findall(r" AS (\S+)$", DOCKERFILE, re.MULTILINE)
    words = [*service["command"], *service.get("healthcheck", {}).get("test", [])]
    found = paths_in(words)
    # Airflow's environment is made by `make airflow`, which not everybody needs; its programs are in the lock.
    assert [p for p in found if not p.exists() and ".venv-airflow" not in p.parts] == []
    assert found or words[0] in ("airflow", "minio")


def test_commands_are_those_of_the_plain_processes() -> None:
    parts = (STACK / "parts.py").read_text(encoding="utf-8")
    for name in ("api-server", "scheduler", "dag-processor", "triggerer"):
        options = SERVICES[f"airflow-{name}"]["command"][2:]
        line = next(line for line in parts.splitlines() if f'part("{name}"' in line)
        assert re.findall(r'"(--[\w-]+)"', line) == options


def test_monitoring_is_that_of_the_plain_processes() -> None:
    parts = (STACK / "parts.py").read_text(encoding="utf-8")
    given = {o for name in ("victoria", "vmalert") for o in SERVICES[name]["command"][1:]}
    assert {f"-{option}" for option in (*VICTORIA_OPTIONS, *VMALERT_OPTIONS)} <= given
    assert {f"--{what}.url=http://victoria:8428" for what in VMALERT_URLS} <= given
    files = {word.rpartition("/")[2] for word in given if "conf/monitoring/" in word}
    assert files == {"scrape.yml", "rules.yml", "dashboards"}
    assert [file for file in files if f"'{file}'" not in parts] == []
    asked = set(re.findall(r"%\{(\w+)\}", (ROOT / "conf/monitoring/scrape.yml").read_text(encoding="utf-8")))
    assert asked == SERVICES["victoria"]["environment"].keys()
    assert [name for name in asked if f'"{name}"' not in parts] == []


def test_who_watches_reaches_what_it_scrapes_and_no_secret_but_those_it_needs() -> None:
    assert {"metrics", "minio", "vmalert", "alerts"} <= neighbours("victoria")
    assert not {"postgres", "metadata"} & neighbours("victoria")
    assert [s["target"] for s in SERVICES["metrics"]["secrets"]] == ["LAKEHOUSE_GOLD_DSN"]
    assert not any(SERVICES[name].get("secrets") for name in ("victoria", "vmalert"))


def test_spark_gets_its_options_as_words_of_their_own() -> None:
    commands = [SERVICES[name]["command"] for name in ("spark-master", "spark-worker")]
    assert [word for command in commands for word in command if "=" in word] == []


def test_every_copied_file_and_script_of_the_images_is_there() -> None:
    copied = re.findall(r"^COPY (?!--from)(\S+) ", DOCKERFILE, re.MULTILINE)
    scripts = [str(file_of(m).relative_to(ROOT)) for m in re.findall(r"-m (tools[\w.]+)", DOCKERFILE)]
    assert scripts
    assert [path for path in [*copied, *scripts] if not (ROOT / path).exists()] == []
    stages = re.findall(r" AS (\S+)$", DOCKERFILE, re.MULTILINE)
    assert set(re.findall(r"--from=(\S+)", DOCKERFILE)) <= set(stages)
    kept = re.findall(r"^!(\S+)", (ROOT / "conf/docker/Dockerfile.dockerignore").read_text(), re.MULTILINE)
    assert [path for path in kept if not (ROOT / path).exists()] == []
    assert {path.split("/")[0] for path in scripts} <= set(kept)


def test_images_run_as_nobody_special_and_hold_no_secret() -> None:
    stages = dict(re.findall(r"^FROM \S+ AS (\S+)$(.*?)(?=^FROM|\Z)", DOCKERFILE, re.MULTILINE | re.DOTALL))
    users = {name: re.findall(r"^USER (\S+)", stage, re.MULTILINE) for name, stage in stages.items()}
    assert users["run"] == ["lakehouse"]
    assert users["minio"] == ["lakehouse"]
    assert "run AS jobs" in DOCKERFILE
    assert "run AS airflow" in DOCKERFILE
    assert ".env" not in (ROOT / "conf/docker/Dockerfile.dockerignore").read_text()
    assert not re.search(r"PASSWORD|SECRET|TOKEN", DOCKERFILE)


def test_how_long_things_take_and_are_kept_is_as_in_env_also_in_containers() -> None:
    durations = {name for name, field in Settings.model_fields.items() if field.annotation is timedelta}
    assert "retention" in durations
    for name in ("airflow-scheduler", "airflow-api-server"):
        environment = SERVICES[name]["environment"]
        assert {d: environment.get(f"LAKEHOUSE_{d.upper()}") for d in durations} == {
            d: f"${{LAKEHOUSE_{d.upper()}}}" for d in durations
        }


def test_every_variable_that_airflow_is_told_to_look_up_is_given_in_both_forms() -> None:
    asked = set(re.findall(r"\$(\w+)", (ROOT / "conf" / "airflow" / "airflow.env").read_text(encoding="utf-8")))
    assert asked
    for name in ("airflow-init", "airflow-scheduler", "airflow-api-server"):
        assert asked - SERVICES[name]["environment"].keys() == set()
    plain = (STACK / "settings.py").read_text(encoding="utf-8")
    assert {variable for variable in asked if f'"{variable}"' not in plain} == set()


def test_the_network_of_the_shop_has_its_name_and_that_of_the_metadata_leads_nowhere() -> None:
    assert COMPOSE["networks"]["ecommerce-network"] == {"name": "ecommerce-network"}
    assert COMPOSE["networks"]["airflow-network"] == {"internal": True}


def neighbours(name: str) -> set[str]:
    """The services that one can speak to."""
    networks = set(SERVICES[name]["networks"])
    return {other for other, service in SERVICES.items() if networks & set(service["networks"])} - {name}


def test_who_only_reads_speaks_to_the_stores_that_it_reads() -> None:
    assert neighbours("jupyter") == {"minio", "postgres"}
    assert neighbours("docs") == {"minio"}


def test_only_airflow_speaks_to_its_metadata() -> None:
    assert {name for name in neighbours("metadata") if not name.startswith("airflow-")} == set()
    assert SERVICES["metadata"]["networks"] == ["airflow-network"]


def test_a_service_reaches_whom_it_names() -> None:
    """Hosts in its command, check and environment, and those whose start it waits for."""
    for name, service in SERVICES.items():
        words = json.dumps([service.get("command"), service.get("healthcheck"), service.get("environment")])
        named = {other for other in SERVICES if re.search(rf"(//|\b){other}:\d", words)} - {name}
        waits = {
            other
            for other, how in service.get("depends_on", {}).items()
            if how["condition"] == "service_healthy" and service["restart"] != "unless-stopped"
        }
        reached = neighbours(name)
        if name in ("airflow-init", "airflow-api-server", "airflow-triggerer"):
            named.discard("minio")  # Airflow's settings are the same everywhere; only tasks open the lake
        assert (named | waits) - reached == set(), name


def test_processes_of_spark_are_on_one_network_and_a_driver_says_by_which_name_it_is_found() -> None:
    assert SERVICES["spark-master"]["networks"] == SERVICES["spark-worker"]["networks"] == ["ecommerce-network"]
    assert "ecommerce-network" in SERVICES["airflow-scheduler"]["networks"]


def test_a_cluster_asks_everybody_for_its_secret_and_encrypts_what_it_sends(tmp_path: Path) -> None:
    secrets = made_secrets(tmp_path)
    written = (secrets / "compose" / "spark_properties").read_text()
    options = dict(line.split() for line in written.splitlines())
    assert options["spark.authenticate"] == options["spark.network.crypto.enabled"] == "true"
    assert options["spark.authenticate.secret"] == (secrets / "spark_secret").read_text()
    assert options["spark.driver.host"] in SERVICES
    file = "/run/secrets/spark_properties"
    for name in ("spark-master", "spark-worker"):
        command = SERVICES[name]["command"]
        assert command[command.index("--properties-file") + 1] == file
    assert SERVICES[options["spark.driver.host"]]["environment"]["LAKEHOUSE_SPARK_PROPERTIES"] == file


def test_what_makes_backups_has_postgres_programs_of_the_servers_release_on_its_path() -> None:
    """A server that is asked for TLS is dumped by those of PATH: tests/recovery/test_clients.py."""
    releases = set(re.findall(r"postgres:(\d+)\.", TEXT))
    assert len(releases) == 1
    [release] = releases
    stage = re.search(r"^FROM java AS run\n(.*?)(?=^FROM )", DOCKERFILE, re.MULTILINE | re.DOTALL)
    assert stage is not None
    assert f"postgresql-client-{release} " in stage[1]
    programs = f"/usr/lib/postgresql/{release}/bin"
    assert f"ENV PATH={programs}:$PATH" in stage[1]
    # Those that give the containers a PATH of their own name it too.
    assert [p for p in re.findall(r"^ +PATH: (.*)$", TEXT, re.MULTILINE) if programs not in p.split(":")] == []
    for image in ("jobs", "airflow"):
        assert f"FROM run AS {image}\n" in DOCKERFILE

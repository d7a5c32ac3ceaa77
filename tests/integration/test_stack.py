"""The whole stack by `make up`: healthy, closed to the outside, up again after any death, and gone after `make down`."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from lakehouse.cli.samples import _empty_home
from tests.conftest import free_port, passable_folder
from tests.e2e.stack import LOOPBACK, PORTS, StackForTests, running_stack

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parent.parent.parent
PARTS = ["postgres", "minio", "docs", "jupyter", "api-server", "scheduler", "dag-processor", "triggerer"]
MONITORING = {"metrics", "alerts", "victoria", "vmalert"}


# Refused before anything starts.


@pytest.fixture
def stack(tmp_path: Path) -> StackForTests:
    return StackForTests(tmp_path)


def test_a_taken_port_is_named_with_its_purpose_and_its_holder(stack: StackForTests) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        stack.environment["LAKEHOUSE_MINIO_PORT"] = str(port)
        up = stack.run("up")

    assert up.returncode == 9
    assert up.stderr == (
        f"Port {port}, which MinIO needs, is taken by process {os.getpid()} ({process_name()}): "
        "end that, or set LAKEHOUSE_MINIO_PORT to a free port.\n"
    )
    assert not (stack.home / "postgres").exists()


def test_a_port_given_twice_or_none_is_refused(stack: StackForTests) -> None:
    port = stack.environment["LAKEHOUSE_AIRFLOW_PORT"]
    stack.environment["LAKEHOUSE_DOCS_PORT"] = port
    assert f"Port {port} is given to both Airflow and the Data Docs: set LAKEHOUSE_DOCS_PORT" in stack.run("up").stderr

    stack.environment["LAKEHOUSE_DOCS_PORT"] = "eighty"
    assert stack.run("up").stderr == "LAKEHOUSE_DOCS_PORT must be a port, a number up to 65535, and is eighty.\n"


def test_ports_of_a_minio_that_is_not_started_are_not_asked_for(stack: StackForTests) -> None:
    with socket.create_server(("127.0.0.1", 0)) as own, socket.create_server(("127.0.0.1", 0)) as other:
        stack.environment |= {
            "LAKEHOUSE_LAKE": "s3a://",
            "LAKEHOUSE_MINIO_PORT": str(own.getsockname()[1]),
            "LAKEHOUSE_DOCS_PORT": str(other.getsockname()[1]),
        }
        said = stack.run("up").stderr
    assert "which the Data Docs needs" in said
    assert "MinIO" not in said


def test_settings_come_from_the_file_and_the_environment_wins(stack: StackForTests, tmp_path: Path) -> None:
    ports = {f"LAKEHOUSE_{name}_PORT": str(free_port()) for name in PORTS}
    written = tmp_path / "settings"
    lines = [f"# ports\n{name}={value}  # free" for name, value in ports.items()]
    written.write_text("\n".join([*lines, "LAKEHOUSE_HOME='/somewhere else'", 'LAKEHOUSE_TIMEZONE="UTC"']))
    for name in ports:
        if name != "LAKEHOUSE_DOCS_PORT":
            del stack.environment[name]

    command = [sys.executable, "-m", "tools.stack", "--env-file", written, "status", "--json"]
    told = subprocess.run(command, cwd=ROOT, env=stack.environment, text=True, capture_output=True, timeout=60)

    found = json.loads(told.stdout)
    urls = {part["name"]: part["url"] for part in found["parts"]}
    assert urls["api-server"] == f"http://127.0.0.1:{ports['LAKEHOUSE_AIRFLOW_PORT']}"
    assert urls["docs"] == stack.url("DOCS")
    assert found["home"] == str(stack.home)


def test_a_stack_that_was_never_up_is_stopped_and_ends_without_a_word_of_complaint(stack: StackForTests) -> None:
    status, down = stack.run("status"), stack.run("down")
    assert (status.returncode, down.returncode) == (3, 0)
    assert status.stdout.count("stopped") == 8
    assert "The stack is down." in down.stdout
    assert stack.run("lakehouse", "status").stderr == "The stack is down: `make up` starts it.\n"


@pytest.mark.slow
def test_who_watches_is_part_of_a_stack_that_asks_for_it_and_has_ports_of_its_own(stack: StackForTests) -> None:
    assert MONITORING.isdisjoint(status(stack))
    stack.environment["LAKEHOUSE_MONITORING"] = "1"
    assert status(stack).keys() - set(PARTS) == MONITORING
    stack.environment["LAKEHOUSE_VICTORIA_PORT"] = stack.environment["LAKEHOUSE_DOCS_PORT"]
    said = stack.run("up").stderr
    assert "is given to both the Data Docs and VictoriaMetrics: set LAKEHOUSE_VICTORIA_PORT" in said


@pytest.mark.parametrize(("command", "ends"), [("down", 0), ("status", 2)])
def test_stopping_and_looking_build_nothing(tmp_path: Path, command: str, ends: int) -> None:
    made = make(tmp_path, command)
    assert (made.returncode, made.stdout) == (ends, "Nothing was set up here, so no stack runs.\n")
    assert list(tmp_path.iterdir()) == []

    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    assert make(tmp_path, command).stdout == f"-m tools.stack {command}\n"


def make(folder: Path, target: str) -> subprocess.CompletedProcess[str]:
    """A target of the Makefile in a folder where nothing else is."""
    command = ["make", "-C", folder, "-f", ROOT / "Makefile", "--no-print-directory", "PYTHON=/bin/false", target]
    return subprocess.run(command, text=True, capture_output=True, timeout=60)


def test_settings_that_no_dag_could_read_are_refused_before_airflow_starts() -> None:
    with passable_folder() as folder:
        stack = StackForTests(folder, LAKEHOUSE_ALERT_EMAIL_TO="someone@example.com")
        try:
            up = stack.run("up")
            assert up.returncode == 3
            assert "alerts by e-mail need LAKEHOUSE_ALERT_EMAIL_FROM, LAKEHOUSE_SMTP_URL too" in up.stderr
            assert not (stack.home / "supervisord.conf").exists()
        finally:
            assert stack.run("down").returncode == 0


def test_a_path_that_is_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    with passable_folder() as folder:
        stack = StackForTests(folder / ("x" * 90))
        try:
            up = stack.run("up")
            assert up.returncode == 9
            assert "is too long for a socket: set LAKEHOUSE_HOME to a shorter one." in up.stderr
        finally:
            assert stack.run("down").returncode == 0


def process_name() -> str:
    return psutil.Process().name()


def test_the_demo_empties_its_own_home_and_leaves_the_stack_alone(tmp_path: Path) -> None:
    for folder in ("stack/secrets", "lake/bronze", "data-docs"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "lake" / "bronze" / "file").touch()
    _empty_home(tmp_path)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == ["stack", "stack/secrets"]


# The whole of it. One stack for all of these, in their order.


@pytest.fixture(scope="module")
def whole() -> Iterator[StackForTests]:
    with passable_folder() as folder, running_stack(folder) as started:
        yield started


def status(stack: StackForTests) -> dict[str, dict[str, Any]]:
    """What `status --json` says of each part, by name."""
    return {part["name"]: part for part in json.loads(stack.run("status", "--json").stdout)["parts"]}


def comes_back(stack: StackForTests, name: str, dead: int) -> bool:
    """Whether a part is healthy again as another process, within a minute and a half."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        part = status(stack)[name]
        if part["healthy"] and part["pid"] != dead:
            return True
        time.sleep(1)
    return False


@pytest.mark.slow
@pytest.mark.timeout(900)
class TestWhole:
    """In this order: each leaves the stack up, and the last one takes it down."""

    def test_every_part_is_healthy(self, whole: StackForTests) -> None:
        told = whole.run("status")
        assert told.returncode == 0
        assert [line.split()[:2] for line in told.stdout.splitlines()] == [[name, "healthy"] for name in PARTS]
        assert [Path(part["log"]).exists() for part in status(whole).values()] == [True] * len(PARTS)

    def test_nothing_listens_beyond_this_machine(self, whole: StackForTests) -> None:
        found = whole.listeners()
        assert {ip for _, ip, _ in found} <= LOOPBACK
        assert {int(whole.environment[f"LAKEHOUSE_{name}_PORT"]) for name in PORTS} <= {port for _, _, port in found}

    def test_every_door_opens_with_its_key(self, whole: StackForTests) -> None:
        assert whole.airflow().call("GET", "/version")["version"].startswith("3.")
        token = whole.secret("jupyter_token")
        for part, page, headers in (
            ("DOCS", "/health", {}),
            ("MINIO_CONSOLE", "/", {}),
            ("JUPYTER", "/api/contents", {"Authorization": f"token {token}"}),
        ):
            request = urllib.request.Request(whole.url(part) + page, headers=headers)  # noqa: S310
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                assert answer.status == 200
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(whole.url("JUPYTER") + "/api/contents", timeout=30)  # noqa: S310

    def test_no_secret_is_in_a_log_a_command_line_or_the_configuration(self, whole: StackForTests) -> None:
        folder = whole.home / "secrets"
        files = [file for file in (*folder.iterdir(), *folder.rglob("*_DSN")) if file.is_file()]
        secrets = {file.read_text() for file in files}
        told = [file.read_text(errors="replace") for file in (whole.home / "logs").iterdir()]
        told += [" ".join(process.cmdline()) for process in whole.processes()]
        told.append((whole.home / "supervisord.conf").read_text())
        assert len(secrets) > 15
        assert [text[:200] for text in told if any(secret in text for secret in secrets)] == []

    def test_the_command_line_sees_the_stacks_shop(self, whole: StackForTests) -> None:
        done = whole.run("lakehouse", "run", "bronze", "--date", "1998-12-29", "--dry-run")
        assert done.returncode == 0, done.stderr
        assert whole.run("lakehouse", "sample", "advance", "foodmart", "--to", "1998-12-30").returncode == 0

    def test_a_setting_of_one_command_goes_before_the_stacks(
        self, whole: StackForTests, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(whole.environment, "LAKEHOUSE_MAX_QUARANTINED_SHARE", "two")
        done = whole.run("lakehouse", "status")
        assert done.returncode == 3
        assert "LAKEHOUSE_MAX_QUARANTINED_SHARE" in done.stderr

    def test_up_again_from_another_shell_changes_nothing(
        self, whole: StackForTests, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(whole.environment, "PATH", f"{whole.environment['PATH']}:/of/another/shell")
        before = {name: part["pid"] for name, part in status(whole).items()}
        up = whole.run("up")
        assert up.returncode == 0
        assert "up and healthy" in up.stdout
        assert {name: part["pid"] for name, part in status(whole).items()} == before

    @pytest.mark.parametrize("name", ["docs", "minio", "scheduler"])
    def test_a_killed_part_comes_back(self, whole: StackForTests, name: str) -> None:
        pid = status(whole)[name]["pid"]
        os.kill(pid, signal.SIGKILL)
        assert comes_back(whole, name, pid)

    def test_a_killed_postgres_comes_back_where_it_was(self, whole: StackForTests) -> None:
        before = whole.dsn("airflow")
        postmaster = int((whole.home / "postgres" / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(postmaster, signal.SIGKILL)
        assert comes_back(whole, "postgres", postmaster)
        assert whole.dsn("airflow") == before

    def test_a_killed_supervisor_leaves_nothing_that_up_does_not_find(self, whole: StackForTests) -> None:
        os.kill(int((whole.home / "supervisord.pid").read_text()), signal.SIGKILL)
        up = whole.run("up")
        assert up.returncode == 0, up.stderr
        supervisors = [p for p in whole.processes() if "supervisord" in " ".join(p.cmdline())]
        assert len(supervisors) == 1

    def test_down_leaves_nothing_running(self, whole: StackForTests) -> None:
        ports = [int(whole.environment[f"LAKEHOUSE_{name}_PORT"]) for name in PORTS]
        for _ in range(2):
            assert whole.run("down").returncode == 0
        assert whole.processes() == []
        for port in ports:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
        assert whole.run("status").returncode == 3


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_part_that_cannot_start_is_named_with_its_reason_and_its_log() -> None:
    with passable_folder() as folder:
        stack = StackForTests(folder)
        stack.home.mkdir()
        (stack.home / "minio").touch()
        try:
            up = stack.run("up")
            assert up.returncode == 9
            assert up.stderr.startswith("minio did not come up (exited too quickly): Drives are not directories")
            assert f"its log is {stack.home / 'logs' / 'minio.log'}." in up.stderr
            assert stack.run("status").returncode == 1
        finally:
            down = stack.run("down")
        assert down.returncode == 0, down.stderr
        assert stack.processes() == []

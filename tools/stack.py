"""The whole stack as plain processes: `up` starts it and waits until all of it is healthy, `down` ends all of it.

Postgres, MinIO, Airflow, Jupyter and the Data Docs run under one supervisor, listen on this machine only, and live in
one folder below LAKEHOUSE_HOME. docs/stack.md says what there is; docker-compose.yml is the same for those with Docker.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import stack_databases
import stack_ports
import stack_secrets
from machine import EXIT_CODE, ROOT, SetupError
from stack_parts import AIRFLOW_BIN, TOOLS, Part, parts
from stack_settings import Stack
from stack_supervisor import Supervisor, leftovers

from lakehouse.errors import LakehouseError
from lakehouse.stores.embedded import EmbeddedPostgres

HEALTHY_SECONDS = 240  # a busy machine; a quiet one takes a quarter of that
NOT_RUNNING = 3  # what `status` of a service ends with by convention
SAMPLE = ("foodmart", "1998-12-29")  # its last day is left to be run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--env-file", type=Path, default=ROOT / ".env", help="settings; the environment wins (default: .env)"
    )
    commands = parser.add_subparsers(required=True, metavar="up | down | status")
    commands.add_parser("up", help="start what does not run and wait until all is healthy").set_defaults(run=up)
    commands.add_parser("down", help="end everything; data stay").set_defaults(run=down)
    asked = commands.add_parser(
        "status", help="say how each part is; ends with 0 if all are healthy, 3 if none runs, else 1"
    )
    asked.add_argument("--json", action="store_true", help="as JSON")
    asked.set_defaults(run=status)
    given = parser.parse_args()
    try:
        sys.exit(given.run(Stack(given.env_file), given))
    except SetupError as e:
        print(e, file=sys.stderr)
        sys.exit(EXIT_CODE)
    except LakehouseError as e:
        print(e, file=sys.stderr)
        sys.exit(e.exit_code)
    except KeyboardInterrupt:
        print("Interrupted: what has started goes on; `make down` ends it.", file=sys.stderr)
        sys.exit(130)


def up(stack: Stack, _: argparse.Namespace) -> int:
    """Starts what does not run, in an order in which each part finds what it needs."""
    began = time.monotonic()
    with _alone(stack):
        supervisor, wanted = Supervisor(stack), parts(stack)
        stack_ports.check(stack, running=set(_running(supervisor)))
        stack_secrets.make_secrets(stack)
        server = EmbeddedPostgres(stack.home)
        stack_databases.make_databases(stack, server.dsn)
        stack_secrets.write_settings(stack, urlsplit(server.dsn("postgres")).netloc.rpartition("@")[2], stack.secrets)
        supervisor.open(wanted)
        if set(_running(supervisor)) != {part.name for part in wanted}:
            _start(stack, supervisor, wanted)
        _wait_until_healthy(supervisor, wanted, began)
    print(f"The stack is up and healthy ({time.monotonic() - began:.0f} s).\n")
    _print_places(stack, wanted)
    return 0


def down(stack: Stack, _: argparse.Namespace) -> int:
    """Ends everything that belongs to the stack."""
    with _alone(stack):
        Supervisor(stack).close()
        EmbeddedPostgres(stack.home).stop()
        left = leftovers(stack)
    if left:
        raise SetupError(f"These would not end: {', '.join(f'{p.name()} ({p.pid})' for p in left)}.")
    print("The stack is down. Its data stay in " + str(stack.home) + ".")
    return 0


def status(stack: Stack, given: argparse.Namespace) -> int:
    """Says of each part whether it runs, since when, whether it is healthy, and where its log is."""
    supervisor = Supervisor(stack)
    told = [_told(supervisor, part) for part in parts(stack)]
    if given.json:
        print(
            json.dumps({"home": str(stack.home), "healthy": all(t["healthy"] for t in told), "parts": told}, indent=2)
        )
    else:
        for t in told:
            since = f"{t['seconds']:>7} s" if t["pid"] else ""
            health = "healthy" if t["healthy"] else t["state"].lower()
            print(f"{t['name']:<14} {health:<10} {since:<10} {t['url'] or '':<28} {t['log']}")
    if all(t["healthy"] for t in told):
        return 0
    return 1 if any(t["pid"] for t in told) else NOT_RUNNING


def _start(stack: Stack, supervisor: Supervisor, wanted: list[Part]) -> None:
    of_airflow = [part for part in wanted if part.command[0] == str(AIRFLOW_BIN / "airflow")]
    for part in wanted:
        if part not in of_airflow:
            supervisor.start(part)
    with ThreadPoolExecutor() as at_once:
        airflow = at_once.submit(_once, stack, "airflow-init", [AIRFLOW_BIN / "python", "-P", TOOLS / "stack_airflow.py"],
                                 stack.airflow_environment())  # fmt: skip
        buckets = at_once.submit(_make_buckets, stack)
        sample = at_once.submit(_load_sample, stack)
        airflow.result()
        for part in of_airflow:
            supervisor.start(part)
        buckets.result()
        sample.result()


def _make_buckets(stack: Stack) -> None:
    if stack.brings_minio:
        endpoint = urlsplit(stack.url("LAKEHOUSE_MINIO_PORT")).netloc
        _once(
            stack,
            "buckets",
            [sys.executable, "-P", TOOLS / "buckets.py", "--endpoint", endpoint, "--secrets", stack.secrets],
        )


def _load_sample(stack: Stack) -> None:
    """A shop to look at, unless somebody has one."""
    if not stack.named("LAKEHOUSE_SOURCE_DSN") and not stack_databases.has_shop(EmbeddedPostgres(stack.home).dsn):
        shop, until = SAMPLE
        command = [Path(sys.executable).with_name("lakehouse"), "sample", "load", shop, "--until", until]
        _once(stack, "sample", command, {"LAKEHOUSE_HOME": str(stack.home)})


def _once(stack: Stack, name: str, command: list, environment: dict[str, str] | None = None) -> None:
    """Runs a program to its end; where it fails, says so with its last words."""
    log = stack.logs / f"{name}.log"
    with log.open("wb") as file:
        done = subprocess.run(
            [str(word) for word in command],
            env=stack.inherited() | (environment or {}),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    if done.returncode:
        raise SetupError(f"{name} failed: {_last_words(stack, log)}; its log is {log}.")


def _wait_until_healthy(supervisor: Supervisor, wanted: list[Part], began: float) -> None:
    waiting = list(wanted)
    while waiting:
        states = supervisor.states()
        for part in waiting:
            state = states.get(part.name, {"statename": "STOPPED", "spawnerr": ""})
            if state["statename"] == "FATAL" or time.monotonic() - began > HEALTHY_SECONDS:
                log = supervisor.log_of(part.name)
                why = state["spawnerr"] or f"it runs, but is not healthy after {HEALTHY_SECONDS} s"
                raise SetupError(f"{part.name} did not come up ({why}): {_last_words(supervisor.stack, log)}; its log is {log}. "
                                 "What has started goes on; `make down` ends it.")  # fmt: skip
        waiting = [p for p in waiting if states.get(p.name, {}).get("statename") != "RUNNING" or not p.healthy()]
        if waiting:
            time.sleep(0.5)


def _running(supervisor: Supervisor) -> Iterator[str]:
    return (name for name, state in supervisor.states().items() if state["statename"] in ("RUNNING", "STARTING"))


def _told(supervisor: Supervisor, part: Part) -> dict:
    state = supervisor.states().get(part.name, {"statename": "STOPPED", "pid": 0, "now": 0, "start": 0})
    runs = state["statename"] == "RUNNING"
    return {
        "name": part.name,
        "state": state["statename"],
        "healthy": runs and part.healthy(),
        "pid": state["pid"] or None,
        "seconds": state["now"] - state["start"] if runs else None,
        "url": part.url or None,
        "log": str(supervisor.log_of(part.name)),
    }


def _last_words(stack: Stack, log: Path) -> str:
    """The last line of a log, without any secret it may repeat."""
    lines = (
        [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()] if log.exists() else []
    )
    words = lines[-1][:300] if lines else "it said nothing"
    for file in stack.secrets.rglob("*"):
        if file.is_file():
            words = words.replace(file.read_text(encoding="utf-8"), "…")
    return words.rstrip(".")


@contextmanager
def _alone(stack: Stack) -> Iterator[None]:
    """One `up` or `down` at a time."""
    try:
        stack.logs.mkdir(parents=True, exist_ok=True)
        with open(stack.home / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except PermissionError as e:
        raise SetupError(
            f"{e.filename} belongs to another account: set LAKEHOUSE_HOME to a folder of your own."
        ) from None


def _print_places(stack: Stack, wanted: list[Part]) -> None:
    urls = {part.name: part.url for part in wanted}
    root = stack.secrets / "minio_root_user"
    rows = [("Airflow", urls["api-server"], f"user {stack.settings['LAKEHOUSE_AIRFLOW_USER']}", stack.secrets / "airflow_password"),
            ("Data Docs", urls.get("docs"), "", ""),
            ("MinIO", urls.get("minio"), f"user in {root}", stack.secrets / "minio_root_password"),
            ("Jupyter", urls["jupyter"], "token", stack.secrets / "jupyter_token")]  # fmt: skip
    for what, url, who, secret in rows:
        if url:
            print(
                f"  {what:<10} {url:<28} {who}{', password in ' if who.startswith('user') else ' in ' if who else ''}{secret}"
            )


if __name__ == "__main__":
    main()

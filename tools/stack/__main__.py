"""The whole stack as plain processes: `up` starts it and waits until all of it is healthy, `down` ends all of it.

Postgres, MinIO, Airflow, Jupyter and the Data Docs run under one supervisor, listen on this machine only, and live in
one folder below LAKEHOUSE_HOME. docs/stack.md says what there is; docker-compose.yml is the same for those with Docker.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from lakehouse.errors import LakehouseError
from lakehouse.server.embedded import FOLLOWED, EmbeddedPostgres
from lakehouse.settings import load_settings
from tools.live import parts as live_layer
from tools.setup.go.modules import check
from tools.setup.go.victoria import VICTORIA
from tools.setup.machine import EXIT_CODE, ROOT, SetupError
from tools.setup.minio import MINIO
from tools.stack import ports
from tools.stack.access import databases, secrets
from tools.stack.parts import FRONT, STACK, Part, parts
from tools.stack.progress import Clock, print_places
from tools.stack.settings import AIRFLOW_BIN, OF_ONE_COMMAND, Stack
from tools.stack.supervisor import Supervisor, end_leftovers, leftovers
from tools.stack.tls.certificates import make_certificates, write_trusted

HEALTHY_SECONDS = 240  # on a busy machine; a quiet one takes a quarter of that
NOT_RUNNING = 3  # what `status` of a service ends with by convention
GOES_ON = "What has started goes on; `make down` ends it."
# Parts whose programs were built here: each start knows them again.
BUILT = {"minio": MINIO, "victoria": VICTORIA}
LAKEHOUSE = Path(sys.executable).with_name("lakehouse")


def main() -> None:
    try:
        given = _arguments()
        stack = Stack(given.env_file)
        if given.run is not up and Supervisor(stack).runs():
            stack.as_started()
        sys.exit(given.run(stack, given))
    except (SetupError, LakehouseError) as e:
        print(e, file=sys.stderr)
        sys.exit(getattr(e, "exit_code", EXIT_CODE))
    except KeyboardInterrupt:
        print(f"Interrupted. {GOES_ON}", file=sys.stderr)
        sys.exit(130)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tools.stack", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--env-file", type=Path, default=ROOT / ".env", help="settings; the environment wins over them")
    commands = parser.add_subparsers(required=True, metavar="up | down | status | rotate | lakehouse")
    commands.add_parser("up", help="start what does not run and wait until all is healthy").set_defaults(run=up)
    commands.add_parser("down", help="end everything; data stay").set_defaults(run=down)
    asked = commands.add_parser(
        "status", help="how each part is; ends with 0 if all are healthy, 3 if none runs, else 1"
    )
    asked.add_argument("--json", action="store_true", help="as JSON")
    asked.set_defaults(run=status)
    commands.add_parser("rotate", help="new secrets for all that the stack opens, while it is down").set_defaults(
        run=rotate
    )
    program = commands.add_parser("lakehouse", help="the program `lakehouse`, on the stack's databases and lake")
    program.add_argument("words", nargs=argparse.REMAINDER, help="what to give it, for example: status")
    program.set_defaults(run=lakehouse)
    return parser.parse_args()


def up(stack: Stack, _: argparse.Namespace) -> int:
    """Starts what does not run, in an order in which each part finds what it needs."""
    clock, supervisor, wanted = Clock(), Supervisor(stack), parts(stack)
    server = EmbeddedPostgres(stack.home, FOLLOWED if stack.is_live else None)
    _check_installed(wanted)
    if stack.is_live:
        live_layer.check_installed()
    supervisor.check()
    with _alone(stack):
        if not supervisor.runs():
            end_leftovers(stack)
        ports.check(stack)
        secrets.make_secrets(stack)
        databases.make_databases(stack.secrets, server.dsn, databases.DATABASES)
        if stack.tls:
            _make_certificates(stack, stack.tls.folder)
            wanted = parts(stack)
        stack.note()
        address = stack.postgres(urlsplit(server.dsn("postgres")).netloc.rpartition("@")[2])
        secrets.write_settings(stack, address, address, stack.secrets)
        # With a fault in them no DAG can be read: no run would start, and nobody would be told.
        load_settings(stack.secrets / "pipeline")
        supervisor.open(wanted)
        states = supervisor.states()
        _start(stack, supervisor, [part for part in wanted if not states[part.name]["pid"]], clock)
        _wait_until_healthy(supervisor, wanted, clock)
    print(f"The stack is up and healthy ({clock.seconds:.0f} s).\n")
    print_places(stack, wanted)
    return 0


def down(stack: Stack, _: argparse.Namespace) -> int:
    """Ends everything that belongs to the stack."""
    if stack.home.exists():
        with _alone(stack):
            Supervisor(stack).close()
            EmbeddedPostgres(stack.home).stop()
    if left := leftovers(stack):
        raise SetupError(f"These would not end: {', '.join(f'{p.name()} ({p.pid})' for p in left)}.")
    print(f"The stack is down. Its data stay in {stack.home}.")
    return 0


def status(stack: Stack, given: argparse.Namespace) -> int:
    """Says of each part whether it runs, since when, whether it is healthy, and where its log is."""
    supervisor = Supervisor(stack)
    states = supervisor.states()
    # A stack that runs is what it was started as, whatever the settings are now.
    asked = [part for part in parts(stack) if part.name in states or not states]
    told = [_told(part, states.get(part.name), supervisor.log_of(part.name)) for part in asked]
    healthy = all(t["healthy"] for t in told)
    if given.json:
        print(json.dumps({"home": str(stack.home), "healthy": healthy, "parts": told}, indent=2))
    else:
        for t in told:
            since = f"{t['seconds']} s" if t["pid"] else ""
            print(f"{t['name']:<14} {t['state']:<10} {since:>10}  {t['url'] or '':<28} {t['log']}")
    return 0 if healthy else 1 if any(t["pid"] for t in told) else NOT_RUNNING


def rotate(stack: Stack, _: argparse.Namespace) -> int:
    """Makes the stack's secrets again; roles and users get them with the next `up`."""
    if Supervisor(stack).runs():
        raise SetupError("The stack is up, on the secrets that it has: `make down` first.")
    print(f"{len(secrets.rotate(stack))} secrets are new, in {stack.secrets}; `make up` hands them out.")
    return 0


def lakehouse(stack: Stack, given: argparse.Namespace) -> int:
    """Becomes the program `lakehouse`, as the pipeline; of the stack's own source it is the owner.

    A setting of one command goes before the stack's: `LAKEHOUSE_DEBUG=1 .venv/bin/python -m tools.stack lakehouse …`.
    """
    if not Supervisor(stack).runs():
        raise SetupError("The stack is down: `make up` starts it.")
    environment = {**stack.inherited(), **stack.lakehouse("pipeline"), **stack.asks_airflow()}
    environment |= live_layer.environment(stack) if stack.is_live else {}
    environment |= {name: os.environ[name] for name in OF_ONE_COMMAND if os.environ.get(name)}
    if not stack.named("LAKEHOUSE_SOURCE_DSN"):
        owner = urlsplit(EmbeddedPostgres(stack.home).dsn("ecommerce_source"))
        account, _, server = owner.netloc.rpartition("@")
        environment["LAKEHOUSE_SOURCE_DSN"] = owner._replace(netloc=f"{account}@{stack.postgres(server)}").geturl()
    os.execve(LAKEHOUSE, ["lakehouse", *given.words], environment)  # noqa: S606 - our own program


def _start(stack: Stack, supervisor: Supervisor, stopped: list[Part], clock: Clock) -> None:
    """Starts these parts; those of Airflow as soon as its metadata are ready, while the rest is made beside."""
    airflow, live = [p for p in stopped if p.is_airflow], [p for p in stopped if p.is_live]
    for part in stopped:
        if not (part.is_airflow or part.is_live):
            supervisor.start(part)
    with ThreadPoolExecutor() as at_once:
        beside = [at_once.submit(_load_sample, stack, clock)]
        beside += [at_once.submit(_make_buckets, supervisor, part, clock) for part in stopped if part.name == "minio"]
        if airflow:
            _wait_until_healthy(supervisor, [part for part in stopped if part.name == FRONT], clock)
            _make_metadata(stack, clock)
        for part in airflow:
            supervisor.start(part)
        for made in beside:
            made.result()
    if live:
        live_layer.make_ready(stack, EmbeddedPostgres(stack.home).dsn)
    for part in live:
        supervisor.start(part)
        _wait_until_healthy(supervisor, [part], clock)


def _make_certificates(stack: Stack, folder: Path) -> None:
    """Makes those that are missing or soon over; a part that shows them is then started again."""
    make_certificates(folder)
    shop = stack.named("LAKEHOUSE_CA_FILE")
    try:
        write_trusted(folder, Path(shop) if shop else None)
    except OSError as e:
        raise SetupError(f"LAKEHOUSE_CA_FILE cannot be read ({e.strerror}): {shop}.") from None


def _make_metadata(stack: Stack, clock: Clock) -> None:
    command = [AIRFLOW_BIN / "python", "-P", STACK / "access" / "metadata.py"]
    _once(stack, "airflow-init", command, stack.airflow_environment(), clock)


def _make_buckets(supervisor: Supervisor, minio: Part, clock: Clock) -> None:
    _wait_until_healthy(supervisor, [minio], clock)
    stack = supervisor.stack
    words = ["--endpoint", urlsplit(stack.url("LAKEHOUSE_MINIO_PORT")).netloc, "--secrets", stack.secrets]
    words += ["--ca", stack.tls.trusted] if stack.tls else []
    _once(stack, "buckets", [sys.executable, "-m", "tools.stack.access.buckets", *words], {}, clock)


def _load_sample(stack: Stack, clock: Clock) -> None:
    """A shop to look at, unless somebody has one."""
    server = EmbeddedPostgres(stack.home)
    if not stack.named("LAKEHOUSE_SOURCE_DSN") and not databases.has_shop(server.dsn):
        command = [LAKEHOUSE, "sample", "load", *databases.SAMPLE]
        # As the source's owner, whose tables the pipeline may read.
        owner = {"LAKEHOUSE_HOME": str(stack.home), "LAKEHOUSE_SOURCE_DSN": server.dsn("ecommerce_source")}
        _once(stack, "sample", command, owner, clock)


def _once(stack: Stack, name: str, command: list[str | Path], environment: dict[str, str], clock: Clock) -> None:
    """Runs a program to its end; where it fails, says so with its last words."""
    log = stack.logs / f"{name}.log"
    with log.open("wb") as file:
        done = subprocess.run(
            command,
            env=stack.inherited() | environment,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    if done.returncode:
        raise SetupError(f"{name} failed: {secrets.last_words(stack, log)}; its log is {log}. {GOES_ON}")
    clock.say(name)


def _wait_until_healthy(supervisor: Supervisor, wanted: list[Part], clock: Clock) -> None:
    waiting = list(wanted)
    while waiting:
        states = supervisor.states()
        for part in list(waiting):
            state = states[part.name]
            if state["pid"] and part.healthy():
                waiting.remove(part)
                clock.say(part.name)
            elif state["statename"] == "FATAL" or clock.seconds > HEALTHY_SECONDS:
                log = supervisor.log_of(part.name)
                why = (
                    state["spawnerr"].partition(" (")[0].lower()
                    or f"it runs, but is not healthy after {HEALTHY_SECONDS} s"
                )
                raise SetupError(
                    f"{part.name} did not come up ({why}): {secrets.last_words(supervisor.stack, log)}; its log is {log}. {GOES_ON}"
                )
        time.sleep(0.3 if waiting else 0)


def _told(part: Part, state: dict | None, log: Path) -> dict:
    pid = state["pid"] if state else 0
    healthy = bool(pid) and part.healthy()
    return {
        "name": part.name,
        "state": "healthy" if healthy else state["statename"].lower() if state else "stopped",
        "healthy": healthy,
        "pid": pid or None,
        "seconds": state["now"] - state["start"] if pid else None,
        "url": part.url,
        "log": str(log),
    }


def _check_installed(wanted: list[Part]) -> None:
    for part in wanted:
        if part.name in BUILT:
            check(BUILT[part.name])
        elif not Path(part.command[0]).exists():
            raise SetupError(f"{part.command[0]} is not there, which {part.name} needs: run `make airflow minio`.")


@contextmanager
def _alone(stack: Stack) -> Iterator[None]:
    """One `up` or `down` at a time."""
    stack.make_folder()
    with open(stack.home / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    main()

"""`make superset`: a Superset on this machine that shows what gold has published, with the dashboards of conf/superset.

Ends with 0, or with one of the exit codes of `lakehouse`; `status` with 0 if it is healthy, 3 if it does not run, else 1.
It reads gold as a reader, and no night waits for it.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from lakehouse.settings import Settings
from tools.superset import gold
from tools.superset.api import logged_in
from tools.superset.environment import SUPERSET
from tools.superset.home import PORT, USER, SupersetHome
from tools.superset.server import alone, end, running, start
from tools.tool import run

NOT_RUNNING = 3


def main() -> None:
    """Does what it is asked to."""
    parser = argparse.ArgumentParser(prog="python -m tools.superset", description=__doc__.split("\n")[0])
    parser.add_argument(
        "do", nargs="?", default="up", choices=("up", "status", "down"), help="up, unless told otherwise"
    )
    parser.add_argument("--port", type=int, default=PORT, help="the port of 127.0.0.1")
    parser.add_argument("--json", action="store_true", help="as JSON")
    given = parser.parse_args()
    code = 0

    def work(settings: Settings) -> None:
        nonlocal code
        home = SupersetHome(settings.home)
        if given.do == "up":
            _say(given.json, *up(settings, home, given.port))
        elif given.do == "down":
            _say(given.json, *down(home))
        else:
            found, words = status(home)
            _say(given.json, found, words)
            code = 0 if found["healthy"] else 1 if found["pid"] else NOT_RUNNING

    run(work)
    sys.exit(code)


def up(settings: Settings, home: SupersetHome, port: int) -> tuple[dict[str, Any], str]:
    """Starts it unless it runs, and imports what conf/superset has."""
    reader = gold.find(settings)
    SUPERSET.make()
    home.make()
    with alone(home):
        server = running(home)
        if server is None:
            print("Starting Superset, which takes a minute the first time", file=sys.stderr, flush=True)
            server = start(home, port)
        with logged_in(server.url, home.password) as superset:
            brought = superset.bring(reader)
    found, _ = status(home)
    counts = ", ".join(f"{n} {kind}" for kind, n in brought.items())
    words = (f"Superset shows {reader.whose} at {server.url}: {counts}\n"
             f"Log in as {USER} with the password in {home.password_file}; `make superset DO=down` ends it")  # fmt: skip
    return {**found, "gold": reader.whose, "imported": brought}, words


def status(home: SupersetHome) -> tuple[dict[str, Any], str]:
    """Whether it runs and answers, and where."""
    server = running(home)
    is_healthy = server is not None and server.answers()
    found = {
        "home": str(home.folder),
        "healthy": is_healthy,
        "pid": server.process.pid if server else None,
        "url": server.url if server else None,
        "log": str(home.log),
    }
    how = "healthy" if is_healthy else "running, and does not answer" if server else "stopped"
    return found, f"superset  {how}  {found['url'] or ''}  {home.log}"


def down(home: SupersetHome) -> tuple[dict[str, Any], str]:
    """Ends it, if it runs."""
    if not home.folder.is_dir():
        return {"ended": False}, "No Superset runs here."
    with alone(home):
        server = running(home)
        if server:
            end(home, server)
    words = f"Superset has ended; its data stay in {home.folder}." if server else "No Superset runs here."
    return {"ended": server is not None}, words


def _say(is_json: bool, found: dict[str, Any], words: str) -> None:
    print(json.dumps(found, indent=2) if is_json else words, flush=True)


if __name__ == "__main__":
    main()

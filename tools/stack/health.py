"""Whether a part of the stack is healthy, asked from outside: the checks of `make up` and of docker compose.

As a program it asks once and ends with 0 or 1: `python -P tools/stack/health.py http://127.0.0.1:8081/health`, or, for a
process of Airflow that answers nobody itself, `python -P tools/stack/health.py http://127.0.0.1:8080 scheduler`. Given a
port it asks whether something there takes connections. Of an
https:// address it trusts the certificates of LAKEHOUSE_CA_FILE.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
import sys
import urllib.request

SECONDS = 5


def answers(url: str, ca: str | None = None) -> bool:
    """Whether something at `url` answers that all is well; `ca`: the file of the certificates to trust."""
    try:
        with _opener(ca).open(url, timeout=SECONDS) as response:
            return bool(response.status == 200)
    except (OSError, ValueError):
        return False


def listens(port: int) -> bool:
    """Whether something on this machine takes connections on a port."""
    with socket.socket() as probe:
        probe.settimeout(SECONDS)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def is_alive(airflow: str, process: str, ca: str | None = None) -> bool:
    """Whether a process of Airflow has given a sign of life lately, by what the web server reads in the metadata."""
    try:
        with _opener(ca).open(f"{airflow}/api/v2/monitor/health", timeout=SECONDS) as response:
            return json.load(response)[process]["status"] == "healthy"
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _opener(ca: str | None) -> urllib.request.OpenerDirector:
    # No proxy stands between a part and its neighbour, whatever the environment says.
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if ca:
        handlers.append(urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=ca)))
    return urllib.request.build_opener(*handlers)


if __name__ == "__main__":
    trusted = os.environ.get("LAKEHOUSE_CA_FILE")
    asked = sys.argv[1]
    well = listens(int(asked)) if asked.isdecimal() else answers(asked, trusted)
    sys.exit(not (is_alive(*sys.argv[1:3], trusted) if len(sys.argv) > 2 else well))

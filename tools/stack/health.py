"""Whether a part of the stack is healthy, asked from outside: the checks of `make up` and of docker compose.

As a program it asks once and ends with 0 or 1: `python -P tools/stack/health.py http://127.0.0.1:8081/health`, or, for a
process of Airflow that answers nobody itself, `python -P tools/stack/health.py http://127.0.0.1:8080 scheduler`.
"""

from __future__ import annotations

import json
import sys
import urllib.request

SECONDS = 5
# No proxy stands between a part and its neighbour, whatever the environment says.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def answers(url: str) -> bool:
    """Whether something at `url` answers that all is well."""
    try:
        with OPENER.open(url, timeout=SECONDS) as response:
            return bool(response.status == 200)
    except (OSError, ValueError):
        return False


def is_alive(airflow: str, process: str) -> bool:
    """Whether a process of Airflow has given a sign of life lately, by what the web server reads in the metadata."""
    try:
        with OPENER.open(f"{airflow}/api/v2/monitor/health", timeout=SECONDS) as response:
            return json.load(response)[process]["status"] == "healthy"
    except (OSError, ValueError, KeyError, TypeError):
        return False


if __name__ == "__main__":
    sys.exit(not (is_alive(*sys.argv[1:]) if len(sys.argv) > 2 else answers(sys.argv[1])))

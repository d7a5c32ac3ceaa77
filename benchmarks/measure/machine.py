"""The machine and the versions that figures belong to; no name of a host, no path, no account."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

from benchmarks.shop.load import connected
from lakehouse import __version__

PACKAGES = ("pyspark", "delta-spark", "great-expectations", "pyarrow", "numpy", "psycopg2-binary")
# What of a server's settings decides how fast it takes rows in and gives them out.
SERVER_SETTINGS = (
    "server_version", "shared_buffers", "maintenance_work_mem", "work_mem", "max_wal_size", "checkpoint_timeout",
    "synchronous_commit", "fsync", "wal_level", "jit", "max_parallel_workers_per_gather", "data_checksums",
)  # fmt: skip


def machine() -> dict[str, object]:
    """Cores, memory, kind of processor and system."""
    said = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    processor = re.search(r"^model name\s*: (.+)$", said, re.MULTILINE)
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "processor": processor[1] if processor else platform.machine(),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
    }


def versions() -> dict[str, str]:
    """Versions of what ours runs on; a peer says its own."""
    return {
        "lakehouse": __version__,
        "commit": _said("git", "rev-parse", "--short=12", "HEAD"),
        "python": platform.python_version(),
        "java": _said(_java(), "--version").partition("\n")[0],
        **{name: version(name) for name in PACKAGES},
    }


def server_settings(dsn: str) -> dict[str, str]:
    """How the Postgres is set that all contestants share."""
    with closing(connected(dsn)) as connection, connection.cursor() as cursor:
        cursor.execute("select name, current_setting(name) from unnest(%s) name", (list(SERVER_SETTINGS),))
        return dict(cursor.fetchall())


def _java() -> str:
    home = os.environ.get("JAVA_HOME")
    return f"{home}/bin/java" if home else shutil.which("java") or "java"


def _said(*command: str) -> str:
    """What a program prints; nothing where it cannot."""
    try:
        process = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return process.stdout.strip()

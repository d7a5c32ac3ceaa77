"""The servers that `make monitoring` builds, and each while it runs."""

from __future__ import annotations

import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tools.setup.go.victoria import program


def victoria(name: str) -> Path:
    """A program of VictoriaMetrics."""
    if not program(name).exists():
        pytest.fail(
            "VictoriaMetrics is not built yet: run `make monitoring` (once, about six minutes), then this again."
        )
    return program(name)


@contextmanager
def running(command: list[str | Path], health: str, log: Path, **environment: str) -> Iterator[None]:
    """A server while it runs; returns once it answers at `health`."""
    kept = {"PATH": os.defpath, "HOME": str(log.parent), **environment}
    with log.open("ab") as words:
        process = subprocess.Popen(command, env=kept, stdin=subprocess.DEVNULL, stdout=words, stderr=words)
    try:
        deadline = time.monotonic() + 60
        while not answers(health):
            assert process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < deadline, log.read_text()[-2000:]
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


def answers(url: str) -> bool:
    """Whether something at `url` says that it is well."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except OSError:
        return False

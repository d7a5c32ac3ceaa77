"""Builds the MinIO of the integration tests from its published Go module; `--where` only prints where it is.

There are no maintained binaries of the community edition, so it is compiled once a version and kept in the user's cache.
It is good for tests on the loopback interface, not for data that matters: see SECURITY.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tools.setup.go.modules import Module, build
from tools.setup.machine import exit_with_sentence

MINIO = Module(
    name="MinIO",
    path="github.com/minio/minio",
    version="v0.0.0-20260212201848-7aac2a2c5b7c",
    sum="h1:/qdoYujxF5MBLDMVLeiYJ/7fBa1HikX39Dvzb9Ji8pA=",
    programs=("",),
    minutes="four",
)


def binary() -> Path:
    """Where the built server lies, or will."""
    return MINIO.program()


def main() -> None:
    if "--where" in sys.argv[1:]:
        print(binary())
    else:
        build(MINIO)


if __name__ == "__main__":
    exit_with_sentence(main)

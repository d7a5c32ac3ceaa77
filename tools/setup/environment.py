"""Makes .venv: the interpreter, the packages of jobs.lock, the jars of jars.txt, and this package, editable.

`make setup` calls it before everything else, so it must cost nothing when nothing changed, and a run that was killed
must not leave a half environment behind. Hence one rule: the environment is finished when its mark holds the
fingerprint of what it was made from, written last; with any other mark it is made again (a cache makes that cheap).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import time
from pathlib import Path
from typing import NamedTuple

from tools.setup.fence import install_fence
from tools.setup.jars import install_jars, spark_jars
from tools.setup.machine import ROOT, VENV, SetupError, exit_with_sentence, java, python, run

LOCK = ROOT / "conf" / "requirements" / "jobs.lock"
MADE_FROM = (LOCK, ROOT / "conf" / "jars.txt", ROOT / "setup.py")
MARK = VENV / "made-by-make-setup"
HEAVY = "great_expectations, pyspark.sql, delta, pandas, psycopg2, pydantic_settings, structlog, typer, yaml"


class Beside(NamedTuple):
    """An environment of its own, .venv-<name> from <name>.lock, for what cannot share versions with the jobs in .venv.

    `made_by`: the target that makes it; `what` it brings, and the `size` of its downloads, in words; `is_editable`: whether
    it has this package too, whose libraries are then in the lock.
    """

    name: str
    made_by: str
    what: str
    size: str
    is_editable: bool = False

    @property
    def folder(self) -> Path:
        return ROOT / f".venv-{self.name}"

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def lock(self) -> Path:
        return ROOT / "conf" / "requirements" / f"{self.name}.lock"

    @property
    def mark(self) -> Path:
        return self.folder / f"made-by-make-{self.made_by}"

    def make(self) -> None:
        """Makes it; does nothing where nothing changed. Finished, like .venv, when its mark holds what it was made from."""
        interpreter = python()
        with open(self.lock) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            made_from = f"{ROOT}\n{interpreter}\n".encode() + self.lock.read_bytes()
            made_from += (ROOT / "setup.py").read_bytes() if self.is_editable else b""
            fingerprint = hashlib.sha256(made_from).hexdigest()
            if self.mark.is_file() and self.mark.read_text() == fingerprint:
                return
            self._install(interpreter)
            self.mark.write_text(fingerprint)

    def _install(self, interpreter: str) -> None:
        started, environment, uv = time.monotonic(), variables(), VENV / "bin" / "uv"
        print(f"Making {self.folder.name} ({self.size} the first time)", flush=True)
        if self.folder.exists():
            shutil.rmtree(self.folder)
        making = [uv, "venv", "--quiet", "--python", interpreter, self.folder]
        run(f"Making {self.folder.name}", making, env=environment)
        here = ["--python", self.python]
        run(f"Installing {self.what}", [uv, "pip", "sync", *here, "--require-hashes", self.lock], env=environment)
        if self.is_editable:
            options = ["--offline", "--no-deps", "--no-build-isolation", "--editable", ROOT]
            run("Installing lakehouse", [uv, "pip", "install", *here, *options], env=environment)
        _say(self.name, started)


def main() -> None:
    os.umask(0o022)  # another account must be able to run the environment's Postgres when you are root
    java()
    interpreter = python()
    with open(ROOT / "setup.py") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two set-ups at once: the second waits and finds everything done
        fingerprint = _fingerprint(interpreter)
        if _is_finished(fingerprint):
            install_jars(spark_jars(VENV))
            if install_fence(spark_jars(VENV)):
                _archive_classes(variables())  # an archive fits the jars that it was made with
            return
        _clear()
        _make(interpreter)
        MARK.write_text(fingerprint)


def _fingerprint(interpreter: str) -> str:
    # The folder is part of it: console scripts and the editable install name it, so a moved checkout starts over.
    digest = hashlib.sha256(f"{ROOT}\n{interpreter}\n".encode())
    for path in MADE_FROM:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _is_finished(fingerprint: str) -> bool:
    return MARK.is_file() and MARK.read_text() == fingerprint and (VENV / "bin" / "python").exists()


def _clear() -> None:
    if VENV.is_symlink() or (VENV.is_dir() and any(VENV.iterdir()) and not MARK.exists()):
        raise SetupError(f"{VENV} was not made by `make setup`: move it away, or delete it, and run it again.")
    if VENV.exists():
        MARK.write_text("unfinished")
        # The mark goes last: killed in between, the rest is still known as ours.
        for path in VENV.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path != MARK:
                path.unlink()
    VENV.mkdir(exist_ok=True)
    MARK.write_text("unfinished")


def _make(interpreter: str) -> None:
    started = time.monotonic()
    print(f"Making .venv with {interpreter} (a few minutes and 600 MB of downloads the first time; at the end two days of a\n"
          f"sample are run, so that later starts are faster)", flush=True)  # fmt: skip
    environment = variables()
    uv = [_uv(interpreter, environment), "pip"]
    here = ["--python", VENV / "bin" / "python", "--no-build-isolation"]
    run("Installing the packages", [*uv, "sync", *here, "--require-hashes", LOCK], env=environment)
    _say("packages", started)

    install_jars(spark_jars(VENV))
    install_fence(spark_jars(VENV))
    _say("jars", started)

    run("Installing lakehouse", [*uv, "install", *here, "--offline", "--no-deps", "--editable", ROOT], env=environment)
    _say("lakehouse", started)

    # Importing once compiles what a run imports, even where PYTHONDONTWRITEBYTECODE is set, which would cost every
    # process six seconds. Compiling everything takes four times as long and nobody reads most of it.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    run("Importing the packages", [VENV / "bin" / "python", "-c", f"import {HEAVY}"], env=environment)
    _say("bytecode", started)

    _archive_classes(environment)
    _say("classes", started)


def _archive_classes(environment: dict[str, str]) -> None:
    run("Archiving classes", [VENV / "bin" / "python", "-m", "tools.setup.classes"], env=environment, cwd=ROOT)


def _uv(interpreter: str, environment: dict[str, str]) -> Path:
    """Begins .venv and brings uv into it, which brings the rest."""
    try:
        run("Making .venv", [interpreter, "-m", "venv", VENV])
    except SetupError:
        raise SetupError(
            f"{interpreter} cannot make a virtual environment: install its venv module (Debian, Ubuntu: "
            "`apt install python3-venv`)."
        ) from None

    # setuptools comes along because pyspark is a source package: with it here, nothing that is not in the lock takes
    # part in building that.
    first = VENV / "first.txt"
    first.write_text("\n".join(_lock_entry(name) for name in ("uv", "setuptools")))
    pip = [VENV / "bin" / "python", "-m", "pip", "install", "--quiet", "--retries", "2", "--disable-pip-version-check"]
    run("Installing uv", [*pip, "--require-hashes", "--no-deps", "-r", first], env=environment)
    first.unlink()
    return VENV / "bin" / "uv"


def _lock_entry(name: str) -> str:
    """The lines of one package in the lock: its version and its hashes."""
    entry = re.search(rf"^{name}==.*\n(?:    .*\n)+", LOCK.read_text(), re.MULTILINE)
    if not entry:
        raise SetupError(f"{LOCK} does not pin {name}: add it to jobs.in and run `make lock`.")
    return entry.group()


def variables() -> dict[str, str]:
    """The environment variables for uv and what it starts."""
    environment = dict(os.environ, UV_PYTHON_DOWNLOADS="never", GX_ANALYTICS_ENABLED="false")
    environment.setdefault("UV_HTTP_TIMEOUT", "180")
    # pip's name for a mirror is the one that people have set; uv does not read it.
    if "PIP_INDEX_URL" in environment:
        environment.setdefault("UV_DEFAULT_INDEX", environment["PIP_INDEX_URL"])
    for name in ("VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH"):
        environment.pop(name, None)
    return environment


def _say(what: str, started: float) -> None:
    print(f"  {what:<10}{time.monotonic() - started:6.1f} s", flush=True)


if __name__ == "__main__":
    exit_with_sentence(main)

"""What set-up asks of the machine: a Python, a Java, a cache folder.

The files of this folder need only the standard library, and `make setup` starts them with whatever python3 there is,
however old: it must get as far as the sentence that says so.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from socket import SO_REUSEADDR, SOL_SOCKET

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
PYTHONS = ((3, 13), (3, 12), (3, 11))
JAVAS = (17, 21)
EXIT_CODE = 9  # lakehouse.errors.SetupError; the package is not installed yet

OFFLINE = re.compile(
    r"\bdns\b|name resolution|lookup|no such host|unreachable|refused|connect|timed? ?out", re.IGNORECASE
)


class SetupError(Exception):
    """Something a person has to do first, in one sentence."""


def exit_with_sentence(main) -> None:
    """Runs `main`; a SetupError ends the process with its sentence and exit code 9 instead of a traceback."""
    try:
        main()
    except SetupError as error:
        print(error, file=sys.stderr)
        sys.exit(EXIT_CODE)
    except KeyboardInterrupt:
        print("Interrupted; the next run starts over where it must.", file=sys.stderr)
        sys.exit(130)


def cache_folder() -> Path:
    """The user's cache of downloads, shared by all checkouts of one user."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    folder = Path(base) / "lakehouse"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise SetupError(
            f"The cache folder {folder} cannot be made ({e.strerror}): set XDG_CACHE_HOME to a folder you may write to."
        ) from None
    return folder


def python() -> str:
    """The interpreter for the environment: this one if it fits, else the newest fitting one on PATH."""
    if sys.version_info[:2] in PYTHONS:
        return os.path.realpath(sys.executable)  # never the python of .venv itself: set-up may replace that folder
    for major, minor in PYTHONS:
        found = shutil.which(f"python{major}.{minor}")
        if found and _is_python(found, f"{major}.{minor}"):
            return found
    raise SetupError(
        "Python 3.11, 3.12 or 3.13 is needed, and {} is {}.{}: install one, or name it, for example "
        "`make setup PYTHON=/usr/bin/python3.12`.".format(sys.executable, *sys.version_info[:2])
    )


def _is_python(path: str, version: str) -> bool:
    # A version manager puts names on PATH for interpreters that are not switched on, so the name proves nothing.
    ask = "import sys; print('%d.%d' % sys.version_info[:2])"
    asked = subprocess.run([path, "-c", ask], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return asked.stdout.decode().strip() == version


def java() -> str:
    """The java that Spark will start: that of JAVA_HOME if it is set, else the one on PATH."""
    home = os.environ.get("JAVA_HOME")
    path = os.path.join(home, "bin", "java") if home else shutil.which("java")
    advice = (
        "install one (Debian, Ubuntu: `apt install openjdk-17-jre-headless`; macOS: `brew install openjdk@17`) "
        "and point JAVA_HOME at it."
    )
    try:
        asked = subprocess.run([path or "java", "-version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except OSError:
        where = f"JAVA_HOME is {home}, where there is none" if home else "there is none on PATH"
        raise SetupError(f"Java 17 or 21 is needed, and {where}: {advice}") from None
    version = re.search(r'version "(?:1\.)?(\d+)', asked.stdout.decode(errors="replace"))
    if not version or int(version.group(1)) not in JAVAS:
        what = f"Java {version.group(1)}" if version else "no working Java"
        raise SetupError(f"Java 17 or 21 is needed, and {path} is {what}: {advice}")
    return str(path)


def run(what: str, command, **options) -> str:
    """Runs a program and returns what it printed; if it fails, says in one sentence what failed and what to do."""
    done = subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        **options,
    )
    said = done.stdout.decode(errors="replace")
    if done.returncode == 0:
        return said
    log = cache_folder() / "setup.log"
    log.write_text(said)
    if OFFLINE.search(said):
        raise SetupError(
            f"{what} failed because a package registry cannot be reached: check the network (or proxy) and run it "
            f"again; details are in {log}."
        )
    last = next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "it said nothing")
    raise SetupError(f"{what} failed: {last.rstrip('.')}; details are in {log}.")


def take_port(socket, host: str, port: int, otherwise: str) -> None:
    """Binds a socket to a port, 0 for a free one. Raises SetupError that names the command which takes another."""
    socket.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
    try:
        socket.bind((host, port))
    except OSError as e:
        raise SetupError(f"Port {port} is not to be had ({e.strerror}): `{otherwise}` takes another.") from None

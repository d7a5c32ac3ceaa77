"""The Java that Spark is started with: which one, and what its environment may hold."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from lakehouse.errors import SetupError

JAVAS = (17, 21)
VERSION = re.compile(r'(?:version|JAVA_VERSION=) ?"(?:1\.)?(\d+)')


def check_java() -> None:
    """Raises SetupError unless the Java that Spark will start is one it runs on. No JVM is started where a file tells."""
    home = os.environ.get("JAVA_HOME")
    program = Path(home, "bin", "java") if home else Path(shutil.which("java") or "")
    where = f"JAVA_HOME is {home}" if home else "JAVA_HOME is not set"
    if not os.access(program, os.X_OK) or not program.is_file():
        missing = "where there is none" if home else "and there is none on PATH"
        raise SetupError(f"Java 17 or 21 is needed, {where}, {missing}: install one and point JAVA_HOME at it")
    version = _version(program)
    if version not in JAVAS:
        what = f"Java {version}" if version else "not a working Java"
        raise SetupError(f"Java 17 or 21 is needed, {where}, and {program} is {what}: point JAVA_HOME at another")


def _version(program: Path) -> int | None:
    try:
        said = (program.resolve().parents[1] / "release").read_text(encoding="utf-8", errors="replace")
    except OSError:
        said = ""
    if not VERSION.search(said):
        try:
            process = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=60, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return None
        said = process.stderr + process.stdout
    found = VERSION.search(said)
    return int(found[1]) if found else None


def has_resolvable_name() -> bool:
    """Whether this machine's own name has an address, which Spark asks for before it does anything else."""
    if os.environ.keys() & {"SPARK_LOCAL_IP", "SPARK_LOCAL_HOSTNAME"}:
        return True
    try:
        socket.getaddrinfo(socket.gethostname(), None)
    except OSError:
        return False
    return True


@contextmanager
def java_environment(secrets: Iterable[str]) -> Iterator[None]:
    """The environment for the start of a JVM: without the variables named, and the same on every machine."""
    package = find_spec("pyspark")
    changes: dict[str, str | None] = dict.fromkeys(secrets)
    # File names are bytes; under LC_ALL=C Java would turn each letter beyond ASCII into a question mark.
    changes |= {"LC_ALL": "C.UTF-8"}
    if package and package.origin:
        # A SPARK_HOME of something else would start that, with other jars.
        changes |= {"SPARK_HOME": str(Path(package.origin).parent)}
    if not has_resolvable_name():
        changes |= {"SPARK_LOCAL_IP": "127.0.0.1"}
    before = {name: os.environ.get(name) for name in changes}
    try:
        _set(changes)
        yield
    finally:
        _set(before)


def _set(variables: dict[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value

"""Puts the jars of conf/jars.txt where the environment's Spark finds them: its own jars folder.

Spark ships Ivy, which knows the public repository by itself. It fetches exactly the listed jars (no dependencies of
dependencies) into a cache of the user; every jar is checked against its SHA-256 before anything else sees it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from tools.setup.machine import ROOT, VENV, SetupError, cache_folder, exit_with_sentence, java

LIST = ROOT / "conf" / "jars.txt"
JVMS = 4  # most of the time goes to waiting for the repository: four at once take a third of the time of one
TIMEOUT = 600  # seconds


class Jar(NamedTuple):
    """One line of conf/jars.txt, or of a list like it; `kind`: the end of the file's name."""

    group: str
    name: str
    version: str
    sha256: str
    size: int
    kind: str = "jar"

    @property
    def file(self) -> str:
        return f"{self.name}-{self.version}.{self.kind}"

    def is_good(self, path: Path) -> bool:
        return path.is_file() and path.stat().st_size == self.size and _sha256(path) == self.sha256


def jars(listed: Path = LIST) -> list[Jar]:
    """The listed jars, in the order of the file."""
    lines = [line.split() for line in listed.read_text().splitlines() if line and not line.startswith("#")]
    return [_jar(coordinates, sha256, int(size)) for coordinates, sha256, size in lines]


def _jar(coordinates: str, sha256: str, size: int) -> Jar:
    group, name, version, *kind = coordinates.split(":")
    return Jar(group, name, version, sha256, size, *kind)


def install_jars(folder: Path, listed: Path = LIST, spark: Path | None = None) -> int:
    """Makes `folder` (pyspark/jars) hold every listed jar and returns how many had to be fetched.

    `spark`: pyspark/jars, where the folder is another. A jar that is missing or damaged is taken from the cache, and one
    that is missing or damaged there is fetched.
    """
    needed = [jar for jar in jars(listed) if not jar.is_good(folder / jar.file)]
    if not needed:
        return 0
    cache, fetched = cached(needed, spark or folder)
    for jar in needed:
        # A copy, not a link: whatever happens to the environment's jar must not reach the cache.
        shutil.copyfile(cache / jar.file, folder / (jar.file + ".part"))
        os.replace(folder / (jar.file + ".part"), folder / jar.file)
    return fetched


def cached(needed: list[Jar], folder: Path) -> tuple[Path, int]:
    """The cache, which holds these then, and how many had to be fetched, by the Ivy of `folder` (pyspark/jars)."""
    cache = cache_folder() / "jars"
    cache.mkdir(exist_ok=True)
    missing = [jar for jar in needed if not jar.is_good(cache / jar.file)]
    if missing:
        _fetch(missing, cache, next(folder.glob("ivy-*.jar")))
    return cache, len(missing)


def _fetch(missing: list[Jar], cache: Path, ivy: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="fetch-", dir=cache) as scratch:
        by_size = sorted(missing, key=lambda jar: -jar.size)
        shares = [by_size[first::JVMS] for first in range(min(JVMS, len(by_size)))]
        running = [_start_ivy(share, Path(scratch) / str(n), ivy) for n, share in enumerate(shares)]
        try:
            for process in running:
                process.wait(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            raise SetupError(f"No jars within {TIMEOUT} s: check the network and run it again.") from None
        finally:
            for process in running:
                process.kill()
        fetched = {path.name: path for path in Path(scratch).glob("*/jars/*")}
        _check(missing, fetched)
        for jar in missing:
            os.replace(fetched[jar.file], cache / jar.file)


def _start_ivy(share: list[Jar], scratch: Path, ivy: Path) -> subprocess.Popen[bytes]:
    scratch.mkdir()
    wanted = "".join(
        f'<dependency org="{jar.group}" name="{jar.name}" rev="{jar.version}" '
        f'transitive="false" conf="default->master">{_named(jar)}</dependency>'
        for jar in share
    )
    (scratch / "ivy.xml").write_text(
        '<ivy-module version="2.0"><info organisation="lakehouse" module="jars"/>'
        f'<configurations><conf name="default"/></configurations><dependencies>{wanted}</dependencies></ivy-module>'
    )
    # A cache of its own: two JVMs would wait for each other's locks. C1 and the serial collector: a short life.
    command = [java(), "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", f"-Divy.default.ivy.user.dir={scratch / 'ivy'}"]
    command += ["-jar", str(ivy), "-ivy", str(scratch / "ivy.xml"), "-cache", str(scratch / "cache")]
    command += ["-confs", "default", "-types", "jar", "bundle", "war"]
    command += ["-retrieve", str(scratch / "jars" / "[artifact]-[revision].[ext]")]
    with open(scratch / "log", "wb") as log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=scratch)


def _named(jar: Jar) -> str:
    # A jar may be of a kind of its own, such as a bundle: Ivy takes what its repository says.
    return "" if jar.kind == "jar" else f'<artifact name="{jar.name}" type="{jar.kind}" ext="{jar.kind}"/>'


def _check(missing: list[Jar], fetched: dict[str, Path]) -> None:
    absent = [jar.file for jar in missing if jar.file not in fetched]
    if absent:
        raise SetupError(
            f"{len(absent)} of {len(missing)} jars could not be fetched ({absent[0]} first): check the network and run "
            "it again; behind a proxy, tell Java in JAVA_TOOL_OPTIONS (-Dhttps.proxyHost and -Dhttps.proxyPort)."
        )
    wrong = [jar.file for jar in missing if not jar.is_good(fetched[jar.file])]
    if wrong:
        raise SetupError(
            f"{', '.join(wrong)} came with another checksum than the list of jars says: nothing was installed; find out "
            "who answers for the repository before you trust it."
        )


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for chunk in iter(lambda: file.read(1 << 20), b""):
            digest.update(chunk)
    return digest.hexdigest()


def spark_jars(venv: Path) -> Path:
    """The jars folder of an environment's pyspark."""
    for folder in venv.glob("lib/python3.*/site-packages/pyspark/jars"):
        return folder
    raise SetupError(f"There is no pyspark in {venv}: run `make setup`.")


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else spark_jars(VENV)
    print(f"{install_jars(folder)} jars fetched, {len(jars())} in place.")


if __name__ == "__main__":
    exit_with_sentence(main)

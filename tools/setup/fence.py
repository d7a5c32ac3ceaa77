"""Compiles the log store that guards a lake on s3a into a small jar, and puts it where Spark finds its jars.

So it does with other sources below lib, of which there is one (tools/live/setup.py). From source, as there is nobody else who could have built it. Compilers differ in the bytes they make, so what is checked
is not the jar: it says in its manifest which source, and which class files, it was made of. A changed source or a damaged
jar is compiled again; anything else costs the hash of one file.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from tools.setup.jars import spark_jars
from tools.setup.machine import ROOT, VENV, SetupError, cache_folder, exit_with_sentence, java

SOURCES = ROOT / "lib" / "java"
JAR = "lakehouse-fence.jar"
RELEASE = "17"  # the oldest Java that Spark runs on; a newer one runs it too
MANIFEST = "META-INF/MANIFEST.MF"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the oldest time a zip can hold: equal content gives equal bytes
COMPILER = ("-m", "jdk.compiler/com.sun.tools.javac.Main")
AGAINST = ("delta-storage-*.jar", "hadoop-client-api-*.jar")


def install_fence(folder: Path) -> bool:
    """Makes `folder` (pyspark/jars) hold the fence of today's source; returns whether it had to be compiled.

    Raises SetupError where the Java that Spark will start has no compiler.
    """
    return install_compiled(folder, JAR, SOURCES, AGAINST)


def install_compiled(folder: Path, name: str, sources: Path, against: tuple[str, ...]) -> bool:
    """Makes `folder` hold a jar of today's sources, compiled against jars of it; returns and raises as `install_fence`."""
    jar = folder / name
    if _is_current(jar, sources):
        return False
    with tempfile.TemporaryDirectory(prefix="fence-") as scratch:
        classes = Path(scratch)
        _compile(classes, sources, [file for pattern in against for file in folder.glob(pattern)])
        held = {path.relative_to(classes).as_posix(): path.read_bytes() for path in classes.rglob("*.class")}
        _write(jar, held, sources)
    return True


def _files(sources: Path) -> list[Path]:
    return sorted(sources.rglob("*.java"))


def _digest(parts) -> str:
    digest = hashlib.sha256(RELEASE.encode())
    for name, content in sorted(parts):
        digest.update(b"%s %d\n" % (name.encode(), len(content)) + content)
    return digest.hexdigest()


def _source_digest(sources: Path) -> str:
    return _digest((path.relative_to(sources).as_posix(), path.read_bytes()) for path in _files(sources))


def _manifest(classes, sources: Path) -> str:
    # A line of a manifest has 72 bytes at most: a name, a colon, a space and 64 digits.
    marks = {"Source": _source_digest(sources), "Class": _digest(classes.items())}
    return "Manifest-Version: 1.0\n" + "".join(f"{name}: {digest}\n" for name, digest in marks.items()) + "\n"


def _is_current(jar: Path, sources: Path) -> bool:
    try:
        with zipfile.ZipFile(jar) as archive:
            held = {name: archive.read(name) for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile):
        return False
    manifest = held.pop(MANIFEST, b"")
    return bool(held) and manifest == _manifest(held, sources).encode()


def _compile(classes: Path, sources: Path, against: list[Path]) -> None:
    # The Java that Spark will start compiles too: there may be no other one, and a `javac` on PATH may be of another.
    command = [java(), "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", *COMPILER, "--release", RELEASE, "-proc:none"]
    needed = os.pathsep.join(map(str, against))
    command += ["-encoding", "UTF-8", "-g:source,lines", "-d", str(classes), "-cp", needed, *map(str, _files(sources))]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = done.stdout.decode(errors="replace")
    if done.returncode == 0:
        return
    if "jdk.compiler" in said or f"release version {RELEASE} not supported" in said:
        raise SetupError(
            f"{command[0]} has no compiler, which lib/{sources.name} needs: install a JDK, not only a JRE "
            f"(Debian, Ubuntu: `apt install openjdk-{RELEASE}-jdk-headless`), and point JAVA_HOME at it."
        )
    log = cache_folder() / "setup.log"
    log.write_text(said)
    raise SetupError(f"Compiling lib/{sources.name} with {command[0]} failed; what it said is in {log}.")


def _write(jar: Path, classes, sources: Path) -> None:
    part = jar.with_name(jar.name + ".part")
    with zipfile.ZipFile(part, "w") as archive:
        for name, content in [(MANIFEST, _manifest(classes, sources).encode()), *sorted(classes.items())]:
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    os.replace(part, jar)


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else spark_jars(VENV)
    print(f"{folder / JAR} {'compiled' if install_fence(folder) else 'in place'}.")


if __name__ == "__main__":
    exit_with_sentence(main)

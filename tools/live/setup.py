"""`make live-setup`: fetches what the live layer runs on into the environment, beside what a night runs on."""

from __future__ import annotations

from pathlib import Path

from tools.setup.fence import install_compiled
from tools.setup.jars import install_jars, jars, spark_jars
from tools.setup.machine import ROOT, VENV, exit_with_sentence

FOLDER = VENV / "share" / "lakehouse" / "live"
LISTS = {"kafka": ROOT / "conf" / "live-jars.txt", "spark": ROOT / "conf" / "live-spark-jars.txt"}


# Connect's REST interface refuses changes by it.
READ_ONLY = "lakehouse-live.jar"
SOURCES = ROOT / "lib" / "java-live"
AGAINST = ("connect-api-*.jar", "kafka-clients-*.jar", "jakarta.ws.rs-api-*.jar")


def install(folder: Path = FOLDER) -> int:
    """Makes the folder hold the jars that are listed and no others, and returns how many were fetched."""
    fetched = 0
    for name, file in LISTS.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        fetched += install_jars(folder / name, file, spark_jars(VENV))
        # Every jar of the folder is on a class path.
        listed = {READ_ONLY, *(jar.file for jar in jars(file))}
        for jar in (folder / name).glob("*.jar"):
            if jar.name not in listed:
                jar.unlink()
    install_compiled(folder / "kafka", READ_ONLY, SOURCES, AGAINST)
    return fetched


def main() -> None:
    print(f"{install()} jars of the live layer fetched, in {FOLDER}.")


if __name__ == "__main__":
    exit_with_sentence(main)

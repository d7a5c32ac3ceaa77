"""What the project is made of, read from the files that pin it: locks of Python packages, jars, and Go modules."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tools.setup.go.victoria import VICTORIA
from tools.setup.minio import MINIO

PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==(\S+)")
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


class Part(NamedTuple):
    """One part: its name, version, address of the form purl (https://github.com/package-url), and known hashes."""

    name: str
    version: str
    purl: str
    hashes: tuple[str, ...] = ()


def packages(lock: Path) -> Iterator[Part]:
    """The packages of a lock, with the hashes of all their files."""
    for block in re.split(r"\n(?=\S)", lock.read_text(encoding="utf-8")):
        if pin := PIN.match(block):
            name = pin[1].lower()
            yield Part(name, pin[2], f"pkg:pypi/{name}@{pin[2]}", tuple(HASH.findall(block)))


def jars(file: Path) -> Iterator[Part]:
    """The jars of a list: those that Spark is given, those of the live layer, or the war of Atlas."""
    for line in file.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            coordinates, digest, *_ = line.split()
            group, name, version, *kind = coordinates.split(":")
            purl = f"pkg:maven/{group}/{name}@{version}{f'?type={kind[0]}' if kind else ''}"
            yield Part(f"{group}:{name}", version, purl, (digest,))


def modules() -> Iterator[Part]:
    """What is built from Go modules, as their sources were published; what we change in MinIO is in tools/setup/minio.py."""
    for module in (MINIO, VICTORIA):
        yield Part(module.path, module.version, f"pkg:golang/{module.path}@{module.version}")

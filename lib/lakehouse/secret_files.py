"""Secrets that are none: what everybody knows by heart, and files that other accounts can read."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from lakehouse.errors import ConfigError

# What servers and examples are delivered with.
KNOWN = {"admin", "airflow", "changeme", "minio", "minioadmin", "minio123", "password", "postgres"}
# On this machine alone such a server is somebody's trial.
LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def is_known(secret: str, address: str) -> bool:
    """Whether a secret that opens something at an address is one that everybody knows; on loopback it may be."""
    try:
        host = urlsplit(address).hostname or ""
    except ValueError:
        return False
    return secret.lower() in KNOWN and host not in LOOPBACK


def refuse_open(folder: Path, names: Iterable[str]) -> None:
    """Raises ConfigError for files of a folder that another account can read; none where no other may pass so far."""
    way = (folder.absolute(), *folder.absolute().parents)
    if not all(f.stat().st_mode & (stat.S_IXGRP | stat.S_IXOTH) for f in way):
        return
    files = [folder / name for name in sorted(names)]
    seen = [f.name for f in files if f.is_file() and f.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH)]
    if seen:
        raise ConfigError(
            f"other accounts can read {', '.join(seen)} in {folder}: chmod 600 each, or chmod 700 the folder"
        )

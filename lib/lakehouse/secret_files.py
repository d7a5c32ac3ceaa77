"""Secrets that are none: what everybody knows by heart, files that other accounts can read, and what a proxy would be told."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from lakehouse.errors import ConfigError

# What servers and examples are delivered with.
KNOWN = {"admin", "airflow", "changeme", "minio", "minioadmin", "minio123", "password", "postgres"}


def is_known(secret: str, address: str) -> bool:
    """Whether a secret that opens something at an address is one that everybody knows; on loopback it may be.

    On this machine alone such a server is somebody's trial.
    """
    try:
        host = urlsplit(address).hostname or ""
    except ValueError:
        return False
    return secret.lower() in KNOWN and not _is_loopback(host)


def unproxied(url: str) -> Mapping[str, None]:
    """httpx's `mounts` by which a server on loopback is asked directly: the environment's proxy would be told the secret.

    Where no `NO_PROXY` exempts loopback, httpx would ask the proxy, which does not even reach the server that is meant.
    """
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return {}
    return {f"all://{f'[{host}]' if ':' in host else host}": None} if _is_loopback(host) else {}


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


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

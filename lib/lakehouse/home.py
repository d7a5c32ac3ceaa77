"""The home: the one folder of a shop on this machine, closed to every other account.

It holds the lake, the Data Docs, the embedded server and scratch files, and with them names and addresses of customers.
Looking never makes one: `make_home` is for what writes.
"""

from __future__ import annotations

import errno
import os
import pwd
import stat
from pathlib import Path

from lakehouse.errors import ConfigError, SetupError

OTHERS = 0o077
READ_OR_WRITE = 0o066
ACL = "system.posix_acl_access"


def close_files_to_others() -> None:
    """What this process and its children create from now on is for their own account only."""
    os.umask(OTHERS)


def make_home(home: Path) -> None:
    """Makes the home, or closes the one that is there. Raises ConfigError where it is, or may become, somebody else's."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_owner(home)
        if os.statvfs(home).f_flag & os.ST_RDONLY:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        _close(home)
        for inner in ("lake", "data-docs", "tmp"):
            if (home / inner).is_dir() and not (home / inner).is_symlink():
                _close(home / inner)
    except OSError as e:
        raise ConfigError(
            f"LAKEHOUSE_HOME cannot be {home} ({e.strerror}): set it to a folder of your own on a local disk"
        ) from None


def scratch(home: Path) -> Path:
    """The folder of Spark's and Java's temporary files, which may hold rows; raises as `make_home`, and SetupError."""
    make_home(home)
    folder = home / "tmp"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        _check_owner(folder, through_links=False)
        options = os.statvfs(folder).f_flag
    except OSError as e:
        raise ConfigError(f"{folder} cannot be the folder of temporary files ({e.strerror}): move it away") from None
    if options & os.ST_NOEXEC:
        raise SetupError(
            f"{home} is mounted noexec, and Spark loads its libraries from {folder}: set LAKEHOUSE_HOME to another disk"
        )
    return folder


def owner_name(uid: int) -> str:
    """The name of an account, or its number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _check_owner(folder: Path, *, through_links: bool = True) -> None:
    """The owner of a folder, or of the link to it, decides what lies in it."""
    for found in (folder.lstat(), *([folder.stat()] if through_links else [])):
        if found.st_uid != os.geteuid():
            raise ConfigError(
                f"{folder} belongs to {owner_name(found.st_uid)}: run as that account, or set LAKEHOUSE_HOME to a folder of "
                "your own"
            )
    if not through_links and folder.is_symlink():
        raise ConfigError(f"{folder} is a link, and must be a folder: remove the link")


def _close(folder: Path) -> None:
    mode = stat.S_IMODE(folder.stat().st_mode)
    # For root another account's server lives inside, which passes by an entry of the access control list, or by o+x
    # where the disk has no such lists. Passing is all that these bits allow.
    may_pass = os.geteuid() == 0
    if mode & (READ_OR_WRITE if may_pass else OTHERS):
        folder.chmod((mode & 0o711 if may_pass and _has_list(folder) else mode & 0o700) | 0o700)


def _has_list(folder: Path) -> bool:
    try:
        return bool(os.getxattr(folder, ACL)) if hasattr(os, "getxattr") else False
    except OSError:
        return False

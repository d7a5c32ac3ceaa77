"""The server's folder and the small files in it: password, port, lock.

For root they are another account's, which could have put a link in the place of each: none is followed, none is trusted
that belongs to a third account, and what is written is a new file.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fcntl import LOCK_EX, flock
from pathlib import Path

from lakehouse.errors import StoreError
from lakehouse.home import make_home, owner_name
from lakehouse.server.account import RunAs

LARGEST = 4096


def claim(folder: Path, run_as: RunAs) -> None:
    """Makes the folder the server's account's, below a home that is closed. Raises StoreError for a link or another's."""
    make_home(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    handle = _open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        found = os.fstat(handle)
        if found.st_uid not in _ours(run_as):
            raise _not_ours(folder, found.st_uid)
        if stat.S_IMODE(found.st_mode) & 0o077:
            os.fchmod(handle, 0o700)
        if run_as and found.st_uid != run_as["user"]:
            # The folder itself comes last: if this is interrupted, it is done again. Links are chowned, not followed.
            for inner in folder.rglob("*"):
                if inner.lstat().st_uid not in _ours(run_as):
                    raise _not_ours(inner, inner.lstat().st_uid)
                os.chown(inner, run_as["user"], run_as["group"], follow_symlinks=False)
            os.fchown(handle, run_as["user"], run_as["group"])
    finally:
        os.close(handle)


def read(path: Path, run_as: RunAs) -> str:
    """The text of a small file. Raises FileNotFoundError, and StoreError for a link, another's file or no file at all."""
    handle = _open(path, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(handle, encoding="utf-8", errors="replace") as file:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise StoreError(f"{path} is not a file: move it away")
        if found.st_uid not in _ours(run_as):
            raise _not_ours(path, found.st_uid)
        return file.read(LARGEST)


def write(path: Path, text: str, run_as: RunAs) -> None:
    """Writes a small file of the server's account, whatever is there by its name."""
    path.unlink(missing_ok=True)
    handle = _open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        if run_as:
            os.fchown(handle, run_as["user"], run_as["group"])
        file.write(text)


@contextmanager
def locked(path: Path, run_as: RunAs) -> Iterator[None]:
    """One process at a time; the system frees the lock when the process dies."""
    handle = _open(path, os.O_RDWR | os.O_CREAT)
    try:
        found = os.fstat(handle)
        if found.st_uid not in _ours(run_as):
            raise _not_ours(path, found.st_uid)
        if run_as:
            os.fchown(handle, run_as["user"], run_as["group"])
        flock(handle, LOCK_EX)
        yield
    finally:
        os.close(handle)


def _open(path: Path, flags: int) -> int:
    try:
        return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except PermissionError:
        raise _not_ours(path, path.lstat().st_uid) from None
    except FileNotFoundError:
        raise
    except OSError as e:
        if path.is_symlink():
            raise StoreError(
                f"{path} is a link, which the embedded Postgres does not follow: remove the link"
            ) from None
        raise StoreError(f"The embedded Postgres cannot use {path} ({e.strerror}): move it away") from None


def _ours(run_as: RunAs) -> set[int]:
    return {os.geteuid(), run_as["user"]} if run_as else {os.geteuid()}


def _not_ours(path: Path, owner: int) -> StoreError:
    return StoreError(
        f"{path} belongs to another account, {owner_name(owner)}: run as that account, or set LAKEHOUSE_HOME to a folder of "
        "your own"
    )

"""The folder where the stream keeps how far it is, and who may write there."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lakehouse.errors import BusyError
from lakehouse.home import make_home
from lakehouse.live import LAYER


def folder(home: Path) -> Path:
    """Where the stream keeps how far it is."""
    return home / LAYER


def last_batch(of: Path) -> tuple[int, float | None]:
    """The last batch that was done, -1 for none, and when, in seconds since 1970."""
    done = [f for f in of.glob("checkpoint-*/commits/*") if f.name.isdigit()]
    last = max(done, key=lambda f: int(f.name), default=None)
    return (int(last.name), last.stat().st_mtime) if last else (-1, None)


@contextmanager
def alone(of: Path) -> Iterator[None]:
    """One process at a time writes to live tables; the system frees the lock when it dies."""
    make_home(of.parent)
    of.mkdir(mode=0o700, exist_ok=True)
    handle = os.open(of / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError("a live stream is at work on this home, and does this by itself: end it first") from None
        yield
    finally:
        os.close(handle)

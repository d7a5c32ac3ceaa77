"""The folder where the stream keeps how far it is, who may write there, and the bucket of live tables."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lakehouse import address
from lakehouse.errors import BusyError, StoreError
from lakehouse.home import make_home
from lakehouse.live import LAYER
from lakehouse.settings import Settings


def folder(home: Path) -> Path:
    """Where the stream keeps how far it is."""
    return home / LAYER


def last_batch(of: Path) -> tuple[int, float | None]:
    """The last batch that was done, -1 for none, and when, in seconds since 1970."""
    done = [f for f in of.glob("checkpoint-*/commits/*") if f.name.isdigit()]
    last = max(done, key=lambda f: int(f.name), default=None)
    return (int(last.name), last.stat().st_mtime) if last else (-1, None)


def require_bucket(settings: Settings) -> None:
    """Raises StoreError where live tables lie in a bucket that is not there, or that our credentials may not list."""
    if (where := address.bucket_and_prefix(settings.lake_root, LAYER)) is None:
        return
    bucket = where[0]
    try:
        address.object_client(settings).head_bucket(Bucket=bucket)
    except address.store_faults() as e:
        code = str(getattr(e, "response", {}).get("Error", {}).get("Code", type(e).__name__))
        happened = "is not in the store" if code in ("404", "NoSuchBucket") else f"cannot be looked at ({code})"
        raise StoreError(f"the bucket {bucket}, where live tables lie, {happened}: make it, and allow the credentials to list, "
                         f"read, write and delete there (docs/live.md)") from None  # fmt: skip


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

"""The Data Docs beside an s3a:// lake: run pages are copied there after each run, and read from there to be served.

`s3a://` has the bucket `data-docs`, `s3a://bucket/prefix` a folder of that name. Runs only add or replace pages:
the bucket keeps those of every machine that ran something, until they are older than LAKEHOUSE_RETENTION.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from lakehouse import address
from lakehouse.errors import StoreError
from lakehouse.settings import Settings

NAME = "data-docs"
# Of every kind of file that Data Docs have; what has another name is none of theirs.
CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".LICENSE": "text/plain; charset=utf-8",
}
UPLOADS_AT_ONCE = 8
CHUNK = 64 * 1024


@dataclass(frozen=True)
class Place:
    """A bucket, and the prefix of every key in it: empty, or ending in a slash."""

    bucket: str
    prefix: str


@dataclass(frozen=True)
class Page:
    """A page as it is read: its bytes in pieces, how many they are, and a tag that changes with them."""

    length: int
    etag: str
    pieces: Iterator[bytes]


def place(settings: Settings) -> Place | None:
    """Where the Data Docs of a lake lie; None where they are only the folder in LAKEHOUSE_HOME."""
    where = address.bucket_and_prefix(settings.lake_root, NAME)
    return Place(*where) if where else None


class DocsBucket:
    """The bucket as a store of pages. Every method raises StoreError, in one sentence, when the store does not answer."""

    def __init__(self, settings: Settings, where: Place) -> None:
        self._settings, self._where = settings, where

    def sync(self, folder: Path) -> set[str]:
        """Copies assets and run pages that the bucket lacks or has in an older state; returns the names of all its pages.

        As `aws s3 sync` compares: another size, or a file newer than the object. Not the front page and other pages of the
        whole: see `write`.
        """
        with self._answering():
            held = self._held()
            changed = {name: path for name, path in _pages(folder) if _differs(path, held.get(name))}
            with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
                list(pool.map(lambda name: self.write(name, changed[name].read_bytes()), changed))
        return {*held, *changed}

    def forget(self, before: datetime) -> None:
        """Deletes pages of runs that were last written before a time."""
        with self._answering():
            old = [n for n, (_, changed) in self._held().items() if n.startswith("runs/") and changed < before]
            for name in old:
                # One by one, as some stores want a checksum for a list of deletions, and others do not know it.
                self._client.delete_object(Bucket=self._where.bucket, Key=self._where.prefix + name)

    def write(self, name: str, content: bytes) -> None:
        """Makes one page, named as in the folder."""
        with self._answering():
            self._client.put_object(
                Bucket=self._where.bucket, Key=self._where.prefix + name, Body=content, ContentType=content_type(name)
            )

    def open(self, name: str) -> Page | None:
        """One page, named as in the folder, to be read in pieces; None where there is none."""
        from botocore.exceptions import ClientError

        with self._answering():
            try:
                found = self._client.get_object(Bucket=self._where.bucket, Key=self._where.prefix + name)
            except ClientError as e:
                if _code(e) == "NoSuchKey":
                    return None
                raise
        return Page(found["ContentLength"], found["ETag"], self._pieces(found["Body"]))

    def _pieces(self, body: Any) -> Iterator[bytes]:
        with self._answering():
            yield from body.iter_chunks(CHUNK)

    def _held(self) -> dict[str, tuple[int, datetime]]:
        """Size and time of every page there is."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._where.bucket, Prefix=self._where.prefix
        )
        return {
            found["Key"].removeprefix(self._where.prefix): (found["Size"], found["LastModified"])
            for page in pages
            for found in page.get("Contents", ())
        }

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except address.store_faults() as e:
            raise StoreError(
                f"the Data Docs at s3://{self._where.bucket}/{self._where.prefix} do not answer ({_code(e)}); check that "
                "the bucket exists, AWS_ENDPOINT_URL, AWS_REGION, and that the credentials may list, read and write there"
            ) from None

    @cached_property
    def _client(self) -> Any:
        return address.object_client(self._settings, UPLOADS_AT_ONCE)


def content_type(name: str) -> str:
    """What a page is served as, by the end of its name. KeyError for what is no page."""
    return CONTENT_TYPES[Path(name).suffix]


def _pages(folder: Path) -> Iterator[tuple[str, Path]]:
    """Names and files of assets and run pages; what begins with a dot is being written.

    Not the pages of the whole, which every machine has in a state of its own: these are written by name.
    """
    for path in sorted(p for top in ("assets", "runs") for p in folder.glob(f"{top}/**/*")):
        parts = path.relative_to(folder).parts
        if path.suffix in CONTENT_TYPES and not any(part.startswith(".") for part in parts):
            yield "/".join(parts), path


def _differs(path: Path, held: tuple[int, datetime] | None) -> bool:
    if held is None:
        return True
    file = path.stat()
    return file.st_size != held[0] or datetime.fromtimestamp(file.st_mtime, UTC) > held[1]


def _code(error: Any) -> str:
    """The store's name of an error, or the error's class: its message may quote a request."""
    return str(getattr(error, "response", {}).get("Error", {}).get("Code") or type(error).__name__)

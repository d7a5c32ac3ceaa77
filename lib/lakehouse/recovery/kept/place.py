"""Files by key, in a folder or in a bucket: what backups are kept in, and how they see the lake.

A file is there whole or not at all, and closed to other accounts. No Spark: a backup takes no session.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from lakehouse import address
from lakehouse.errors import ConfigError, StoreError
from lakehouse.settings import Settings

CHUNK = 1024 * 1024
REQUESTS_AT_ONCE = 8
MISSING = ("404", "NoSuchKey", "NoSuchVersion", "MethodNotAllowed")


class GoneError(StoreError):
    """A file is not there."""


@dataclass(frozen=True)
class Held:
    """A file that is there: its bytes, and a stamp that changes whenever it is written."""

    size: int
    stamp: str


class Place(Protocol):
    """A folder or a part of a bucket. Every method raises StoreError, in one sentence, where the store refuses."""

    @property
    def where(self) -> str:
        """The place as a person knows it."""

    def names(self, below: str = "") -> dict[str, Held]:
        """Every file whose key begins so; none where there is no such folder."""

    def read(self, key: str) -> Iterator[bytes]:
        """A file in pieces. Raises GoneError where it is not there."""

    def write(self, key: str, pieces: Iterable[bytes]) -> None:
        """Makes a file, or replaces it."""

    def delete(self, key: str) -> None:
        """Deletes a file; nothing where it is gone already."""


class Folder:
    """A folder of this machine."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def where(self) -> str:
        return str(self.path)

    def names(self, below: str = "") -> dict[str, Held]:
        """Every file but those that begin with a dot: they are being written, or are Hadoop's checksums."""
        found: dict[str, Held] = {}
        root = self.path / below.rpartition("/")[0]
        for room, _, files in os.walk(root, onerror=self._not_listed):
            for name in files:
                key = (Path(room) / name).relative_to(self.path).as_posix()
                if name.startswith(".") or not key.startswith(below):
                    continue
                try:
                    status = (Path(room) / name).stat()
                except FileNotFoundError:
                    continue
                found[key] = Held(status.st_size, str(status.st_mtime_ns))
        return found

    def read(self, key: str) -> Iterator[bytes]:
        """A file in pieces. Raises GoneError where it is not there."""
        with self._answering(key), (self.path / key).open("rb") as file:
            while piece := file.read(CHUNK):
                yield piece

    def write(self, key: str, pieces: Iterable[bytes]) -> None:
        """Makes a file, or replaces it: written beside, brought to the disk, then renamed."""
        path = self.path / key
        beside = path.parent / f".{path.name}.{uuid.uuid4().hex}"
        with self._answering(key):
            _make_folder(path.parent)
            try:
                handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
                with os.fdopen(handle, "wb") as file:
                    for piece in pieces:
                        file.write(piece)
                    file.flush()
                    os.fsync(handle)
                beside.rename(path)
            finally:
                beside.unlink(missing_ok=True)

    def delete(self, key: str) -> None:
        """Deletes a file; nothing where it is gone already."""
        with self._answering(key):
            (self.path / key).unlink(missing_ok=True)

    def _not_listed(self, error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise self._refused("", error) from None

    @contextmanager
    def _answering(self, key: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise GoneError(f"{self.path / key} is not there") from None
        except OSError as e:
            raise self._refused(key, e) from None

    def _refused(self, key: str, error: OSError) -> StoreError:
        return StoreError(
            f"{self.path / key} cannot be used ({error.strerror}): check the disk, its space and its owner"
        )


class Bucket:
    """A bucket of an object store, or what lies below a prefix of it: empty, or ending in a slash."""

    def __init__(self, settings: Settings, bucket: str, prefix: str) -> None:
        self._settings, self.bucket, self.prefix = settings, bucket, prefix

    @property
    def where(self) -> str:
        return f"s3a://{self.bucket}/{self.prefix}"

    def names(self, below: str = "") -> dict[str, Held]:
        """Every object whose key begins so."""
        with self._answering():
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self.prefix + below
            )
            return {
                o["Key"].removeprefix(self.prefix): Held(o["Size"], o["ETag"].strip('"'))
                for page in pages
                for o in page.get("Contents", ())
                if not o["Key"].endswith("/")
            }

    def read(self, key: str) -> Iterator[bytes]:
        """An object in pieces. Raises GoneError where it is not there."""
        with self._answering(key):
            body = self.client.get_object(Bucket=self.bucket, Key=self.prefix + key)["Body"]
            yield from body.iter_chunks(CHUNK)

    def write(self, key: str, pieces: Iterable[bytes]) -> None:
        """Makes an object, or replaces it."""
        with self._answering(key):
            self.client.upload_fileobj(Pieces(iter(pieces)), self.bucket, self.prefix + key)

    def delete(self, key: str) -> None:
        """Deletes an object; nothing where it is gone already."""
        with self._answering(key):
            self.client.delete_object(Bucket=self.bucket, Key=self.prefix + key)

    def versions(self, key: str) -> list[tuple[str, Held]]:
        """The versions of an object that the bucket still keeps, newest first; none where it keeps none, or we may not look."""
        from botocore.exceptions import ClientError

        with self._answering(key):
            try:
                found = self.client.list_object_versions(Bucket=self.bucket, Prefix=self.prefix + key)
            except ClientError:
                return []
        return [
            (v["VersionId"], Held(v["Size"], v["ETag"].strip('"')))
            for v in found.get("Versions", ())
            if v["Key"] == self.prefix + key and v["VersionId"] != "null"
        ]

    def deleted(self, below: str) -> list[str]:
        """Keys of objects that were deleted and that the bucket still keeps; none where it keeps none, or we may not look."""
        from botocore.exceptions import ClientError

        with self._answering():
            try:
                pages = self.client.get_paginator("list_object_versions").paginate(
                    Bucket=self.bucket, Prefix=self.prefix + below
                )
                markers = [m for page in pages for m in page.get("DeleteMarkers", ()) if m["IsLatest"]]
            except ClientError:
                return []
        return [m["Key"].removeprefix(self.prefix) for m in markers]

    def bring_back(self, key: str, version: str) -> bool:
        """Makes a kept version of an object the current one again; whether we may."""
        from botocore.exceptions import ClientError

        source = {"Bucket": self.bucket, "Key": self.prefix + key, "VersionId": version}
        with self._answering(key):
            try:
                self.client.copy(source, self.bucket, self.prefix + key)
            except ClientError:
                return False
        return True

    @contextmanager
    def _answering(self, key: str = "") -> Iterator[None]:
        try:
            yield
        except address.store_faults() as e:
            code = str(getattr(e, "response", {}).get("Error", {}).get("Code") or type(e).__name__)
            if code in MISSING:
                raise GoneError(f"{self.where}{key} is not there") from None
            raise StoreError(
                f"{self.where}{key} does not answer ({code}); check that the bucket exists, AWS_ENDPOINT_URL, AWS_REGION, "
                "and that the credentials may list, read and write there"
            ) from None

    @cached_property
    def client(self) -> Any:
        """boto3's client of the store."""
        return address.object_client(self._settings, REQUESTS_AT_ONCE * 2)


class Pieces:
    """Pieces of bytes as a file that is read once."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, memoryview(b"")

    def read(self, size: int = -1) -> bytes:
        """The next bytes, fewer than asked for at the end alone."""
        parts, length = list[memoryview](), 0
        while size < 0 or length < size:
            if not self._rest:
                piece = next(self._pieces, None)
                if piece is None:
                    break
                self._rest = memoryview(piece)
            taken = self._rest if size < 0 else self._rest[: size - length]
            self._rest = self._rest[len(taken) :]
            parts.append(taken)
            length += len(taken)
        return b"".join(parts)


def place_of(settings: Settings, root: str) -> Place:
    """The place that a setting names: file:///folder or s3a://bucket/prefix."""
    if not root.startswith("s3a:"):
        return Folder(Path(root.removeprefix("file://")))
    bucket, _, prefix = root.removeprefix("s3a:").strip("/").partition("/")
    if not bucket:
        raise ConfigError("LAKEHOUSE_BACKUP_URI names no bucket: s3a://bucket, or s3a://bucket/prefix")
    return Bucket(settings, bucket, f"{prefix}/" if prefix else "")


def backups(settings: Settings) -> Place:
    """Where backups are kept."""
    return place_of(settings, settings.backup_root)


def lake_layer(settings: Settings, layer: str) -> Place:
    """The tables of a layer of the lake."""
    return place_of(settings, address.layer(settings.lake_root, layer))


def whole(place: Place, key: str) -> bytes:
    """The bytes of a small file."""
    return b"".join(place.read(key))


def _make_folder(folder: Path) -> None:
    for step in (*reversed(folder.parents), folder):
        if not step.exists():
            step.mkdir(mode=0o700, exist_ok=True)

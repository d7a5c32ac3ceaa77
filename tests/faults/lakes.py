"""Where a trial's lake lies: in a bucket behind a proxy with faults, or in files."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from minio import Minio
from minio.commonconfig import ENABLED
from minio.versioningconfig import VersioningConfig

from tests.conftest import MinioForTests


class Bucket:
    """A lake in a bucket behind the proxy, as the store itself holds it."""

    def __init__(
        self, minio: MinioForTests, name: str, lake: Path, endpoint: str, *, is_versioned: bool = False
    ) -> None:
        self.name, self.root = name, f"s3a://{name}/shop"
        minio.make_bucket(name)
        self.client = Minio(f"127.0.0.1:{minio.port}", minio.access_key, minio.secret_key, secure=False)
        if is_versioned:
            self.client.set_bucket_versioning(bucket_name=name, config=VersioningConfig(ENABLED))
        self.settings = {"endpoint": endpoint, "access_key": minio.access_key, "secret_key": minio.secret_key}
        self.environment = {"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": minio.access_key,
                            "AWS_SECRET_ACCESS_KEY": minio.secret_key}  # fmt: skip
        for file in _files(lake):
            self.client.fput_object(name, f"shop/{file.relative_to(lake)}", str(file))

    def objects(self) -> dict[str, str]:
        """Every object below the layers' tables and the hash of its content."""
        found = self.client.list_objects(self.name, recursive=True)
        return {str(o.object_name): str(o.etag) for o in found if not str(o.object_name).endswith("/")}


class Folder:
    """The same lake in files."""

    def __init__(self, place: Path, lake: Path) -> None:
        self.place, self.root, self.settings, self.environment = place, place.as_uri(), {}, dict[str, str]()
        shutil.copytree(lake, place)

    def objects(self) -> dict[str, str]:
        """Every file below the layers' tables and the hash of its content."""
        return {str(f.relative_to(self.place)): hashlib.sha256(f.read_bytes()).hexdigest() for f in _files(self.place)}


def _files(lake: Path) -> list[Path]:
    folders = (lake / layer for layer in ("bronze", "silver", "quarantine"))
    return [f for folder in folders for f in folder.rglob("*") if f.is_file() and not f.name.endswith(".crc")]

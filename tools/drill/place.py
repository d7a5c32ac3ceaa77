"""A lakehouse of its own for a drill: what it consists of, and how each part of it is lost."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lakehouse import address
from lakehouse.database import Database
from lakehouse.errors import SetupError, StoreError
from lakehouse.ledger import Ledger
from lakehouse.server.databases import database_url
from lakehouse.server.embedded import EmbeddedPostgres
from lakehouse.settings import Settings
from tools.setup.machine import VENV
from tools.setup.minio import binary

BUCKETS = ("bronze", "silver", "quarantine", "data-docs")


class Place:
    """The shop's own server, which is never lost, and a lakehouse beside it."""

    def __init__(self, folder: Path, endpoint: str, keys: tuple[str, str]) -> None:
        self.folder, self.home = folder, folder / "home"
        self.shop = EmbeddedPostgres(folder / "shop")
        self._settings = {
            "LAKEHOUSE_HOME": str(self.home),
            "LAKEHOUSE_SOURCE_DSN": self.shop.dsn("ecommerce_source"),
            "LAKEHOUSE_LAKE": "s3a://",
            "LAKEHOUSE_BACKUP_URI": f"file://{folder / 'backups'}",
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": keys[0],
            "AWS_SECRET_ACCESS_KEY": keys[1],
        }

    def lakehouse(self, *words: str) -> float:
        """Runs a command of the lakehouse; how many seconds it took. Ends the drill where it fails."""
        kept = {n: v for n, v in os.environ.items() if not n.startswith(("LAKEHOUSE_", "AWS_", "PG"))}
        began = time.monotonic()
        done = subprocess.run(
            [VENV / "bin" / "lakehouse", *words], env=kept | self._settings, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SetupError(f"lakehouse {' '.join(words)} ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
        return time.monotonic() - began

    @property
    def settings(self) -> Settings:
        made = self._settings
        return Settings(
            home=self.home, lake=made["LAKEHOUSE_LAKE"], endpoint=made["AWS_ENDPOINT_URL"],
            access_key=made["AWS_ACCESS_KEY_ID"], secret_key=made["AWS_SECRET_ACCESS_KEY"],
        )  # type: ignore[arg-type]  # fmt: skip

    @property
    def server(self) -> EmbeddedPostgres:
        return EmbeddedPostgres(self.home)

    @property
    def gold_dsn(self) -> str:
        return database_url(self.settings, "gold", create=False)

    def ledger(self) -> Ledger:
        """The ledger as it is now."""
        return Ledger(Database(self.gold_dsn, "gold", StoreError))

    @property
    def store(self) -> Any:
        """A client of the object store."""
        import boto3

        return boto3.client("s3", **address.client_arguments(self.settings))

    def lose_server(self) -> None:
        """Kills the server, and deletes its data."""
        pid = int((self.server.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()[0])
        os.kill(pid, 9)
        time.sleep(1)
        shutil.rmtree(self.server.data)

    def lose_home(self) -> None:
        """The server, its passwords, the pages: all that this machine has of the lakehouse."""
        self.lose_server()
        shutil.rmtree(self.home)

    def lose_buckets(self, *names: str) -> int:
        """Deletes every object of buckets, older versions too; how many."""
        lost = 0
        for name in names:
            for page in self.store.get_paginator("list_object_versions").paginate(Bucket=name):
                for found in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
                    self.store.delete_object(Bucket=name, Key=found["Key"], VersionId=found["VersionId"])
                    lost += 1
        return lost

    def lose_objects(self, name: str, every: int) -> int:
        """Deletes one object in so many as a slip would, and overwrites the one after it; how many."""
        keys = [k for k in self.keys(name) if not k.startswith("_lakehouse/")]
        for key in keys[::every]:
            self.store.delete_object(Bucket=name, Key=key)
        for key in (overwritten := [k for k in keys[1::every] if k.endswith(".parquet")]):
            self.store.put_object(Bucket=name, Key=key, Body=b"not what was written")
        return len(keys[::every]) + len(overwritten)

    def keys(self, name: str) -> list[str]:
        """The objects of a bucket."""
        pages = self.store.get_paginator("list_objects_v2").paginate(Bucket=name)
        return sorted(o["Key"] for page in pages for o in page.get("Contents", ()))


@contextmanager
def made(folder: Path) -> Iterator[Place]:
    """A place in a folder; its servers end with it."""
    if not binary().exists():
        raise SetupError("MinIO is not built: run `make minio`")
    keys = f"drill{secrets.token_hex(8)}", secrets.token_hex(20)
    port = _free_port()
    environment = {"PATH": os.defpath, "HOME": str(folder), "MINIO_ROOT_USER": keys[0], "MINIO_ROOT_PASSWORD": keys[1],
                   "MINIO_BROWSER": "off", "MINIO_UPDATE": "off"}  # fmt: skip
    command = [str(binary()), "server", "--address", f"127.0.0.1:{port}", str(folder / "minio")]
    with (folder / "minio.log").open("ab") as log:
        store = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    place: Place | None = None
    try:
        _wait(f"http://127.0.0.1:{port}/minio/health/live")
        place = Place(folder, f"http://127.0.0.1:{port}", keys)
        for name in BUCKETS:
            place.store.create_bucket(Bucket=name)
            place.store.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        yield place
    finally:
        if place:
            place.shop.stop()
            place.server.stop()
        store.terminate()
        store.wait(timeout=30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - on this machine
                return
        except OSError:
            time.sleep(0.2)
    raise SetupError("MinIO did not start")

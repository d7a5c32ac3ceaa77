"""A lake in a bucket of a real store behind a proxy with faults, written to as Delta writes its log."""

from __future__ import annotations

import io
from dataclasses import dataclass
from threading import Lock

import pytest
from minio import Minio
from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from lakehouse.lake.delta import Lake
from lakehouse.lake.fence import FENCE
from lakehouse.lake.files import kinds
from tests.faults.proxy import FaultProxy, Reply, Request


@dataclass
class Shop:
    """A bucket behind a proxy, with the client of this JVM that only this test has, and the store's own client."""

    spark: SparkSession
    proxy: FaultProxy
    direct: Minio
    bucket: str

    @property
    def lake(self) -> Lake:
        return Lake(self.spark, f"s3a://{self.bucket}")

    def option(self, name: str, value: str) -> None:
        """Sets an option of the client; before the first use of the bucket, as clients are kept."""
        self.spark.conf.set(f"fs.s3a.{name}", value)

    def entry(self, version: int = 0) -> str:
        return f"s3a://{self.bucket}/silver/mugs/_delta_log/{version:020d}.json"

    def write(self, *lines: str, to: str | None = None, overwrite: bool = False, by: str = FENCE) -> None:
        """Writes a file of the log as Delta does."""
        files = self.lake.files
        held = files.jvm.java.util.ArrayList()
        for line in lines:
            held.add(line)
        store = files.jvm
        for part in by.split("."):
            store = getattr(store, part)
        path = files.place(to or self.entry())
        store(files.conf).write(path, held.iterator(), overwrite, files.conf)

    def error_of_writing(self, *lines: str, to: str | None = None) -> list[str]:
        """The classes of the Java error."""
        with pytest.raises(Py4JJavaError) as raised:
            self.write(*lines, to=to)
        return kinds(raised.value)

    def put(self, text: str, version: int = 0) -> None:
        """Makes a file as another machine does, without the proxy."""
        self.direct.put_object(self.bucket, self._key(version), io.BytesIO(text.encode()), len(text))

    def held(self, version: int = 0) -> str:
        reply = self.direct.get_object(self.bucket, self._key(version))
        try:
            return reply.read().decode()
        finally:
            reply.close()

    def objects(self) -> list[str]:
        """Every object but the empty ones that stand for folders."""
        names = [str(o.object_name) for o in self.direct.list_objects(self.bucket, recursive=True)]
        return [name for name in names if not name.endswith("/")]

    def forget_condition(self) -> None:
        """Makes the store one that takes no notice of If-None-Match: what is there is deleted just before.

        One request after the other, or the store would still decide between writers that come at the same moment.
        """
        turn = Lock()

        def overwrite(request: Request) -> Reply:
            with turn:
                if b"if-none-match" in request.head.lower():
                    self.direct.remove_object(self.bucket, request.key.removeprefix(f"{self.bucket}/"))
                return self.proxy.ask(request)

        self.proxy.before(overwrite, "PUT")

    def _key(self, version: int) -> str:
        return self.entry(version).removeprefix(f"s3a://{self.bucket}/")

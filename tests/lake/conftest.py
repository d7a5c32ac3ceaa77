"""A lake for one test: of files, its stamps gone afterwards, or in a bucket behind a proxy with faults."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from minio import Minio
from pyspark.sql import SparkSession

from lakehouse import address
from lakehouse.lake.delta import Lake
from lakehouse.settings import Settings
from tests.conftest import MinioForTests
from tests.faults.proxy import FaultProxy
from tests.lake.shop import Shop


@pytest.fixture
def lake(spark: SparkSession, tmp_path: Path) -> Iterator[Lake]:
    lake = Lake(spark, (tmp_path / "lake").as_uri())
    yield lake
    lake.unstamp()


@pytest.fixture
def shop(spark: SparkSession, minio: MinioForTests) -> Iterator[Shop]:
    bucket = f"fence-{uuid.uuid4().hex}"
    minio.make_bucket(bucket)
    direct = Minio(f"127.0.0.1:{minio.port}", minio.access_key, minio.secret_key, secure=False)
    with FaultProxy(minio.endpoint) as proxy:
        session = spark.newSession()
        settings = Settings(endpoint=proxy.endpoint, access_key=minio.access_key, secret_key=minio.secret_key)
        for name, value in address.s3a_options(settings).items():
            session.conf.set(name, value)
        # The client tries again soon, and not often: how long it waits is not what is tested.
        for name, value in {"attempts.maximum": "2", "retry.limit": "1", "retry.interval": "10ms"}.items():
            session.conf.set(f"fs.s3a.{name}", value)
        yield Shop(session, proxy, direct, bucket)

"""Lakes in buckets, each with a client of its own in the tests' one JVM."""

from __future__ import annotations

import uuid
from typing import Any

from pyspark.sql import SparkSession

from lakehouse import address
from lakehouse.lake.delta import Lake
from lakehouse.settings import Settings

CANARY = "canary-of-a-key-id"


def bucket_lake(spark: SparkSession, endpoint: str, **more: Any) -> Lake:
    """A lake in a bucket that nobody else in this JVM has asked for; `more` are settings."""
    given = {"lake": f"s3a://{uuid.uuid4().hex}", "access_key": CANARY, "secret_key": "s" * 20, **more}
    settings = Settings(endpoint=endpoint, **given)
    lake = Lake(spark, settings.lake_root)
    for name, value in address.s3a_options(settings).items():
        lake.files.conf.set(name, value)
    return lake

"""A lake of files for one test, its stamps gone afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from lakehouse.lake.delta import Lake


@pytest.fixture
def lake(spark: SparkSession, tmp_path: Path) -> Iterator[Lake]:
    lake = Lake(spark, (tmp_path / "lake").as_uri())
    yield lake
    lake.unstamp()

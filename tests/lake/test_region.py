"""A store in another region: every client of the project is told it, and a wrong one is named in the sentence."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from pyspark.sql import SparkSession

from lakehouse import address
from lakehouse.errors import StoreError
from lakehouse.lake.arrow import dataset
from lakehouse.pages.store import DocsBucket, place
from lakehouse.settings import Settings
from tests.conftest import MinioForTests, running_minio
from tests.lake.buckets import bucket_lake

pytestmark = pytest.mark.integration

REGION = "eu-central-1"


@pytest.fixture(scope="module")
def store() -> Iterator[MinioForTests]:
    with running_minio(REGION) as server:
        yield server


def settings(store: MinioForTests, region: str) -> dict[str, Any]:
    """The settings of a lake in a new bucket."""
    bucket = uuid.uuid4().hex
    store.make_bucket(bucket)
    keys = {"access_key": store.access_key, "secret_key": store.secret_key}
    return {"lake": f"s3a://{bucket}/shop", "region": region, **keys}


def test_every_client_reaches_a_store_of_another_region(spark: SparkSession, store: MinioForTests) -> None:
    given = settings(store, REGION)
    shop = Settings(endpoint=store.endpoint, **given)
    lake = bucket_lake(spark, store.endpoint, **given)
    lake.claim("ours")
    assert lake.identity() == "ours"
    path = address.arrow_path(shop.lake_root, "silver", "mugs")
    write_deltalake(path, pa.table({"id": [1, 2]}), storage_options=address.storage_options(shop))
    assert lake.head("silver", "mugs") == 0
    assert dataset(shop, "silver", "mugs", 0, list).count_rows() == 2
    where = place(shop)
    assert where is not None
    docs = DocsBucket(shop, where)
    docs.write("index.html", b"a page")
    page = docs.open("index.html")
    assert page is not None
    assert b"".join(page.pieces) == b"a page"


def test_a_wrong_region_is_a_sentence_that_names_the_setting(store: MinioForTests) -> None:
    # Spark's and the pages' clients find the right one by themselves.
    shop = Settings(endpoint=store.endpoint, **settings(store, "us-west-2"))
    with pytest.raises(StoreError, match="AWS_REGION"):
        dataset(shop, "silver", "mugs", 0, list)

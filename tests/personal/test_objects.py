"""A bucket with versions keeps what was deleted: after a forgetting it does not."""

from __future__ import annotations

import io
import uuid

import pytest
from minio import Minio
from minio.commonconfig import ENABLED
from minio.versioningconfig import VersioningConfig
from pydantic import SecretStr

from lakehouse.errors import StoreError
from lakehouse.personal.objects import delete_old_objects
from lakehouse.settings import Settings
from tests.conftest import MinioForTests

pytestmark = pytest.mark.integration


@pytest.fixture
def bucket(minio: MinioForTests) -> tuple[Minio, str]:
    client = Minio(f"127.0.0.1:{minio.port}", minio.access_key, minio.secret_key, secure=False)
    name = f"forget-{uuid.uuid4().hex}"
    client.make_bucket(bucket_name=name)
    client.set_bucket_versioning(bucket_name=name, config=VersioningConfig(ENABLED))
    return client, name


def settings(minio: MinioForTests, bucket: str, **more: object) -> Settings:
    keys = {"access_key": SecretStr(minio.access_key), "secret_key": SecretStr(minio.secret_key), **more}
    return Settings(lake=f"s3a://{bucket}", endpoint=minio.endpoint, **keys)  # type: ignore[arg-type]


def put(client: Minio, bucket: str, name: str, text: bytes) -> None:
    client.put_object(bucket_name=bucket, object_name=name, data=io.BytesIO(text), length=len(text))


def versions(client: Minio, bucket: str) -> list[tuple[str, bool, bool]]:
    found = client.list_objects(bucket_name=bucket, recursive=True, include_version=True)
    return sorted(
        (str(o.object_name), bool(o.is_latest == "true" or o.is_latest is True), bool(o.is_delete_marker))
        for o in found
    )


def test_old_versions_and_marks_of_deletions_go_and_the_newest_of_a_key_stays(
    minio: MinioForTests, bucket: tuple[Minio, str]
) -> None:
    client, name = bucket
    for text in (b"one", b"two"):
        put(client, name, "bronze/customers/_delta_log/_last_checkpoint", text)
    put(client, name, "bronze/customers/gone.parquet", b"a person")
    client.remove_object(bucket_name=name, object_name="bronze/customers/gone.parquet")
    for text in (b"one", b"two"):
        put(client, name, "bronze/customers_of_others/kept.parquet", text)
    assert len(versions(client, name)) == 6

    assert delete_old_objects(settings(minio, name), "bronze", "customers") == 3

    assert versions(client, name) == [
        ("bronze/customers/_delta_log/_last_checkpoint", True, False),
        ("bronze/customers_of_others/kept.parquet", False, False),
        ("bronze/customers_of_others/kept.parquet", True, False),
    ]
    assert delete_old_objects(settings(minio, name), "bronze", "customers") == 0


def test_where_they_may_not_be_seen_the_command_says_which_right_is_lacking(
    minio: MinioForTests, bucket: tuple[Minio, str]
) -> None:
    wrong = settings(minio, bucket[1], secret_key=SecretStr("x" * 40))
    with pytest.raises(StoreError, match="s3:ListBucketVersions and s3:DeleteObjectVersion"):
        delete_old_objects(wrong, "bronze", "customers")


def test_a_lake_of_files_keeps_no_versions() -> None:
    assert delete_old_objects(Settings(lake="file:///nowhere"), "bronze", "customers") == 0

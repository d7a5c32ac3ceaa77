"""A lake and its backups in buckets: objects that are gone or overwritten, and the way back to a moment."""

from __future__ import annotations

import gzip
import json
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from minio import Minio, MinioAdmin
from minio.commonconfig import ENABLED
from minio.credentials import StaticProvider
from minio.versioningconfig import VersioningConfig
from pydantic import SecretStr

from lakehouse.errors import StoreError
from lakehouse.recovery import backup, objects, restore
from lakehouse.recovery.kept import manifest as manifests
from lakehouse.recovery.kept.place import Bucket, backups, whole
from lakehouse.recovery.trial import trial
from tests.conftest import MinioForTests, passable_folder
from tests.recovery.shop import Shop

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def shop(minio: MinioForTests) -> Iterator[Shop]:
    lake, kept = (f"{what}-{uuid.uuid4().hex}" for what in ("lake", "backup"))
    minio.make_bucket(lake, kept)
    client = Minio(f"127.0.0.1:{minio.port}", minio.access_key, minio.secret_key, secure=False)
    client.set_bucket_versioning(bucket_name=lake, config=VersioningConfig(ENABLED))
    with passable_folder() as folder:
        shop = Shop(
            home=folder / "home", lake=f"s3a://{lake}/shop", backup_uri=f"s3a://{kept}/of/shop", endpoint=minio.endpoint,
            access_key=SecretStr(minio.access_key), secret_key=SecretStr(minio.secret_key),
        )  # fmt: skip
        try:
            yield shop
        finally:
            shop.server.stop()


def layer(shop: Shop, name: str) -> Bucket:
    _, _, rest = shop.settings.lake_root.partition("s3a://")
    return Bucket(shop.settings, rest.partition("/")[0], f"shop/{name}/")


def forget_versions(place: Bucket, key: str) -> None:
    """A bucket that does not keep what was deleted any more."""
    found = place.client.list_object_versions(Bucket=place.bucket, Prefix=place.prefix + key)
    for each in (*found.get("Versions", ()), *found.get("DeleteMarkers", ())):
        place.client.delete_object(Bucket=place.bucket, Key=each["Key"], VersionId=each["VersionId"])


def brought_back(shop: Shop) -> list[dict[str, Any]]:
    return objects.run(shop.settings, objects.plan(shop.settings), reason="a drill", by_whom="tests")


def test_a_backup_in_a_bucket_takes_the_servers_log_along_and_is_what_was_backed_up(shop: Shop) -> None:
    shop.publish()
    backup.make(shop.settings)
    shop.publish()
    made = backup.make(shop.settings)
    assert made.kind == "log"
    assert made.base is not None
    kept = backups(shop.settings).names(f"wal/{made.base.system}/")
    assert f"wal/{made.base.system}/{made.wal_end}.gz" in kept
    assert not list((shop.settings.home / "archive" / "wal").glob("*/*.gz")), "it is in one place only"
    assert [c["check"] for c in trial(shop.settings)[1] if c["holds"] != "yes"] == []


def test_what_is_in_the_bucket_of_backups_is_read_by_nobody_without_keys(shop: Shop) -> None:
    place = backups(shop.settings)
    assert isinstance(place, Bucket)
    root = f"{shop.settings.endpoint}/{place.bucket}"
    keys = [place.prefix + key for key in place.names()]
    assert {key.removeprefix(place.prefix).partition("/")[0] for key in keys} == {"backups", "objects", "wal"}
    with httpx.Client() as nobody:
        assert {nobody.get(f"{root}/{key}").status_code for key in keys} == {403}
        assert nobody.get(root, params={"list-type": "2"}).status_code == 403


@pytest.mark.fault("F27")
def test_objects_that_a_slip_deleted_or_overwrote_come_back_from_the_buckets_older_versions(shop: Shop) -> None:
    shop.publish()  # what no backup has yet
    then, bronze = shop.look(), layer(shop, "bronze")
    assert objects.plan(shop.settings) == []
    data = [k for k in bronze.names("orders/") if k.endswith(".parquet")]
    bronze.delete(data[0])
    bronze.write(data[1], [b"not what was written"])
    bronze.delete("orders/_delta_log/00000000000000000002.json")
    done = brought_back(shop)
    assert {r["from_"] for r in done} == {"its bucket's older version"}
    # What the log names is known once the log is there: a second look finds the data.
    brought_back(shop)
    assert objects.plan(shop.settings) == []
    assert shop.look() == then


def test_objects_that_the_bucket_has_forgotten_come_back_from_the_backups(shop: Shop) -> None:
    then, silver = shop.look(), layer(shop, "silver")
    backup.make(shop.settings)
    for key in silver.names("orders/"):
        forget_versions(silver, key)
    assert silver.names("orders/") == {}
    done = brought_back(shop)
    assert {r["from_"] for r in done} == {"the backups"}
    assert shop.look() == then
    assert shop.ledger().actions()[0]["action"] == "restore objects"


def test_an_object_that_nobody_has_any_more_is_named(shop: Shop) -> None:
    shop.publish()
    silver = layer(shop, "silver")
    then = silver.names("orders/")
    backed = {k for k in then if k.endswith(".parquet")}
    newest = next(k for k in backed if k not in _kept_keys(shop))
    held = b"".join(silver.read(newest))
    forget_versions(silver, newest)
    assert [r["would"] for r in objects.rows(objects.plan(shop.settings))] == ["STAY LOST"]
    with pytest.raises(StoreError, match="1 files of published versions are neither"):
        brought_back(shop)
    silver.write(newest, [held])


def test_an_older_version_that_is_listed_and_may_not_be_read_is_not_said_to_be_back(
    shop: Shop, minio: MinioForTests
) -> None:
    """As the jobs' own user of the stack: MinIO lets nobody list objects who may not list their versions too."""
    shop.publish()
    silver = layer(shop, "silver")
    newest = next(k for k in silver.names("orders/") if k.endswith(".parquet") and k not in _kept_keys(shop))
    silver.delete(newest)
    of_a_job = shop.settings.model_copy(update=_user_without_old_versions(minio))
    found = objects.plan(of_a_job)
    assert [r["from_"] for r in objects.rows(found)] == ["its bucket's older version"]
    with pytest.raises(
        StoreError, match=r"1 files of published versions are neither .* that we may read: give the keys"
    ):
        objects.run(of_a_job, found, reason="a drill", by_whom="tests")
    brought_back(shop)
    assert objects.plan(shop.settings) == []


def _user_without_old_versions(minio: MinioForTests) -> dict[str, SecretStr]:
    """A user who may do everything but read old versions, in the words of policies.py."""
    root = StaticProvider(minio.access_key, minio.secret_key)
    admin = MinioAdmin(endpoint=f"127.0.0.1:{minio.port}", credentials=root, secure=False)
    objects_of_all = "arn:aws:s3:::*"
    admin.policy_add("no-old-versions", policy={
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["s3:*"], "Resource": [objects_of_all]},
            {"Effect": "Deny", "Action": ["s3:GetObject"], "Resource": [objects_of_all],
             "Condition": {"StringLike": {"s3:versionid": ["?*"]}}},
        ],
    })  # fmt: skip
    admin.user_add("a-job", "password-of-a-job")
    admin.attach_policy(["no-old-versions"], user="a-job")
    return {"access_key": SecretStr("a-job"), "secret_key": SecretStr("password-of-a-job")}


def _kept_keys(shop: Shop) -> set[str]:
    target = backups(shop.settings)
    return set(manifests.read_inventory(target, manifests.catalogue(target)[-1])["silver"])


def test_a_lake_in_buckets_goes_back_to_a_second_and_keeps_what_it_took_away(shop: Shop) -> None:
    moment, then = shop.publish(), shop.look()
    shop.publish()
    backup.make(shop.settings)
    bronze = layer(shop, "bronze")
    for key in [k for k in bronze.names("orders/") if k.endswith(".parquet")][:2]:
        forget_versions(bronze, key)
    choice = restore.choice(shop.settings, to=moment)
    done = restore.run(shop.settings, choice, reason="a drill", by_whom="tests", force=True)
    assert [r["holds"] for r in done] == [True] * len(done)
    assert shop.look() == then
    assert shop.head("bronze") == then[0]["bronze"]["orders"]
    assert shop.ledger().identity() == shop.identity()
    (aside,) = backups(shop.settings).names("aside/")
    taken = json.loads(gzip.decompress(whole(backups(shop.settings), aside)))
    newest = f"orders/_delta_log/{then[0]['bronze']['orders'] + 1:020d}.json"
    assert newest in taken["bronze"]
    shop.days -= 1
    shop.publish()
    assert backup.make(shop.settings).kind == "log", "the server lived on, and its log with it"
    backup.prune(shop.settings, 2)
    assert manifests.object_key(taken["bronze"][newest][2]) in backups(shop.settings).names("objects/")

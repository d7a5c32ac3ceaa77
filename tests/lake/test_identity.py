"""Lake and ledger know each other."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from lakehouse import address
from lakehouse.errors import LedgerError, StoreError
from lakehouse.lake.delta import Lake
from lakehouse.records import Marks
from lakehouse.settings import Settings


def in_bucket(spark: SparkSession, minio: Any, root: str) -> Lake:
    settings = Settings(lake=root, endpoint=minio.endpoint, access_key=minio.access_key, secret_key=minio.secret_key)
    lake = Lake(spark, settings.lake_root)
    for name, value in address.s3a_options(settings).items():
        lake.files.conf.set(name, value)
    return lake


@pytest.fixture(params=["files", "bucket"])
def any_lake(request: pytest.FixtureRequest, spark: SparkSession, lake: Lake) -> Lake:
    if request.param == "files":
        return lake
    minio, name = request.getfixturevalue("minio"), f"identity-{uuid.uuid4().hex}"
    minio.make_bucket(name)
    return in_bucket(spark, minio, f"s3a://{name}/shop")


def test_a_lake_is_claimed_once_and_for_good(any_lake: Lake) -> None:
    assert any_lake.identity() is None
    any_lake.claim("ours")
    any_lake.claim("ours")
    for _ in range(2):
        with pytest.raises(LedgerError, match=r"belongs to another ledger \(ours; this one is theirs\)"):
            any_lake.claim("theirs")
    assert any_lake.identity() == "ours"
    # It is beside bronze's tables, and none of them.
    assert any_lake.tables("bronze") == []


def test_of_two_that_claim_at_once_one_is_told(any_lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    # Both looked before either wrote.
    monkeypatch.setattr(any_lake.files, "exists", lambda _: False)
    path = any_lake.path("bronze", "race.json")
    assert [any_lake.files.write_new(path, word) for word in ("first", "second")] == [True, False]
    assert any_lake.files.read(path) == "first"


def test_the_lake_keeps_a_copy_of_the_pointers_of_each_layer(any_lake: Lake) -> None:
    assert any_lake.marks("silver") is None
    any_lake.mark("silver", "ours", "silver-1", {"orders": 1})
    any_lake.mark("silver", "ours", "silver-2", {"orders": 2, "products": 1})
    any_lake.mark("quarantine", "ours", "silver-2", {})
    assert any_lake.marks("silver") == Marks("ours", "silver-2", {"orders": 2, "products": 1})
    assert any_lake.marks("quarantine") == Marks("ours", "silver-2", {})


def test_an_identity_that_was_tampered_with_is_no_free_lake(lake: Lake) -> None:
    lake.claim("ours")
    file = Path(lake.path("bronze", "_lakehouse").removeprefix("file://")) / "identity.json"
    for text in ("", "ours", "[]", "{}"):
        file.write_text(text)
        (file.parent / ".identity.json.crc").unlink(missing_ok=True)
        with pytest.raises(StoreError, match=r"identity\.json is not what was written there"):
            lake.identity()

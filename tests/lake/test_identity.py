"""Lake and ledger know each other."""

from __future__ import annotations

import threading
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


def test_at_no_moment_is_a_small_file_there_in_part(lake: Lake, tmp_path: Path) -> None:
    """A driver that is killed while it writes one leaves the old one or none, never an empty one."""
    words, seen, over = {name: str(n) * 100 for n, name in enumerate("abcdefgh")}, set[str](), threading.Event()

    def look() -> None:
        while not over.is_set():
            for file in tmp_path.glob("[a-h]"):
                seen.add(file.read_text())

    looking = threading.Thread(target=look)
    looking.start()
    for name, word in words.items():
        assert lake.files.write_new((tmp_path / name).as_uri(), word)
        lake.files.write((tmp_path / name).as_uri(), word[:50])
    over.set()
    looking.join()
    assert seen <= {w[:n] for w in words.values() for n in (50, 100)}
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(words)
    assert not lake.files.write_new((tmp_path / "a").as_uri(), "another")
    assert lake.files.read((tmp_path / "a").as_uri()) == words["a"][:50]


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
    for text in ("ours", "[]", "{}"):
        file.write_text(text)
        with pytest.raises(StoreError, match=r"identity\.json is not what was written there"):
            lake.identity()


def test_an_identity_that_was_never_filled_is_no_free_lake_and_says_how_it_becomes_one(lake: Lake) -> None:
    file = Path(lake.path("bronze", "_lakehouse").removeprefix("file://")) / "identity.json"
    file.parent.mkdir(parents=True)
    file.touch()
    for _ in range(2):
        with pytest.raises(StoreError, match=r"identity\.json is empty.*delete the file, then run again"):
            lake.claim("ours")
    file.unlink()
    lake.claim("ours")
    assert lake.identity() == "ours"


def test_a_text_takes_the_place_of_one_that_hadoop_wrote_with_its_checksum(lake: Lake) -> None:
    lake.mark("bronze", "ours", "bronze-1", {"orders": 1})
    file = Path(lake.path("bronze", "_lakehouse").removeprefix("file://")) / "bronze.json"
    stream = (
        lake.files.place(file.as_uri()).getFileSystem(lake.files.conf).create(lake.files.place(file.as_uri()), True)
    )
    stream.write(bytearray(b"another"))
    stream.close()
    assert (file.parent / ".bronze.json.crc").exists()
    lake.mark("bronze", "ours", "bronze-2", {"orders": 2})
    assert lake.marks("bronze") == Marks("ours", "bronze-2", {"orders": 2})

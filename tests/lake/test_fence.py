"""The log store that lets a store of objects decide who makes a version, against a real MinIO behind a proxy with faults."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from lakehouse.errors import SetupError, StoreError
from lakehouse.lake.fence import FENCE, OPTION, check_log_store, check_race
from lakehouse.lake.files import EXISTS, NO_CONDITION
from tests.lake.shop import Shop

pytestmark = pytest.mark.integration

STOCK = "io.delta.storage.S3SingleDriverLogStore"
ENTRIES = "*/_delta_log/*.json"


def test_an_entry_is_created_once(shop: Shop) -> None:
    shop.write("first", "of two lines")
    assert shop.error_of_writing("second")[0] == EXISTS
    assert shop.held() == "first\nof two lines\n"


def test_a_commit_that_landed_in_between_is_not_overwritten(shop: Shop) -> None:
    shop.proxy.before(lambda _: shop.put("theirs\n"), "PUT", ENTRIES)
    assert shop.error_of_writing("ours")[0] == EXISTS
    assert shop.held() == "theirs\n"


def test_delta_s_own_log_store_overwrites_it(shop: Shop) -> None:
    """What the fence is for: with the day that this fails, Delta needs it no longer."""
    shop.proxy.before(lambda _: shop.put("theirs\n"), "PUT", ENTRIES)
    shop.write("ours", by=STOCK)
    assert shop.held() == "ours\n"


@pytest.mark.fault("F4")
def test_a_lost_reply_is_found_to_be_our_own_commit(shop: Shop) -> None:
    shop.write("an earlier version", to=shop.entry(0))
    shop.proxy.clear()
    lost = shop.proxy.drop_reply("PUT", ENTRIES, times=1)
    shop.write("ours", to=shop.entry(1))
    assert lost.hits == 1
    assert shop.held(1) == "ours\n"
    # The client asked again by itself, and was told that the file exists.
    assert [status for method, _, status in shop.proxy.log if method == "PUT"] == [200, 412]


@pytest.mark.fault("F4")
def test_a_commit_is_ours_when_no_try_is_ever_answered(shop: Shop) -> None:
    shop.proxy.drop_reply("PUT", ENTRIES)
    shop.write("ours")
    assert shop.held() == "ours\n"


@pytest.mark.fault("F6")
def test_a_commit_that_never_arrived_fails_without_the_name_of_a_conflict(shop: Shop) -> None:
    shop.proxy.answer(500, "PUT", ENTRIES)
    said = shop.error_of_writing("ours")
    assert said[0] == "java.io.IOException"
    assert EXISTS not in said
    assert shop.objects() == []


def test_a_commit_fails_where_what_is_there_cannot_be_read(shop: Shop) -> None:
    shop.proxy.drop_reply("PUT", ENTRIES)
    for method in ("GET", "HEAD"):
        shop.proxy.answer(500, method, ENTRIES)
    said = shop.error_of_writing("ours")
    assert said[0] == "java.io.IOException"
    assert EXISTS not in said


def test_an_iterator_that_breaks_leaves_nothing(shop: Shop) -> None:
    assert shop.error_of_writing("ours", 7)[0] == "java.lang.ClassCastException"  # type: ignore[arg-type]
    assert shop.objects() == []


def test_an_entry_of_several_parts_is_created_once_or_not_at_all(shop: Shop) -> None:
    shop.option("multipart.size", "5M")
    shop.option("multipart.threshold", "5M")
    large = "x" * (6 << 20)
    fails = shop.proxy.answer(400, "PUT", ENTRIES, query="*uploadId=*")
    assert shop.error_of_writing(large)[0] == "java.io.IOException"
    assert fails.hits >= 1
    assert shop.objects() == []
    shop.proxy.clear()
    shop.write(large)
    assert shop.error_of_writing("y" * (6 << 20))[0] == EXISTS
    assert shop.held() == large + "\n"


def test_what_is_to_be_overwritten_is(shop: Shop) -> None:
    path = f"s3a://{shop.bucket}/silver/mugs/_delta_log/_last_checkpoint"
    shop.write("20", to=path, overwrite=True)
    shop.write("40", to=path, overwrite=True)
    assert shop.lake.files.read(path) == "40\n"


def test_entries_are_listed_from_a_version_on_and_never_seen_in_part(shop: Shop) -> None:
    for version in range(4):
        shop.write(str(version), to=shop.entry(version))
    files = shop.lake.files
    store, place = files.jvm.lakehouse.ConditionalCreateLogStore(files.conf), files.place(shop.entry(2))
    found = store.listFrom(place, files.conf)
    names = []
    while found.hasNext():
        names.append(found.next().getPath().getName())
    assert names == [f"{version:020d}.json" for version in (2, 3)]
    assert store.isPartialWriteVisible(place, files.conf) is False


def test_the_first_commit_finds_a_store_that_ignores_the_condition(shop: Shop) -> None:
    shop.forget_condition()
    for version in (0, 1):
        assert shop.error_of_writing("ours", to=shop.entry(version))[0] == NO_CONDITION


def test_a_store_that_refuses_the_condition_is_named(shop: Shop) -> None:
    shop.proxy.answer(501, "PUT", ENTRIES)
    assert shop.error_of_writing("ours")[0] == NO_CONDITION


def test_a_client_without_the_condition_is_named(shop: Shop) -> None:
    shop.option("create.conditional.enabled", "false")
    assert shop.error_of_writing("ours")[0] == NO_CONDITION
    assert shop.objects() == []


def versions(shop: Shop) -> list[list[dict[str, Any]]]:
    """The actions of each version of the table, which must be contiguous."""
    names = sorted(k for k in shop.objects() if k.endswith(".json") and "_delta_log/" in k)
    assert [int(n.rpartition("/")[2].removesuffix(".json")) for n in names] == list(range(len(names)))
    return [[json.loads(line) for line in shop.held(v).splitlines()] for v in range(len(names))]


def append(shop: Shop, *ids: int) -> None:
    rows = shop.spark.createDataFrame([(i,) for i in ids], "id int").coalesce(1)
    rows.write.format("delta").mode("append").save(shop.lake.path("silver", "mugs"))


def read(shop: Shop) -> list[int]:
    rows = shop.spark.read.format("delta").load(shop.lake.path("silver", "mugs")).collect()
    return sorted(r["id"] for r in rows)


@pytest.mark.fault("F4")
def test_delta_commits_through_the_fence_and_a_lost_reply_makes_one_version(shop: Shop) -> None:
    append(shop, 1)
    lost = shop.proxy.drop_reply("PUT", ENTRIES, times=1)
    append(shop, 2)
    assert lost.hits == 1
    assert len(versions(shop)) == 2
    assert read(shop) == [1, 2]


def test_delta_tries_the_next_version_after_another_driver_made_this_one(shop: Shop) -> None:
    append(shop, 1)
    append(shop, 2)
    theirs = shop.held(1)
    shop.direct.remove_object(shop.bucket, "silver/mugs/_delta_log/00000000000000000001.json")
    shop.spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()
    landing = shop.proxy.before(lambda _: shop.put(theirs, 1), "PUT", "*/00000000000000000001.json", times=1)
    append(shop, 3)
    assert landing.hits == 1
    assert len(versions(shop)) == 3
    assert read(shop) == [1, 2, 3]


def test_a_race_for_one_file_is_won_by_one_and_leaves_nothing(shop: Shop) -> None:
    found = check_race(shop.spark, shop.lake.root, shop.lake.files)
    assert (len(found.made), len(found.refused), found.failed) == (1, 15, ())
    assert shop.objects() == []


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (lambda shop: shop.forget_condition(), "has no conditional create"),
        (lambda shop: shop.proxy.answer(501, "PUT"), "has no conditional create"),
        (lambda shop: shop.proxy.answer(403, "PUT"), r"0 were let in and 0 were told that it exists \(the rest: Acc"),
    ],
)
def test_a_race_that_is_not_decided_is_told(shop: Shop, fault: Callable[[Shop], object], said: str) -> None:
    fault(shop)
    with pytest.raises(StoreError, match=said):
        check_race(shop.spark, shop.lake.root, shop.lake.files)
    shop.proxy.clear()
    assert shop.objects() == []


def test_a_lake_on_s3a_without_its_fence_is_refused(shop: Shop) -> None:
    assert check_log_store(shop.spark) == FENCE
    # With `create`, or all of them, s3a would write without a look wherever Delta relies on one.
    assert shop.lake.files.conf.get("fs.s3a.performance.flags") == "mkdir"
    shop.spark.conf.set(OPTION, "lakehouse.NotThere")
    with pytest.raises(SetupError, match=r"does not find lakehouse\.NotThere"):
        shop.lake.check()
    shop.spark.conf.unset(OPTION)
    with pytest.raises(SetupError, match="nothing keeps two drivers"):
        shop.lake.check()

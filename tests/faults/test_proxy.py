"""The proxy with faults: what each rule does to a client, and to the store behind it."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http.client import HTTPException
from io import BytesIO

import pytest
import urllib3
from minio import Minio
from minio.error import S3Error

from tests.conftest import MinioForTests
from tests.faults.proxy import FaultProxy, Reply, Request

pytestmark = pytest.mark.integration

BODY = b"a mug of tea " * 1000
BROKEN = (urllib3.exceptions.HTTPError, HTTPException, OSError)


@dataclass
class Bucket:
    """A bucket by way of the proxy, by a client that never tries again, and directly."""

    proxy: FaultProxy
    near: Minio
    far: Minio
    name: str

    def put(self, key: str = "mugs/1") -> None:
        self.near.put_object(self.name, key, BytesIO(BODY), len(BODY))

    def get(self, key: str = "mugs/1") -> bytes:
        reply = self.near.get_object(self.name, key)
        try:
            return reply.read()
        finally:
            reply.close()

    def keys(self) -> list[str]:
        return [str(o.object_name) for o in self.far.list_objects(self.name, recursive=True)]


@pytest.fixture
def bucket(minio: MinioForTests) -> Iterator[Bucket]:
    name = f"proxy-{uuid.uuid4().hex}"
    minio.make_bucket(name)
    with FaultProxy(minio.endpoint) as proxy:
        once = urllib3.PoolManager(retries=False, timeout=10)
        near, far = (
            Minio(
                f"127.0.0.1:{port}",
                minio.access_key,
                minio.secret_key,
                secure=False,
                region="us-east-1",
                http_client=http,
            )
            for port, http in ((proxy.port, once), (minio.port, None))
        )
        yield Bucket(proxy, near, far, name)


def test_without_rules_the_store_is_as_it_was(bucket: Bucket) -> None:
    bucket.put("mugs/größe 1")
    assert bucket.get("mugs/größe 1") == BODY
    assert bucket.near.stat_object(bucket.name, "mugs/größe 1").size == len(BODY)
    assert [o.object_name for o in bucket.near.list_objects(bucket.name, "mugs/")] == ["mugs/größe 1"]
    bucket.near.remove_object(bucket.name, "mugs/größe 1")
    assert bucket.keys() == []
    key = f"{bucket.name}/mugs/größe 1"
    found = [(m, k, s) for m, k, s in bucket.proxy.log if k == key]
    assert found == [("PUT", key, 200), ("GET", key, 200), ("HEAD", key, 200), ("DELETE", key, 204)]


def test_an_answer_comes_as_often_as_it_was_asked_for_and_for_nothing_else(bucket: Bucket) -> None:
    rule = bucket.proxy.answer(503, "PUT", "*/mugs/*", times=2)
    bucket.put("cups/1")
    for _ in range(2):
        with pytest.raises(S3Error, match="SlowDown"):
            bucket.put()
    assert bucket.keys() == ["cups/1"]
    bucket.put()
    assert rule.hits == 2
    assert bucket.keys() == ["cups/1", "mugs/1"]


def test_a_rule_may_act_on_each_key_so_often(bucket: Bucket) -> None:
    rule = bucket.proxy.answer(503, "PUT", times=1, each=True)
    for key in ("mugs/1", "cups/1"):
        with pytest.raises(S3Error, match="SlowDown"):
            bucket.put(key)
        bucket.put(key)
    assert rule.hits == 2


def test_a_rule_may_be_for_a_query(bucket: Bucket) -> None:
    bucket.proxy.answer(500, "GET", query="*list-type=2*")
    with pytest.raises(S3Error, match="InternalError"):
        list(bucket.near.list_objects(bucket.name))
    bucket.put()
    assert bucket.get() == BODY


def test_a_lost_reply_is_of_work_that_was_done(bucket: Bucket) -> None:
    bucket.proxy.drop_reply("PUT")
    with pytest.raises(BROKEN):
        bucket.put()
    assert bucket.keys() == ["mugs/1"]


def test_a_reset_is_of_work_that_was_not_done(bucket: Bucket) -> None:
    bucket.proxy.reset("PUT", times=1)
    with pytest.raises(BROKEN):
        bucket.put()
    assert bucket.keys() == []
    bucket.put()


def test_a_truncated_reply_promises_more_than_it_brings(bucket: Bucket) -> None:
    bucket.put()
    bucket.proxy.truncate(100, times=1)
    with pytest.raises(BROKEN):
        bucket.get()
    assert bucket.get() == BODY


def test_hooks_see_the_request_before_and_the_reply_after_and_may_replace_it(bucket: Bucket) -> None:
    seen: list[tuple[str, int, list[str]]] = []

    def before(request: Request) -> None:
        seen.append((request.key, len(request.body), bucket.keys()))

    def after(request: Request, reply: Reply) -> Reply:
        seen.append((request.key, reply.status, bucket.keys()))
        return replace(reply, body=b"x" * len(reply.body))

    bucket.proxy.before(before, "PUT")
    bucket.proxy.after(after, "GET", "*/mugs/*")
    bucket.put()
    assert bucket.get() == b"x" * len(BODY)
    key = f"{bucket.name}/mugs/1"
    assert [(k, keys) for k, _, keys in seen] == [(key, []), (key, ["mugs/1"])]
    assert seen[0][1] >= len(BODY)
    assert seen[1][1] == 200


def test_a_request_that_waits_holds_no_other_up(bucket: Bucket) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def hold(_: Request) -> None:
        begun.set()
        assert go_on.wait(30)

    bucket.proxy.before(hold, "PUT", "*/mugs/*")
    waiting = threading.Thread(target=bucket.put)
    waiting.start()
    assert begun.wait(30)
    bucket.put("cups/1")
    assert bucket.keys() == ["cups/1"]
    go_on.set()
    waiting.join(30)
    assert bucket.keys() == ["cups/1", "mugs/1"]


def test_a_store_that_is_down_breaks_the_connection(bucket: Bucket, minio: MinioForTests) -> None:
    with FaultProxy("http://127.0.0.1:1") as proxy, pytest.raises(BROKEN):
        urllib3.PoolManager(retries=False).request("GET", f"{proxy.endpoint}/{bucket.name}")


def test_a_misspelt_condition_is_refused(bucket: Bucket) -> None:
    with pytest.raises(TypeError, match="a rule has no time"):
        bucket.proxy.reset("PUT", time=1)

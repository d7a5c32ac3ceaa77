"""CVE-2026-40344 and CVE-2026-41145, tried on the MinIO that we build: who knows a key id and no secret writes nothing."""

from __future__ import annotations

import hashlib
import http.client
import io
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import pytest
from minio import Minio

from tests.conftest import MinioForTests
from tools.setup.go.modules import check
from tools.setup.machine import SetupError
from tools.setup.minio import MINIO

pytestmark = pytest.mark.integration
UNSIGNED = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
CHUNKS = b"3\r\nbad\r\n0\r\n" + b"\r\n\r\n"


def archive() -> bytes:
    """A tar of one file, which a store that takes it unpacks into the bucket."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        entry = tarfile.TarInfo("by-archive")
        entry.size = 3
        tar.addfile(entry, io.BytesIO(b"bad"))
    return content.getvalue()


def attack(server: MinioForTests, path: str, body: bytes, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    given = {"X-Amz-Content-Sha256": UNSIGNED, "X-Amz-Date": f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}", **headers}
    try:
        connection.request("PUT", path, body, given)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def credential(server: MinioForTests) -> str:
    return f"{server.access_key}/{datetime.now(UTC):%Y%m%d}/us-east-1/s3/aws4_request"


@pytest.fixture
def bucket(minio: MinioForTests) -> str:
    minio.make_bucket("attacked")
    return "attacked"


def test_a_made_up_signature_writes_nothing_by_an_archive(minio: MinioForTests, bucket: str) -> None:
    signature = f"AWS4-HMAC-SHA256 Credential={credential(minio)}, SignedHeaders=host;x-amz-date, Signature={'0' * 64}"
    status, said = attack(minio, f"/{bucket}/any.tar", archive(), Authorization=signature,
                          **{"X-Amz-Meta-Snowball-Auto-Extract": "true"})  # fmt: skip
    assert status == 400, said
    assert names(minio, bucket) == []


@pytest.mark.parametrize("query", [{}, {"partNumber": "1", "uploadId": "any"}], ids=["object", "part"])
def test_a_key_id_in_the_address_writes_nothing(minio: MinioForTests, bucket: str, query: dict[str, str]) -> None:
    words = {"X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Credential": credential(minio), **query}
    status, said = attack(minio, f"/{bucket}/by-address?{urlencode(words)}", CHUNKS,
                          **{"X-Amz-Decoded-Content-Length": "3"})  # fmt: skip
    assert status == 400, said
    assert names(minio, bucket) == []


def names(server: MinioForTests, bucket: str) -> list[str | None]:
    client = Minio(f"127.0.0.1:{server.port}", server.access_key, server.secret_key, secure=False)
    return [found.object_name for found in client.list_objects(bucket_name=bucket, recursive=True)]


def test_a_binary_that_was_changed_is_not_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check(MINIO)
    monkeypatch.setattr("tools.setup.go.modules.cache_folder", lambda: tmp_path)
    copy = MINIO.program()
    copy.parent.mkdir()
    with pytest.raises(SetupError, match="run `make minio`"):
        check(MINIO)
    copy.write_bytes(b"as built")
    MINIO.noted().write_text(hashlib.sha256(b"as built").hexdigest())
    check(MINIO)
    copy.write_bytes(b"as changed")
    with pytest.raises(SetupError, match="is not what was built there"):
        check(MINIO)

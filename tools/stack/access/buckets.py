"""Makes the buckets, policies and users of MinIO as conf/minio and policies.py say; doing it again changes nothing.

Buckets keep overwritten and deleted objects for some days (conf/minio/buckets.json), so that a slip can be undone.
Credentials are files in the folder of secrets: minio_root_user, minio_root_password, and a pair for each user.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from minio import Minio, MinioAdmin
from minio.commonconfig import ENABLED, Filter
from minio.credentials import StaticProvider
from minio.error import MinioAdminException, MinioException
from minio.lifecycleconfig import Expiration, LifecycleConfig, NoncurrentVersionExpiration, Rule
from minio.versioningconfig import VersioningConfig
from urllib3 import PoolManager, Retry, Timeout
from urllib3.exceptions import HTTPError

from tools.stack.access.policies import BY_LAYER, USERS, policy

CONF = Path(__file__).resolve().parents[3] / "conf" / "minio"
WAIT_SECONDS = 60


def make_buckets(endpoint: str, secrets: Path, ca: Path | None = None) -> None:
    """Brings the MinIO at `endpoint` (host:port) to what is written here; waits a while for it to answer.

    `ca`: the file of the certificates to trust, of a MinIO that speaks TLS. Ends the process with a sentence where it does
    not answer or does not let us in.
    """
    root = [(secrets / f"minio_root_{what}").read_text(encoding="utf-8") for what in ("user", "password")]
    # Patience is ours, below: the client's own is five minutes a call.
    trust = {"cert_reqs": "CERT_REQUIRED", "ca_certs": str(ca)} if ca else {}
    http = PoolManager(timeout=Timeout(connect=5, read=30), retries=Retry(total=0), **trust)
    client = Minio(endpoint, *root, secure=bool(ca), http_client=http)
    admin = MinioAdmin(endpoint=endpoint, credentials=StaticProvider(*root), secure=bool(ca), http_client=http)
    _wait(client, endpoint)
    try:
        for name, wanted in json.loads((CONF / "buckets.json").read_text(encoding="utf-8")).items():
            _make_bucket(client, name, **wanted)
        for name in USERS:
            if name not in BY_LAYER or (secrets / f"minio_{name}_user").exists():
                _make_user(admin, name, secrets)
    except (MinioException, HTTPError) as e:
        sys.exit(f"MinIO at {endpoint} refused its buckets or users ({_kind(e)}): see its log.")


def _make_bucket(client: Minio, name: str, noncurrent_days: int) -> None:
    if not client.bucket_exists(bucket_name=name):
        client.make_bucket(bucket_name=name)
    client.set_bucket_versioning(bucket_name=name, config=VersioningConfig(ENABLED))
    rule = Rule(
        status=ENABLED,
        rule_id="what-was-overwritten-or-deleted",
        rule_filter=Filter(prefix=""),
        noncurrent_version_expiration=NoncurrentVersionExpiration(noncurrent_days=noncurrent_days),
        expiration=Expiration(expired_object_delete_marker=True),
    )
    client.set_bucket_lifecycle(bucket_name=name, config=LifecycleConfig([rule]))


def _make_user(admin: MinioAdmin, name: str, secrets: Path) -> None:
    user, password = ((secrets / f"minio_{name}_{what}").read_text(encoding="utf-8") for what in ("user", "password"))
    admin.policy_add(name, policy=policy(name))
    admin.user_add(user, password)
    try:
        admin.attach_policy([name], user=user)
    except MinioAdminException as e:
        if "PolicyChangeAlreadyApplied" not in str(e):
            raise
    for other, known in json.loads(admin.user_list()).items():
        if other != user and known.get("policyName") == name:
            admin.user_remove(other)  # its name was a secret, and has been replaced


def _wait(client: Minio, endpoint: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            client.list_buckets()
            return
        except (MinioException, HTTPError) as e:
            if time.monotonic() > deadline:
                sys.exit(f"MinIO at {endpoint} did not let us in within {WAIT_SECONDS} s ({_kind(e)}): see its log.")
            time.sleep(0.2)


def _kind(error: Exception) -> str:
    # Not its text: it may repeat a request, and a request its key.
    return str(getattr(error, "code", "") or type(error).__name__)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--endpoint", required=True, help="host:port of the MinIO")
    parser.add_argument("--secrets", required=True, type=Path, help="folder of the secret files")
    parser.add_argument("--ca", type=Path, help="certificates to trust, of a MinIO that speaks TLS")
    given = parser.parse_args(sys.argv[1:])
    make_buckets(given.endpoint, given.secrets, given.ca)
    print("Buckets, policies and users are as conf/minio and tools/stack/access/policies.py say.")


if __name__ == "__main__":
    main()

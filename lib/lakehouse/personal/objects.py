"""What a bucket with versions keeps of a table: objects that were deleted or replaced are still there, as old versions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lakehouse import address
from lakehouse.errors import StoreError
from lakehouse.settings import Settings


def delete_old_objects(settings: Settings, layer: str, table: str) -> int:
    """Deletes every version below a table that is not the newest of its key, and each mark of a deletion; how many.

    A lake of files keeps none. Raises StoreError where the store refuses: then something of the past is still there.
    """
    where = address.bucket_and_prefix(settings.lake_root, layer)
    if where is None:
        return 0
    bucket, prefix = where[0], f"{where[1]}{table}/"
    client = address.object_client(settings)
    try:
        old = list(_old(client, bucket, prefix))
        for key, version in old:
            # One by one, as some stores want a checksum for a list of deletions, and others do not know it.
            client.delete_object(Bucket=bucket, Key=key, VersionId=version)
        if left := sum(1 for _ in _old(client, bucket, prefix)):
            raise StoreError(f"{left} old versions of objects of {layer}.{table} are still in s3://{bucket}/{prefix}: a rule of the "
                             "bucket keeps them (object lock?); ask its owner, then run the command again")  # fmt: skip
    except address.store_faults() as e:
        code = getattr(e, "response", {}).get("Error", {}).get("Code") or type(e).__name__
        raise StoreError(f"old versions of objects in s3://{bucket}/{prefix} cannot be deleted ({code}): the credentials need "
                         "s3:ListBucketVersions and s3:DeleteObjectVersion there; then run the command again") from None  # fmt: skip
    return len(old)


def _old(client: Any, bucket: str, prefix: str) -> Iterator[tuple[str, str]]:
    """Keys and ids of versions that are not the newest, and of marks of deletions."""
    for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
        for found in page.get("Versions", ()):
            if not found["IsLatest"]:
                yield found["Key"], found["VersionId"]
        for found in page.get("DeleteMarkers", ()):
            yield found["Key"], found["VersionId"]

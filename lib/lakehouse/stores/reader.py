"""Reads published lake tables without a JVM, for the command line and small tools."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deltalake import DeltaTable

from lakehouse.settings import Settings


def open_rows(settings: Settings, table: str, version: int, key: Sequence[str], limit: int) -> list[dict[str, Any]]:
    """Key, reasons and first sight of rows open in a quarantine table; no other column is read."""
    root = settings.lake_root
    separator = "//" if root == "s3a:" else "/"
    path = f"{root}{separator}quarantine/{table}".replace("s3a://", "s3://").removeprefix("file://")
    options = {"aws_allow_http": "true", "aws_region": "us-east-1", "aws_conditional_put": "etag"}
    for name, secret in (("aws_access_key_id", settings.access_key), ("aws_secret_access_key", settings.secret_key)):
        if secret is not None:
            options[name] = secret.get_secret_value()
    if settings.endpoint:
        options["aws_endpoint_url"] = settings.endpoint
    delta = DeltaTable(path, version=version, storage_options=options if path.startswith("s3://") else None)
    rows = delta.to_pyarrow_dataset().head(limit, columns=[*key, "_reasons", "_first_seen_at"]).to_pylist()
    return [
        {
            "key": " ".join(str(r[k]) for k in key),
            "reasons": ", ".join(r["_reasons"]),
            "first_seen": r["_first_seen_at"].isoformat(timespec="seconds"),
        }
        for r in rows
    ]

"""Reads lake tables without a JVM, at the versions that the ledger says are published: for people and small tools."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow
import pyarrow.dataset
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from psycopg2.errors import UndefinedTable

from lakehouse.database import Database
from lakehouse.errors import StoreError
from lakehouse.records import Version
from lakehouse.settings import Settings


def versions(database: Database, layer: str, table: str) -> list[Version]:
    """What was published of a table for each business date, oldest first; none where nothing was published yet.

    A run that changes nothing of a table writes no version: the one before it stands for that day too.
    """
    run_layer = "silver" if layer == "quarantine" else layer
    with database.connection() as connection, connection.cursor() as cursor:
        try:
            cursor.execute(
                "select distinct on (business_date) business_date, version, run_id, finished_at from ("
                "  select r.*, max(t.version) over (order by r.seq) as version from ops.runs r "
                "  left join ops.run_tables t on t.run_id = r.run_id and t.layer = %s and t.table_name = %s "
                "  where r.layer = %s and r.state = 'published') as published "
                "where version is not null order by business_date, seq desc",
                (layer, table, run_layer),
            )
        except UndefinedTable:  # the ledger is made by the first run
            connection.rollback()
            return []
        return [Version(*row) for row in cursor.fetchall()]


def dataset(
    settings: Settings, layer: str, table: str, version: int, shown: Callable[[Sequence[str]], list[str]]
) -> pyarrow.dataset.Dataset:
    """A table at a version as Arrow, with the columns that `shown` picks of all. Nothing is read yet."""
    whole = _open(settings, layer, table, version).to_pyarrow_dataset()
    return whole.replace_schema(pyarrow.schema([whole.schema.field(name) for name in shown(whole.schema.names)]))


def open_rows(settings: Settings, table: str, version: int, key: Sequence[str], limit: int) -> list[dict[str, Any]]:
    """Key, reasons and first sight of rows open in a quarantine table; no other column is read."""
    quarantine = dataset(settings, "quarantine", table, version, lambda _: [*key, "_reasons", "_first_seen_at"])
    return [
        {
            "key": " ".join(str(r[k]) for k in key),
            "reasons": ", ".join(r["_reasons"]),
            "first_seen": r["_first_seen_at"].isoformat(timespec="seconds"),
        }
        for r in quarantine.head(limit).to_pylist()
    ]


def _open(settings: Settings, layer: str, table: str, version: int) -> DeltaTable:
    root = settings.lake_root
    separator = "//" if root == "s3a:" else "/"
    path = f"{root}{separator}{layer}/{table}".replace("s3a://", "s3://").removeprefix("file://")
    options = {"aws_allow_http": "true", "aws_region": "us-east-1", "aws_conditional_put": "etag"}
    for name, secret in (("aws_access_key_id", settings.access_key), ("aws_secret_access_key", settings.secret_key)):
        if secret is not None:
            options[name] = secret.get_secret_value()
    if settings.endpoint:
        options["aws_endpoint_url"] = settings.endpoint
    try:
        return DeltaTable(path, version=version, storage_options=options if path.startswith("s3://") else None)
    except (DeltaError, OSError) as e:
        raise StoreError(
            f"version {version} of {layer}.{table} cannot be opened at {path} ({type(e).__name__}); check LAKEHOUSE_LAKE, "
            "AWS_ENDPOINT_URL and the credentials; a version that is long past may have been cleaned up"
        ) from None

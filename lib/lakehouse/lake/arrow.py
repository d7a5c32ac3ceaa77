"""Reads lake tables without a JVM, at the versions that the ledger says are published: for people and small tools."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import pyarrow
import pyarrow.dataset
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from lakehouse import address
from lakehouse.errors import StoreError
from lakehouse.settings import Settings

LONGEST_SHOWN = 100


def dataset(
    settings: Settings, layer: str, table: str, version: int, shown: Callable[[Sequence[str]], list[str]]
) -> pyarrow.dataset.Dataset:
    """A table at a version as Arrow, with the columns that `shown` picks of all. Nothing is read yet."""
    whole = _open(settings, layer, table, version).to_pyarrow_dataset()
    return whole.replace_schema(pyarrow.schema([whole.schema.field(name) for name in shown(whole.schema.names)]))


def open_rows(
    settings: Settings, table: str, version: int, key: Sequence[str], limit: int, reason: str = ""
) -> list[dict[str, Any]]:
    """Key, reasons and first sight of rows open in a quarantine table; no other column is read.

    `reason`: only rows that are held back for it, among others.
    """
    quarantine = dataset(settings, "quarantine", table, version, lambda _: [*key, "_reasons", "_first_seen_at"])
    rows = (r for batch in quarantine.to_batches() for r in batch.to_pylist() if reason in ("", *r["_reasons"]))
    return [
        {
            "key": " ".join(_shown(r[k]) for k in key),
            "reasons": ", ".join(r["_reasons"]),
            "first_seen": r["_first_seen_at"].isoformat(timespec="seconds"),
        }
        for r in islice(rows, limit)
    ]


def _shown(part: object) -> str:
    """A part of a key: none is told from the text NULL, and one too long for an index is cut before it fills a screen."""
    text = "(null)" if part is None else str(part)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}… ({len(text):,} characters)"


def _open(settings: Settings, layer: str, table: str, version: int) -> DeltaTable:
    path = address.arrow_path(settings.lake_root, layer, table)
    options = address.storage_options(settings) if path.startswith("s3://") else None
    try:
        return DeltaTable(path, version=version, storage_options=options)
    except (DeltaError, OSError) as e:
        raise StoreError(
            f"version {version} of {layer}.{table} cannot be opened at {path} ({type(e).__name__}); check LAKEHOUSE_LAKE, "
            "AWS_ENDPOINT_URL, AWS_REGION and the credentials; a version that is long past may have been cleaned up"
        ) from None

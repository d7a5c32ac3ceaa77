"""How far the live layer is, and what today is so far. Without Spark, so that a look costs a second."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from lakehouse import address
from lakehouse.contracts import Contract
from lakehouse.errors import StoreError
from lakehouse.lake.arrow import options_for
from lakehouse.live import LAYER, TRUNCATED
from lakehouse.live.place import last_batch
from lakehouse.live.settings import LiveSettings
from lakehouse.settings import Settings

SECONDS = 5
TECHNICAL = ["_deleted", "_op", "_committed_at"]


def connector(live: LiveSettings) -> str:
    """How Debezium's task is, in Connect's own word; its process and port may be well while the task has failed."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{live.connect}/connectors/{live.topics}/status", timeout=SECONDS) as answer:
            states = [str(task["state"]) for task in json.load(answer)["tasks"]]
    except (OSError, ValueError, KeyError):
        return "UNREACHABLE"
    return ", ".join(states) or "STARTING"


def batch(folder: Path) -> dict[str, object]:
    """The last batch that was brought, and how many seconds ago."""
    number, at = last_batch(folder)
    return {"batch": number if at else None, "seconds_ago": round(time.time() - at) if at else None}


def tables(settings: Settings, contracts: Mapping[str, Contract]) -> list[dict[str, Any]]:
    """A row per live table: rows that are new or changed, rows that are gone, whether it was truncated, the newest change.

    Raises StoreError for a table that cannot be read.
    """
    found = []
    for name, contract in contracts.items():
        row: dict[str, Any] = {"table": name, "changed": 0, "deleted": 0, "truncated": False, "newest": None}
        for every in _batches(settings, name, [contract.key[0], *TECHNICAL]):
            row["truncated"] |= bool(pc.any(pc.equal(every["_op"], TRUNCATED)).as_py())
            newest = pc.max(every["_committed_at"]).as_py()
            row["newest"] = max(filter(None, (row["newest"], newest)), default=None)
            part = _rows(every, contract.key[0])
            gone = pc.sum(pc.cast(part["_deleted"], "int64")).as_py() or 0
            row["deleted"] += gone
            row["changed"] += part.num_rows - gone
        found.append(row)
    return found


def today(settings: Settings) -> dict[str, Any]:
    """What the lines of orders that came or changed since the last night say: lines, units, net sales, lines gone.

    Raises StoreError where they cannot be read.
    """
    columns = ["quantity", "unit_price", "discount", "_deleted"]
    lines = gone = units = 0
    net = Decimal(0)
    for every in _batches(settings, "order_items", ["order_item_id", *columns]):
        part = _rows(every, "order_item_id")
        here = part.filter(pc.invert(part["_deleted"]))
        gone += part.num_rows - here.num_rows
        lines += here.num_rows
        for quantity, price, discount in zip(*(here[c].to_pylist() for c in columns[:3]), strict=True):
            units += quantity or 0
            net += (quantity or 0) * (price or 0) - (discount or 0)
    return {"lines": lines, "units": units, "net": str(net), "lines_deleted": gone}


def _rows(batch: Any, key: str) -> Any:
    """The rows of a batch that are one of the source: the mark that a TRUNCATE leaves has no key."""
    return batch.filter(pc.is_valid(batch[key]))


def _batches(settings: Settings, table: str, columns: list[str]) -> Iterator[Any]:
    path = address.arrow_path(settings.lake_root, LAYER, table)
    options = options_for(settings, path)
    try:
        if DeltaTable.is_deltatable(path, options):
            yield from DeltaTable(path, storage_options=options).to_pyarrow_dataset().to_batches(columns=columns)
    except (DeltaError, OSError, pyarrow.ArrowInvalid) as e:
        raise StoreError(f"{LAYER}.{table} cannot be read at {path} ({type(e).__name__}): check LAKEHOUSE_LAKE, AWS_ENDPOINT_URL, "
                         f"AWS_REGION and the credentials; where its files are gone, `lakehouse live reset --all`") from None  # fmt: skip

"""How far the live layer is, and what today is so far. Without Spark, so that a look costs a second."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
from deltalake import DeltaTable

from lakehouse import address
from lakehouse.live import LAYER
from lakehouse.live.place import last_batch
from lakehouse.live.settings import LiveSettings

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


def tables(root: str, names: Iterable[str], storage: Mapping[str, str] | None) -> list[dict[str, Any]]:
    """A row per live table: rows that are new or changed, rows that are gone, and the newest change."""
    found = []
    for name in names:
        row: dict[str, Any] = {"table": name, "changed": 0, "deleted": 0, "truncated": False, "newest": None}
        for part in _batches(root, name, TECHNICAL, storage):
            gone = pc.sum(pc.cast(part["_deleted"], "int64")).as_py() or 0
            row["deleted"] += gone
            row["changed"] += part.num_rows - gone
            row["truncated"] |= bool(pc.any(pc.equal(part["_op"], "t")).as_py())
            newest = pc.max(part["_committed_at"]).as_py()
            row["newest"] = max(filter(None, (row["newest"], newest)), default=None)
        found.append(row)
    return found


def today(root: str, storage: Mapping[str, str] | None) -> dict[str, Any]:
    """What the lines of orders that came or changed since the last night say: lines, units, net sales, lines gone."""
    columns = ["quantity", "unit_price", "discount", "_deleted"]
    lines = gone = units = 0
    net = Decimal(0)
    for part in _batches(root, "order_items", columns, storage):
        here = part.filter(pc.invert(part["_deleted"]))
        gone += part.num_rows - here.num_rows
        lines += here.num_rows
        for quantity, price, discount in zip(*(here[c].to_pylist() for c in columns[:3]), strict=True):
            units += quantity or 0
            net += (quantity or 0) * (price or 0) - (discount or 0)
    return {"lines": lines, "units": units, "net": str(net), "lines_deleted": gone}


def _batches(root: str, table: str, columns: list[str], storage: Mapping[str, str] | None) -> Iterable[Any]:
    path = address.arrow_path(root, LAYER, table)
    options = dict(storage) if storage else None
    if not DeltaTable.is_deltatable(path, options):
        return []
    batches: Iterable[Any] = DeltaTable(path, storage_options=options).to_pyarrow_dataset().to_batches(columns=columns)
    return batches

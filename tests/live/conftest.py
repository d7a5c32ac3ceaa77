"""Events as Debezium writes them, and a live table that they are brought into."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.contracts import Contract
from lakehouse.live import TRUNCATED, events
from lakehouse.live.merge import PROPERTIES, compact, merge, schema
from tests.tables import contract

NOON_MS = 1_772_366_400_000  # 2026-03-01 12:00 UTC
ITEM = {
    "order_item_id": None, "order_id": "A1", "product_id": "P1", "quantity": 1, "unit_price": "2.5000",
    "discount": "0.0000", "unit_cost": None, "created_at": "2026-03-01T09:00:00.123456Z",
    "updated_at": "2026-03-01T09:00:00.123456Z",
}  # fmt: skip


def event(op: str, key: str | None, lsn: int, tx: int = 700, without: str = "", **changed: Any) -> str:
    """An event of order_items; `changed` are columns that are not as in ITEM, `without` one that the source lost."""
    image = {**ITEM, "order_item_id": key, **changed}
    image.pop(without, None)
    if op == events.DELETED:  # by the default replica identity: the key, and an invention where null is not allowed
        image = {**dict.fromkeys(ITEM), "order_item_id": key, "created_at": "1970-01-01T00:00:00Z"}
    source = {
        "lsn": lsn,
        "txId": tx,
        "ts_ms": NOON_MS,
        "snapshot": "true" if op == "r" else "false",
        "table": "order_items",
    }
    before, after = (image, None) if op == events.DELETED else (None, None if op == TRUNCATED else image)
    return json.dumps(
        {"before": before, "after": after, "source": source, "op": op, "transaction": None, "ts_ms": NOON_MS}
    )


class LiveTable:
    """The live table of order_items; messages come in batches, and offsets count on."""

    def __init__(self, spark: SparkSession, path: Path, of: Contract) -> None:
        self.spark, self.path, self.contract, self.offset = spark, str(path), of, 0
        made = DeltaTable.create(spark).location(self.path).addColumns(schema(of))
        for name, value in PROPERTIES.items():
            made = made.property(name, value)
        made.execute()

    def messages(self, *values: str | None) -> DataFrame:
        rows = [(value, self.offset + n) for n, value in enumerate(values)]
        self.offset += len(values)
        return self.spark.createDataFrame(rows, "value string, offset bigint")

    def brings(self, *values: str | None) -> None:
        """One batch."""
        self.merges(self.messages(*values))

    def merges(self, messages: DataFrame) -> None:
        parsed = events.parse(messages, self.contract)
        truncated = events.look(parsed).truncated
        table = DeltaTable.forPath(self.spark, self.path)
        merge(table, compact(parsed, self.contract, truncated), self.contract, truncated)

    def rows(
        self, columns: str = "order_item_id quantity", *, of: str = "", gone: bool = False
    ) -> set[tuple[Any, ...]]:
        """The rows that are there, or those that are marked as gone, of keys that begin with `of`; numbers as text."""
        frame = self.spark.read.format("delta").load(self.path).where("_deleted" if gone else "not _deleted")
        if of:
            frame = frame.where(F.col("order_item_id").startswith(of))
        found = frame.select(*columns.split()).collect()
        return {tuple(tuple(v) if isinstance(v, list) else v if v is None else str(v).removeprefix(of) for v in row)
                for row in found}  # fmt: skip


@pytest.fixture
def live(spark: SparkSession, tmp_path: Path) -> LiveTable:
    return LiveTable(spark, tmp_path / f"order_items-{uuid.uuid4().hex}", contract("bronze.order_items"))

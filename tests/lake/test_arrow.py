"""Lake tables as people read them, without a JVM."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow
import pytest
from deltalake import write_deltalake

from lakehouse.lake.arrow import open_rows
from lakehouse.settings import Settings

pytestmark = pytest.mark.unit


def test_a_key_that_is_null_or_endless_is_shown_as_what_it_is(tmp_path: Path) -> None:
    keys = [("P1", "W1"), (None, "W1"), ("NULL", "W1"), ("x" * 1_000_000, "W1")]
    columns = {
        "product_id": [product for product, _ in keys],
        "warehouse_id": [warehouse for _, warehouse in keys],
        "_reasons": [["key_null"]] * len(keys),
        "_first_seen_at": [datetime(2020, 1, 1, tzinfo=UTC)] * len(keys),
    }
    write_deltalake(tmp_path / "quarantine" / "inventory", pyarrow.table(columns))
    settings = Settings(home=tmp_path, lake=f"file://{tmp_path}")
    found = [r["key"] for r in open_rows(settings, "inventory", 0, ("product_id", "warehouse_id"), limit=9)]
    assert found == ["P1 W1", "(null) W1", "NULL W1", f"{'x' * 100}… (1,000,000 characters) W1"]

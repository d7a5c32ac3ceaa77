"""How far the live layer is, and what today is so far, of small live tables; nothing of it needs Spark."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from lakehouse.errors import StoreError
from lakehouse.live.place import alone, folder, last_batch
from lakehouse.live.settings import LiveSettings
from lakehouse.live.status import batch, connector, tables, today
from lakehouse.settings import Settings
from tests.conftest import free_port
from tests.tables import contract

pytestmark = pytest.mark.unit

ITEMS = {"order_items": contract("bronze.order_items")}
NOON, ONE = datetime(2026, 3, 1, 12, tzinfo=UTC), datetime(2026, 3, 1, 13, tzinfo=UTC)
SCHEMA = pa.schema(
    [("order_item_id", pa.string()), ("quantity", pa.int32()), ("unit_price", pa.decimal128(12, 4)),
     ("discount", pa.decimal128(12, 4)), ("_deleted", pa.bool_()), ("_op", pa.string()),
     ("_committed_at", pa.timestamp("us", tz="UTC"))]
)  # fmt: skip


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "a home", lake="")


def write(settings: Settings, *rows: tuple[Any, ...]) -> Path:
    """Live lines: key, quantity, price, discount, operation, and when it was committed."""
    records = [
        {"order_item_id": key, "quantity": quantity, "unit_price": price and Decimal(price),
         "discount": discount and Decimal(discount), "_deleted": op in "dt", "_op": op, "_committed_at": at}
        for key, quantity, price, discount, op, at in rows
    ]  # fmt: skip
    path = settings.home / "lake" / "live" / "order_items"
    write_deltalake(str(path), pa.Table.from_pylist(records, SCHEMA))
    return path


def test_what_is_not_there_yet_is_nothing(settings: Settings) -> None:
    none = {"changed": 0, "deleted": 0, "truncated": False, "newest": None}
    assert tables(settings, ITEMS) == [{"table": "order_items", **none}]
    assert today(settings) == {"lines": 0, "units": 0, "net": "0", "lines_deleted": 0}
    assert batch(folder(settings.home)) == {"batch": None, "seconds_ago": None}
    assert not settings.home.exists()


def test_lines_of_today_are_counted_and_summed(settings: Settings) -> None:
    write(
        settings,
        ("1", 2, "2.5000", "0.5000", "c", NOON),
        ("2", -1, "2.5000", None, "u", ONE),
        ("3", None, None, None, "d", NOON),
        ("4", None, "1.0000", None, "r", NOON),
    )
    assert today(settings) == {"lines": 3, "units": 1, "net": "2.0000", "lines_deleted": 1}
    row = {"table": "order_items", "changed": 3, "deleted": 1, "truncated": False, "newest": ONE}
    assert tables(settings, ITEMS) == [row]


def test_the_mark_of_a_truncate_is_told_and_not_counted(settings: Settings) -> None:
    write(
        settings, (None, None, None, None, "t", ONE), ("1", None, None, None, "t", NOON), ("2", 1, "1", "0", "c", ONE)
    )
    row = {"table": "order_items", "changed": 1, "deleted": 1, "truncated": True, "newest": ONE}
    assert tables(settings, ITEMS) == [row]
    assert (today(settings)["lines"], today(settings)["lines_deleted"]) == (1, 1)


@pytest.mark.parametrize("gone", ["*.parquet", "_delta_log/*.json"])
def test_a_table_that_cannot_be_read_is_named(settings: Settings, gone: str) -> None:
    path = write(settings, ("1", 1, "1", "0", "c", NOON))
    for file in path.glob(gone):
        file.write_bytes(b"{")
    for look in (lambda: today(settings), lambda: tables(settings, ITEMS)):
        with pytest.raises(StoreError, match=r"live.order_items cannot be read at .*reset --all") as refused:
            look()
        assert refused.value.exit_code == 7


def test_a_connect_that_is_away_is_unreachable() -> None:
    assert connector(LiveSettings(connect=f"http://127.0.0.1:{free_port()}")) == "UNREACHABLE"


def test_the_last_batch_is_the_highest_number_and_not_the_last_name(settings: Settings) -> None:
    commits = folder(settings.home) / "checkpoint-1" / "commits"
    commits.mkdir(parents=True)
    for name in ("2", "10", ".10.crc", "9"):
        (commits / name).touch()
    assert last_batch(folder(settings.home))[0] == 10
    assert batch(folder(settings.home)) == {"batch": 10, "seconds_ago": 0}


def test_one_process_at_a_time_writes_and_a_second_is_told(settings: Settings) -> None:
    from lakehouse.errors import BusyError

    with alone(folder(settings.home)), pytest.raises(BusyError, match="end it first"), alone(folder(settings.home)):
        raise AssertionError("two at once")
    with alone(folder(settings.home)):
        assert folder(settings.home).stat().st_mode & 0o777 == 0o700

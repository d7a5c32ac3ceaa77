"""The same days by a replication slot as by comparing keys: the same content, and nothing of it lost where a night is killed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lakehouse.contracts import load_contracts
from lakehouse.database import Database
from lakehouse.errors import GateError, SourceError
from lakehouse.layers import bronze
from lakehouse.live.settings import LiveSettings
from lakehouse.live.source import prepare
from lakehouse.server.embedded import FOLLOWED, EmbeddedPostgres
from lakehouse.source.cdc import slot
from tests.conftest import PostgresForTests, passable_folder
from tests.e2e.small_shop import EVERY_DAY, SmallShop, day
from tests.e2e.test_deletes import NO_KEYS, broken, content, happenings, layer

pytestmark = pytest.mark.e2e

SLOT = "lakehouse"
TABLES = load_contracts()["bronze"]
# Rows are found by all of their columns: the hostile shop's tables have no keys.
WHOLE_ROWS = "".join(f"alter table {table} replica identity full;" for table in TABLES)


@pytest.fixture(scope="module")
def followed() -> Iterator[PostgresForTests]:
    """A server whose log can be followed."""
    with passable_folder() as home:
        server = EmbeddedPostgres(home, FOLLOWED)
        server.start()
        try:
            yield PostgresForTests(server)
        finally:
            server.stop()


@pytest.fixture
def shop(followed: PostgresForTests, tmp_path: Path) -> Iterator[SmallShop]:
    """A shop whose nights drain a slot, made before its first one."""
    made = SmallShop(followed, "by_slot", tmp_path / "by_slot", NO_KEYS + WHOLE_ROWS, cdc="slot")
    with closing(Database(made.source, "source", SourceError)) as database:
        prepare(database, LiveSettings.model_construct(), TABLES, "lakehouse_live", "correct horse")
        slot.make(database, SLOT)
        yield made
        made.close()
        slot.drop(database, SLOT)


def beside(shop: SmallShop, followed: PostgresForTests, lake: Path) -> SmallShop:
    """Another lakehouse of the same source, which compares keys."""
    other = SmallShop(followed, "by_keys", lake, NO_KEYS)
    other.close()
    other.source = shop.source
    other.open()
    return other


def live(shop: SmallShop, n: int) -> None:
    shop.write(shop.source, EVERY_DAY.format(n=n, next=n + 1, day=day(n).isoformat()))
    layer(shop, "bronze", n)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_days_have_the_content_that_comparing_keys_gives_them(
    shop: SmallShop, followed: PostgresForTests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    other, draw = beside(shop, followed, tmp_path / "by_keys"), random.Random(seed)
    for n in range(1, 7):
        shop.write(shop.source, happenings(draw, n))
        # Of every other night the server never hears that it is published: the same changes come again.
        with monkeypatch.context() as patched:
            if n % 2 == 0:
                patched.setattr(bronze, "confirm", lambda *_: None)
            layer(shop, "bronze", n)
        for of in ("silver", "gold"):
            layer(shop, of, n)
        other.run(n)
        assert content(shop) == content(other), f"day {n} of seed {seed}"
        assert shop.hashes() == other.hashes(), f"day {n} of seed {seed}"
    assert broken(shop) == []
    other.close()


def test_what_goes_comes_back_and_changes_its_key_is_found_without_looking_at_all_keys(
    shop: SmallShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in (1, 2, 3):
        live(shop, n)
    # From the second night on no night compares all keys; this one tells three changes apart.
    monkeypatch.setattr("lakehouse.frame.held.source_figures", lambda *_: pytest.fail("all keys were looked at"))
    shop.write(shop.source, f"delete from order_items where order_item_id = 'I1'; delete from order_items where order_item_id = 'I2';"
                            f"insert into order_items (order_item_id, order_id, product_id, quantity, unit_price, created_at, updated_at) "
                            f"values ('i2 ', 'O2', 'P1', 2, 4, '{day(4)}', '{day(4)}');"
                            f"update order_items set order_item_id = 'I9', updated_at = '{day(4)}' where order_item_id = 'I3'")  # fmt: skip
    live(shop, 4)
    gone = [row["order_item_id"] for row in shop.pipeline.bronze("order_items") if row["_deleted"]]
    assert sorted(gone) == ["I1", "I3"]


def test_a_row_stamped_long_ago_is_brought_however_late_it_is_written(shop: SmallShop) -> None:
    for n in (1, 2, 3, 4, 5, 6):
        live(shop, n)
    shop.write(
        shop.source,
        f"insert into customers (customer_id, created_at, updated_at) values ('LATE', '{day(2)}', '{day(2)}')",
    )
    live(shop, 7)
    assert "LATE" in {row["customer_id"] for row in shop.pipeline.bronze("customers")}
    live(shop, 8)
    assert sum(row["customer_id"] == "LATE" for row in shop.pipeline.bronze("customers")) == 1


def test_a_truncated_table_stops_the_night_and_the_next_one_too(shop: SmallShop) -> None:
    live(shop, 1)
    shop.write(shop.source, "insert into customers (customer_id, created_at, updated_at) "
                            f"select 'T' || n, '{day(2)}', '{day(2)}' from generate_series(1, 400) n")  # fmt: skip
    live(shop, 2)
    shop.write(shop.source, "truncate customers")
    for _ in range(2):
        with pytest.raises(GateError, match=r"gone from the source: every key of customers \(402\)"):
            layer(shop, "bronze", 3)


def test_what_a_detached_partition_took_along_is_gone(shop: SmallShop) -> None:
    with closing(Database(shop.source, "source", SourceError)) as database:
        # The publication is made again, as it follows the table that was there.
        shop.write(shop.source, "alter table order_items rename to lines;"
                                "create table order_items (like lines) partition by list (order_item_id);"
                                "drop table lines cascade;"
                                "create table one partition of order_items for values in ('I1', 'I2');"
                                "create table rest partition of order_items default;"
                                "alter table one replica identity full; alter table rest replica identity full")  # fmt: skip
        prepare(database, LiveSettings.model_construct(), TABLES, "lakehouse_live", "correct horse")
    for n in (1, 2, 3):
        live(shop, n)
    shop.write(shop.source, "alter table order_items detach partition one")
    live(shop, 4)
    gone = [row["order_item_id"] for row in shop.pipeline.bronze("order_items") if row["_deleted"]]
    assert sorted(gone) == ["I1", "I2"]


def test_after_a_slot_that_was_made_again_keys_are_compared_once(shop: SmallShop) -> None:
    for n in (1, 2):
        live(shop, n)
    with closing(Database(shop.source, "source", SourceError)) as database:
        slot.drop(database, SLOT)
        shop.write(shop.source, "delete from order_items where order_item_id = 'I1'")  # nobody is told of it
        with pytest.raises(SourceError, match="has no replication slot lakehouse"):
            live(shop, 3)
        slot.make(database, SLOT)
    layer(shop, "bronze", 3)
    assert [row["order_item_id"] for row in shop.pipeline.bronze("order_items") if row["_deleted"]] == ["I1"]


def test_from_a_slot_back_to_comparing_and_to_it_again_nothing_is_missed(shop: SmallShop) -> None:
    for n in (1, 2):
        live(shop, n)
    for n, by in ((3, "compare"), (4, "compare"), (5, "slot"), (6, "slot")):
        shop.lakehouse.settings = shop.lakehouse.settings.model_copy(update={"cdc": by})
        shop.write(shop.source, f"delete from order_items where order_item_id = 'I{n - 2}'")
        live(shop, n)
    gone = [row["order_item_id"] for row in shop.pipeline.bronze("order_items") if row["_deleted"]]
    assert sorted(gone) == ["I1", "I2", "I3", "I4"]

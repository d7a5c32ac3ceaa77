"""The whole way, with the real programs: from a commit in Postgres to a row in Delta, each of them killed on it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from threading import Thread

import psycopg2
import pytest

from lakehouse.server.embedded import FOLLOWED, EmbeddedPostgres
from tests.conftest import ROOT, passable_folder
from tests.live.trio import Trio

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

WRITES, A_SECOND = 1_500, 100
STAMPS = "now(), now()"


@pytest.fixture
def trio(tmp_path: Path) -> Iterator[Trio]:
    with passable_folder() as home:
        server = EmbeddedPostgres(home, FOLLOWED)
        dsn, gold = server.dsn("shop"), server.dsn("gold")
        with psycopg2.connect(dsn) as connection, connection.cursor() as cursor:
            cursor.execute((ROOT / "samples" / "schema.sql").read_text(encoding="utf-8"))
            # A table of partitions is followed like any other.
            cursor.execute("create table parts (like campaigns including all) partition by hash (campaign_id); "
                           "drop table campaigns; alter table parts rename to campaigns; "
                           "create table one partition of campaigns for values with (modulus 2, remainder 0); "
                           "create table other partition of campaigns for values with (modulus 2, remainder 1); "
                           f"insert into campaigns (campaign_id, created_at, updated_at) select 'K' || n, {STAMPS} "
                           "from generate_series(1, 20) n")  # fmt: skip
            cursor.execute("insert into customers (customer_id, created_at, updated_at) "
                           f"select 'C' || n, {STAMPS} from generate_series(1, 200) n")  # fmt: skip
        connection.close()
        trio = Trio(tmp_path, dsn, gold)
        try:
            yield trio
        finally:
            trio.close()
            server.stop()


class Shop(Thread):
    """Writes for itself, each a transaction: lines that come, change and go, and one TRUNCATE."""

    def __init__(self, dsn: str) -> None:
        super().__init__(daemon=True)
        self.dsn, self.done = dsn, 0

    def run(self) -> None:
        connection = psycopg2.connect(self.dsn)
        connection.autocommit = True
        began = time.monotonic()
        with connection.cursor() as cursor:
            for n in range(WRITES):
                cursor.execute(self._write(n))
                self.done = n + 1
                time.sleep(max(0.0, began + self.done / A_SECOND - time.monotonic()))
        connection.close()

    @staticmethod
    def _write(n: int) -> str:
        if n == WRITES // 2:
            return "truncate inventory"
        if n % 10 == 7:
            return f"delete from order_items where order_item_id = 'L{n - 6}'"
        if n % 10 in (4, 8):
            return f"update order_items set quantity = {n}, updated_at = now() where order_item_id = 'L{n - 2}'"
        if n % 10 == 5:
            return f"update customers set city = 'Town {n}', updated_at = now() where customer_id = 'C{n % 200 + 1}'"
        if n % 100 == 19:
            return f"update campaigns set channel = 'c{n}', updated_at = now() where campaign_id = 'K{n // 100 + 1}'"
        if n % 10 == 9:
            return f"insert into inventory (product_id, warehouse_id, quantity_on_hand, created_at, updated_at) " \
                   f"values ('P{n}', 'W1', {n}, {STAMPS}) on conflict do nothing"  # fmt: skip
        return "insert into order_items (order_item_id, order_id, quantity, unit_price, discount, created_at, updated_at) " \
               f"values ('L{n}', 'O{n // 10}', {n}, {n}.1234, 0, {STAMPS})"  # fmt: skip


def test_delta_equals_postgres_row_for_row_whoever_is_killed_on_the_way(trio: Trio) -> None:
    trio.prepare()
    trio.start("kafka")
    started = {"kafka": trio.wait(trio.listens, "the broker")}
    trio.start("connect")
    started["connect"] = trio.wait(trio.follows, "Debezium's task")
    trio.start("live")
    for method, path in (("PUT", "connectors/other/config"), ("POST", "connectors"), ("DELETE", "connectors/lakehouse"),
                         ("PUT", "connectors/lakehouse/pause"), ("PUT", "admin/loggers/root")):  # fmt: skip
        assert trio.refuses(method, path), f"Connect takes {method} {path}"
    started["live"] = trio.wait(trio.equal, "the snapshot in Delta")
    assert trio.listeners() <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}

    shop, retained, caught = Shop(trio.dsn), 0, False
    shop.start()
    trio.wait(lambda: shop.done >= 400, "400 writes")
    trio.kill("connect")
    trio.start("connect")
    trio.wait(lambda: shop.done >= 800, "800 writes")
    caught = kill_behind_its_merge(trio)
    trio.start("live")
    trio.wait(lambda: shop.done >= 1_200, "1,200 writes")
    trio.kill("kafka")
    trio.start("kafka")
    retained = max(retained, trio.retained())
    shop.join()
    behind = trio.wait(trio.equal, "all rows in Delta", 300)
    assert trio.follows()
    latency = trio.latencies("order_items")
    retained = max(retained, trio.retained())
    print({  # noqa: T201 - the figures are what this test is for
        "started": {name: round(seconds, 1) for name, seconds in started.items()}, "writes": shop.done,
        "killed_between_merge_and_its_note": caught, "seconds_to_equal_after_the_last_write": round(behind, 1),
        "latency_min_median_max": [round(latency[0], 1), round(median(latency), 1), round(latency[-1], 1)],
        "retained_mb": round(retained / 1e6, 1),
    })  # fmt: skip
    assert retained < 128_000_000
    assert trio.listeners() <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    for name in ("kafka", "connect", "live"):
        log = (trio.folder / f"{name}.log").read_text(encoding="utf-8")
        assert "Town " not in log, f"{name}'s log quotes a row"


def kill_behind_its_merge(trio: Trio) -> bool:
    """Kills the stream as soon as a merge is in Delta's log; whether Spark had then not noted its batch as done."""
    folder = trio.path("order_items") / "_delta_log"
    before, deadline = len(list(folder.glob("*.json"))), time.monotonic() + 120
    while len(list(folder.glob("*.json"))) == before and time.monotonic() < deadline:
        time.sleep(0.001)
    trio.kill("live")
    (checkpoint,) = (trio.home / "live").glob("checkpoint-*")
    begun, noted = (
        {int(f.name) for f in (checkpoint / n).iterdir() if f.name.isdigit()} for n in ("offsets", "commits")
    )
    return max(begun) > max(noted)

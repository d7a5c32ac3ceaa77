"""What readers see of a publish, what a failed gate leaves alone, and what nobody may read anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from lakehouse.errors import GateError
from tests.e2e.lakehouse import RealPipeline

pytestmark = pytest.mark.e2e
SCHEMA = (Path(__file__).parent.parent.parent / "samples" / "schema.sql").read_text()
DAY_1, DAY_2, DAY_3 = date(2020, 1, 1), date(2020, 1, 2), date(2020, 1, 3)
# Every text of the shop holds the mark: wherever it turns up, a value has leaked.
MARK = "xyzzy"
FIRST_DAY = f"""
insert into customers (customer_id, first_name, last_name, email, phone, city, created_at, updated_at)
    select 'C{MARK}' || n, 'Ada{MARK}', 'L{MARK}', '{MARK}' || n || '@example.org', '+4912345', 'City{MARK}',
           '2020-01-01', '2020-01-01' from generate_series(1, 2) n;
insert into products (product_id, product_name, category, price, cost, is_active, created_at, updated_at)
    values ('P{MARK}', 'Tea {MARK}', 'Drinks {MARK}', 4, 1, true, '2020-01-01', '2020-01-01');
insert into orders (order_id, customer_id, status, ordered_at, created_at, updated_at)
    select 'O{MARK}' || n, 'C{MARK}' || 1 + n % 2, 'completed', '2020-01-01', '2020-01-01', '2020-01-01'
    from generate_series(1, 40) n;
insert into order_items (order_item_id, order_id, product_id, quantity, unit_price, unit_cost, created_at, updated_at)
    select 'I{MARK}' || n, 'O{MARK}' || n, case n when 7 then 'gone {MARK}' else 'P{MARK}' end, n, 4, 1,
           '2020-01-01', '2020-01-01' from generate_series(1, 40) n;
"""
# 150 lines of a product that nobody has heard of: more than a hundred, and all of their batch.
ORPHANS = f"""
insert into order_items (order_item_id, order_id, product_id, quantity, unit_price, unit_cost, created_at, updated_at)
    select 'J{MARK}' || n, 'O{MARK}1', 'late {MARK}', 1, 2, 1, '2020-01-02', '2020-01-02' from generate_series(1, 150) n;
"""
# 1 + 2 + … + 40 without the 7 of a product that is gone, at 4 each.
SOLD = (820 - 7) * 4
PARENT = f"""
insert into products (product_id, product_name, price, cost, is_active, created_at, updated_at)
    values ('late {MARK}', 'Cup {MARK}', 2, 1, true, '2020-01-03', '2020-01-03');
"""


class Shop:
    """A shop whose first day is published."""

    def __init__(self, postgres: Any, name: str, lake: Path) -> None:
        self.source, self.gold = (postgres.create_database(f"publish_{role}_{name}") for role in ("source", "gold"))
        self.write(SCHEMA, FIRST_DAY)
        self.lake = lake
        self.pipeline = RealPipeline(self.source, self.gold, lake)
        self.pipeline.run_day(DAY_1)

    def write(self, *scripts: str) -> None:
        with closing(psycopg2.connect(self.source)) as connection, connection, connection.cursor() as cursor:
            cursor.execute("set timezone = 'UTC'")
            for script in scripts:
                cursor.execute(script)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        with closing(psycopg2.connect(self.gold)) as connection, connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()

    def everything(self) -> list[list[tuple[Any, ...]]]:
        """All rows of gold, technical columns and Postgres's own row versions included."""
        tables = sorted(t for (t,) in self.ask("select tablename from pg_tables where schemaname = 'gold'"))
        return [self.ask(f"select t.xmin::text, t.* from gold.{t} t order by t::text") for t in tables]

    def versions(self) -> dict[str, Any]:
        return {layer: self.pipeline.lakehouse.ledger.published(layer) for layer in ("silver", "quarantine", "gold")}


@pytest.fixture(scope="module")
def shop(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """One shop for the file: its second day is refused by the first test, and published with the third by the second."""
    made = Shop(postgres, "story", tmp_path_factory.mktemp("publish"))
    yield made
    made.pipeline.lakehouse.gold_database.close()
    made.pipeline.lakehouse.source.database.close()


@pytest.mark.fault("F24")
def test_a_failed_gate_leaves_versions_and_gold_alone_and_shows_no_value_and_no_secret(
    shop: Shop, capfd: pytest.CaptureFixture[str]
) -> None:
    gold, versions = shop.everything(), shop.versions()
    shop.write(ORPHANS)
    with pytest.raises(GateError, match=r"silver\.order_items quarantined_share \(150 of 150 rows\)") as refused:
        shop.pipeline.run_day(DAY_2)
    assert (shop.everything(), shop.versions()) == (gold, versions)
    assert shop.ask("select layer, state from ops.runs order by seq desc limit 1") == [("silver", "failed")]
    told = "select severity, unexpected from ops.quality_results where rule = 'quarantined_share' and not success"
    assert shop.ask(told) == [("critical", 150)]

    tables = [t for (t,) in shop.ask("select tablename from pg_tables where schemaname = 'ops'")]
    places = {
        "streams": "".join(capfd.readouterr()) + str(refused.value),
        "pages": "".join(
            # But for the report: it is for the business, and names its products.
            p.read_text()
            for p in (shop.lake / "home" / "data-docs").rglob("*.html")
            if p.parent.name != "report"
        ),
        "ledger": str([shop.ask(f"select * from ops.{t}") for t in tables]),
    }
    password = psycopg2.extensions.parse_dsn(shop.gold)["password"]
    for place, text in places.items():
        assert "order_items" in text, place
        assert MARK not in text.lower(), place
        assert password not in text, place


def test_fixed_it_is_published_whole_while_readers_keep_their_moment_and_their_views(shop: Shop) -> None:
    with closing(psycopg2.connect(shop.gold)) as own, own, own.cursor() as cursor:
        cursor.execute(
            "create schema mine; create view mine.best as select sum(net_sales) as n from gold.fact_daily_sales"
        )
    with closing(psycopg2.connect(shop.gold)) as reader:
        reader.set_session(isolation_level="REPEATABLE READ", readonly=True)
        with reader.cursor() as cursor:
            cursor.execute("select n from mine.best")
            before = cursor.fetchone()
            shop.write(PARENT)
            shop.pipeline.run_day(DAY_3)  # would wait for ever if it locked more than rows
            cursor.execute("select n from mine.best")
            assert cursor.fetchone() == before == (SOLD,)
    assert shop.ask("select n from mine.best") == [(SOLD + 150 * 2,)]

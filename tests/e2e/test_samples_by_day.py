"""Real sales, day by day and in one go: the control totals after each day, and at the end the same content."""

from __future__ import annotations

from contextlib import closing
from datetime import date, timedelta
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from pyspark.sql import functions as F

from lakehouse.frame.published import published_frame
from tests.content_hash import content_hash
from tests.e2e.lakehouse import RealPipeline

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(2400)]
FIRST, LAST = date(2011, 11, 30), date(2011, 12, 9)
# Rows of fact_daily_sales, fact_customer_orders and dim_customers, and net sales, computed from the data set's own
# files without Spark. 2011-12-03 has no file: the shop was closed, and nothing changes.
TOTALS = {
    date(2011, 11, 30): (268_907, 24_885, 4_332, "9336204.0440"),
    date(2011, 12, 1): (270_181, 25_054, 4_335, "9387614.9940"),
    date(2011, 12, 2): (271_510, 25_196, 4_342, "9444701.0540"),
    date(2011, 12, 3): (271_510, 25_196, 4_342, "9444701.0540"),
    date(2011, 12, 4): (272_551, 25_268, 4_347, "9469266.8340"),
    date(2011, 12, 5): (274_306, 25_419, 4_354, "9527018.1540"),
    date(2011, 12, 6): (275_743, 25_568, 4_363, "9581246.5240"),
    date(2011, 12, 7): (276_865, 25_706, 4_368, "9656322.7440"),
    date(2011, 12, 8): (278_527, 25_851, 4_372, "9737740.5240"),
    date(2011, 12, 9): (279_601, 25_900, 4_373, "9769872.0540"),
}
# Of online_retail and of foodmart after their last day, by the rules of the gold tables, computed without Spark.
HASHES = {
    "dim_products": (3_958, 2284952283407414704040),
    "dim_customers": (4_373, 2515642858819266870934),
    "fact_daily_sales": (279_601, 161216732917863908860870),
    "fact_customer_orders": (25_900, 14871018640534905819101),
    "agg_campaign_performance": (0, 0),
    "agg_inventory_status": (0, 0),
}
FOODMART = {
    "dim_products": (1_560, 907431607782013730628),
    "dim_customers": (10_282, 5853763157366006850785),
    "fact_daily_sales": (92_484, 53122811477550276264276),
    "fact_customer_orders": (24_311, 14047912610183038939930),
    "agg_campaign_performance": (1_863, 1073622293699651907267),
    "agg_inventory_status": (9_084, 5252612470909314355926),
}
Hashes = dict[str, tuple[int, int]]


class Sample:
    """A sample shop as of a day, and the lakehouse on it."""

    def __init__(self, postgres: Any, name: str, how: str, lake: Path, until: date) -> None:
        self.source, self.gold = (postgres.create_database(f"{name}_{role}_{how}") for role in ("source", "gold"))
        self.shop = entry_points(group="lakehouse.samples")[name].load()
        self.shop.load(self.source, until, lambda _: None)
        self.pipeline = RealPipeline(self.source, self.gold, lake)

    def totals(self) -> tuple[Any, ...]:
        with closing(psycopg2.connect(self.gold)) as connection, connection.cursor() as cursor:
            cursor.execute(
                "select (select count(*) from gold.fact_daily_sales), (select count(*) from gold.fact_customer_orders), "
                "(select count(*) from gold.dim_customers), (select sum(net_sales)::text from gold.fact_daily_sales)"
            )
            return tuple(cursor.fetchone() or ())

    def hashes(self) -> tuple[Hashes, Hashes]:
        """Of every gold and every silver table: rows, and a hash of what they hold in any order."""
        contracts = self.pipeline.lakehouse.contracts
        with closing(psycopg2.connect(self.gold)) as connection, connection.cursor() as cursor:
            gold = {
                t: content_hash(cursor, f"gold.{t}", {col.name: col.type for col in c.columns})
                for t, c in contracts["gold"].items()
            }
        silver = {}
        for table, contract in contracts["silver"].items():
            frame = published_frame(self.pipeline.lakehouse, "silver", table)
            digest = F.sum(F.xxhash64(*contract.names).cast("decimal(38,0)"))
            row = frame.agg(F.count(F.lit(1)), F.coalesce(digest, F.lit(0))).first()
            assert row is not None
            silver[table] = (int(row[0]), int(row[1]))
        return gold, silver


@pytest.fixture(scope="module")
def by_day(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The shop as of its first day, then every following day; each run is repeated at once."""
    sample = Sample(postgres, "online_retail", "by_day", tmp_path_factory.mktemp("by-day"), FIRST)
    told: dict[str, Any] = {"totals": {}, "repeated": {}}
    day = FIRST
    while day <= LAST:
        sample.shop.advance(sample.source, day, lambda _: None)
        states = [o.state for o in sample.pipeline.run_day(day)]
        assert states[0] == "published"
        told["totals"][day] = sample.totals()
        before = {layer: sample.pipeline.lakehouse.ledger.published(layer) for layer in ("bronze", "silver", "gold")}
        again = [o.state for o in sample.pipeline.run_day(day)]
        after = {layer: sample.pipeline.lakehouse.ledger.published(layer) for layer in ("bronze", "silver", "gold")}
        told["repeated"][day] = (again, before == after)
        day += timedelta(days=1)
    told["hashes"] = sample.hashes()
    return told


@pytest.mark.parametrize("day", TOTALS, ids=str)
def test_each_day_ends_at_its_control_totals(by_day: dict[str, Any], day: date) -> None:
    assert by_day["totals"][day] == TOTALS[day]


@pytest.mark.parametrize("day", TOTALS, ids=str)
def test_a_repeated_day_is_covered_and_changes_no_version(by_day: dict[str, Any], day: date) -> None:
    assert by_day["repeated"][day] == (["covered"] * 3, True)


def test_day_by_day_ends_where_one_go_does(
    by_day: dict[str, Any], postgres: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    sample = Sample(postgres, "online_retail", "one_go", tmp_path_factory.mktemp("one-go"), LAST)
    sample.pipeline.run_day(LAST)
    gold, silver = sample.hashes()
    assert gold == by_day["hashes"][0] == HASHES
    assert silver == by_day["hashes"][1]
    assert silver["order_items"][0] == 541_907


def test_the_sample_with_all_six_tables_ends_at_its_known_content(
    postgres: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    last = date(1998, 12, 30)
    sample = Sample(postgres, "foodmart", "one_go", tmp_path_factory.mktemp("foodmart"), last)
    sample.pipeline.run_day(last)
    assert sample.hashes()[0] == FOODMART

"""Bronze on a real source: one snapshot, windows and marks, late commits, drift, and a role that may only read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from lakehouse.business_date import BusinessDate
from lakehouse.contracts import LAYERS, Contracts
from lakehouse.contracts.types import holds
from lakehouse.errors import DriftError, SourceError, UsageError
from lakehouse.layers import bronze, bronze_gate
from lakehouse.records import Outcome, Window
from lakehouse.runs import day as days
from lakehouse.source import postgres as postgres_source
from lakehouse.source.postgres import Snapshot, Standing
from tests.e2e.lakehouse import RealPipeline

pytestmark = pytest.mark.e2e
SCHEMA = (Path(__file__).parent.parent.parent / "samples" / "schema.sql").read_text()
CUSTOMER = "insert into customers (customer_id, city, created_at, updated_at) values (%s, %s, %s, %s)"


class Shop:
    """A source with a few customers, and the lakehouse on it."""

    def __init__(self, postgres: Any, name: str, lake: Path) -> None:
        self.source = postgres.create_database(f"{name}_source")
        with closing(psycopg2.connect(self.source)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(SCHEMA)
        self.lakehouse = RealPipeline(self.source, postgres.create_database(f"{name}_gold"), lake)
        self.lakehouse.lakehouse.spark.conf.set("spark.sql.session.timeZone", "UTC")

    def session(self) -> Any:
        return psycopg2.connect(self.source)

    def write(self, key: str, stamp: str, city: str = "", connection: Any = None) -> None:
        own = connection or self.session()
        with own.cursor() as cursor:
            cursor.execute(CUSTOMER, (key, city, stamp, stamp))
        if connection is None:
            own.commit()
            own.close()

    def bring(self, day: str, *, replaces: bool = False) -> Outcome:
        business_date = BusinessDate(date.fromisoformat(day), self.lakehouse.lakehouse.settings.zone)
        return bronze.run(self.lakehouse.lakehouse, business_date, replaces=replaces)

    def held(self) -> list[tuple[str, str]]:
        """Each image bronze holds: key and the day it lies in."""
        rows = self.lakehouse.bronze("customers")
        return sorted((r["customer_id"], f"{r['year']}-{r['month']}-{r['day']}") for r in rows)


@pytest.fixture
def shop(postgres: Any, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Shop]:
    made = Shop(postgres, request.node.name.lower()[:40].replace("[", "_").replace("]", "_"), tmp_path)
    yield made
    made.lakehouse.lakehouse.gold_database.close()
    made.lakehouse.lakehouse.source.database.close()


def test_days_bring_their_windows_and_late_commits_come_with_the_next_run(shop: Shop) -> None:
    shop.lakehouse.lakehouse.spark.catalog.clearCache()  # of what other tests keep
    shop.write("before", "2020-01-01 10:00+00")
    shop.write("own-day", "2020-01-03 00:00+00")
    # Three sessions that stamp before the window's end and commit after its snapshot.
    wrote, savepoint, had_only_read = shop.session(), shop.session(), shop.session()
    shop.write("late", "2020-01-02 23:00+00", connection=wrote)
    with savepoint.cursor() as cursor:
        # The row's transaction is the savepoint's own, which no snapshot lists.
        cursor.execute("create temporary table t (x int); savepoint s")
    shop.write("late-savepoint", "2020-01-02 23:30+00", connection=savepoint)
    shop.write("seen", "2020-01-02 12:00+00")
    with had_only_read.cursor() as cursor:
        cursor.execute("select count(*) from customers")

    shop.bring("2020-01-02")
    assert shop.held() == [("before", "2020-01-02"), ("seen", "2020-01-02")]

    shop.write("late-reader", "2020-01-02 23:59+00", connection=had_only_read)
    for session in (wrote, savepoint, had_only_read):
        session.commit()
        session.close()
    shop.bring("2020-01-03")
    assert shop.held() == [
        ("before", "2020-01-02"),
        ("late", "2020-01-03"),
        ("late-reader", "2020-01-03"),
        ("late-savepoint", "2020-01-03"),
        ("own-day", "2020-01-03"),
        ("seen", "2020-01-02"),
    ]

    # A day below the mark changes nothing and says who covered it; an empty day is a day.
    covered = shop.bring("2020-01-01")
    assert (covered.state, "covered by the run of 2020-01-02" in covered.message) == ("covered", True)
    # Delta makes no commit of no rows; the rows of the commit before are not this day's.
    empty = shop.bring("2020-01-04")
    assert (empty.state, empty.message) == ("published", "0 rows of 6 tables")
    assert len(shop.held()) == 6

    # Replacing keeps the image that the source has overwritten since, and adds what the window holds now.
    with closing(shop.session()) as connection, connection, connection.cursor() as cursor:
        cursor.execute("update customers set city = 'X', updated_at = '2020-01-02 13:00+00' where customer_id = 'seen'")
    shop.bring("2020-01-02", replaces=True)
    assert [key for key, day in shop.held() if day == "2020-01-02"] == ["before", "seen", "seen"]
    assert len(shop.held()) == 7

    # What a replaced day brings is not brought again as late: an image is in bronze once.
    shop.write("stamped-early", "2020-01-04 12:00+00")
    shop.bring("2020-01-04", replaces=True)
    shop.bring("2020-01-05")
    assert [day for key, day in shop.held() if key == "stamped-early"] == ["2020-01-04"]
    # A session that runs many days must not hold the late rows of all of them.
    shared = shop.lakehouse.lakehouse.spark._jsparkSession.sharedState()
    assert shared.cacheManager().isEmpty()


def test_what_postgres_breaks_off_while_spark_reads_is_an_error_of_the_source(shop: Shop) -> None:
    with closing(shop.session()) as connection, connection, connection.cursor() as cursor:
        cursor.execute("alter table products rename to stock")
        cursor.execute("create view products as select product_id, product_name, category, brand, (1 / (price - price))::numeric"
                       "(12,4) as price, cost, is_active, created_at, updated_at from stock")  # fmt: skip
        cursor.execute("insert into stock (product_id, price, is_active, created_at, updated_at) "
                       "values ('secret-tea', 4, true, '2020-01-01', '2020-01-01')")  # fmt: skip
    with pytest.raises(SourceError, match=r"refused a value while public\.products was read \(\S+ 22012\)") as refused:
        shop.bring("2020-01-02")
    assert "secret-tea" not in str(refused.value)


def test_a_role_whose_sessions_may_not_idle_can_still_bring_a_day(shop: Shop) -> None:
    shop.write("before", "2020-01-01 10:00+00")
    with closing(shop.session()) as connection, connection, connection.cursor() as cursor:
        cursor.execute("alter database " + shop.lakehouse.lakehouse.source.database.name
                       + " set idle_in_transaction_session_timeout = '500ms'")  # fmt: skip
    assert shop.bring("2020-01-02").state == "published"


def test_a_type_with_a_length_or_precision_is_no_drift() -> None:
    assert holds("timestamptz", "timestamp(3) with time zone")
    assert holds("text", "character varying(20)")
    assert not holds("timestamptz", "timestamp(3) without time zone")


@pytest.mark.fault("F14")
def test_a_row_committed_after_the_snapshot_is_not_seen_by_any_of_its_readers(shop: Shop) -> None:
    shop.write("before", "2020-01-01 10:00+00")
    house = shop.lakehouse.lakehouse
    end = BusinessDate(date(2020, 1, 2), house.settings.zone).end
    with house.source.snapshot() as snapshot:
        frame = snapshot.frame(house.spark, house.contracts["bronze"]["customers"], {}, Window(None, end))
        shop.write("after", "2020-01-01 11:00+00")
        assert [r["customer_id"] for r in frame.collect()] == ["before"]


@pytest.mark.fault("F22")
def test_every_difference_of_the_schema_is_named_at_once_and_nothing_is_written(shop: Shop) -> None:
    with closing(shop.session()) as connection, connection, connection.cursor() as cursor:
        cursor.execute("alter table customers rename column city to town")
        cursor.execute("alter table products alter column price type text")
    with pytest.raises(DriftError) as refused:
        shop.bring("2020-01-02")
    for words in ("customers.city is missing", "products.price is text, not numeric(12,4)"):
        assert words in str(refused.value)
    assert shop.lakehouse.lakehouse.ledger.published("bronze") == {}
    assert [r["state"] for r in shop.lakehouse.lakehouse.ledger.recent()] == ["failed"]


def test_a_role_that_may_only_select_is_enough_and_one_that_may_not_is_told(shop: Shop) -> None:
    with closing(shop.session()) as connection, connection, connection.cursor() as cursor:
        cursor.execute("drop role if exists reader")
        cursor.execute("create role reader login password 'only-reads'")
        cursor.execute("grant select on customers, products, orders, order_items, inventory to reader")
    as_reader = shop.source.replace(shop.source.split("//")[1].split("@")[0], "reader:only-reads")
    shop.write("before", "2020-01-01 10:00+00")
    other = RealPipeline(as_reader, shop.lakehouse.lakehouse.dsn("gold"), shop.lakehouse.lakehouse.settings.home.parent)
    day = BusinessDate(date(2020, 1, 2), other.lakehouse.settings.zone)
    with pytest.raises(SourceError, match=r"may not read public\.campaigns") as refused:
        days.run(other.lakehouse, "bronze", day)
    assert "only-reads" not in str(refused.value)
    with closing(shop.session()) as connection, connection, connection.cursor() as cursor:
        cursor.execute("grant select on campaigns to reader")
    assert days.run(other.lakehouse, "bronze", day)[0].state == "published"
    with closing(shop.session()) as connection, connection, connection.cursor() as cursor:
        cursor.execute("drop owned by reader; drop role reader")


def test_a_column_that_the_contract_gained_is_null_in_what_was_published_before(shop: Shop) -> None:
    shop.write("before", "2020-01-01 10:00+00")
    shop.bring("2020-01-02")
    house = shop.lakehouse.lakehouse
    contract = house.contracts["bronze"]["customers"]
    loyalty = contract.column("city").model_copy(update={"name": "loyalty"})
    gained = contract.model_copy(update={"columns": (*contract.columns, loyalty)})
    house.contracts = Contracts([*(c for t, c in house.contracts["bronze"].items() if t != "customers"), gained])
    assert [(r["customer_id"], r["loyalty"]) for r in shop.lakehouse.bronze("customers")] == [("before", None)]


def evolving(shop: Shop, table: str) -> None:
    """Lets a table's contract bring new columns."""
    house = shop.lakehouse.lakehouse
    changed = house.contracts["bronze"][table].model_copy(update={"drift_policy": "evolve"})
    house.contracts = Contracts(
        [*(c for layer in LAYERS for c in house.contracts[layer].values() if c.id != changed.id), changed]
    )


def test_a_row_that_is_touched_every_night_before_the_run_arrives_with_yesterday_and_again_with_its_own_day(
    shop: Shop,
) -> None:
    now = datetime.now(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    yesterday, before = midnight.date() - timedelta(days=1), midnight.date() - timedelta(days=2)
    stock = "insert into inventory (product_id, warehouse_id, quantity_on_hand, created_at, updated_at) values (%s, 'W', 1, %s, %s)"

    def made(product: str, created: datetime, updated: datetime) -> None:
        with closing(shop.session()) as connection, connection, connection.cursor() as cursor:
            cursor.execute(stock, (product, created, updated))

    def held() -> list[tuple[str, str]]:
        rows = shop.lakehouse.bronze("inventory")
        return sorted((r["product_id"], f"{r['year']}-{r['month']}-{r['day']}") for r in rows)

    made("plain", midnight - timedelta(days=3), midnight - timedelta(days=3))
    made("touched", midnight - timedelta(days=3), midnight)
    made("of today", midnight, midnight)
    # A day that is not the newest brings its window alone.
    shop.bring(str(before))
    assert held() == [("plain", str(before))]
    shop.bring(str(yesterday))
    assert held() == [("plain", str(before)), ("touched", str(yesterday))]
    # Replaced, the day does not bring it twice.
    shop.bring(str(yesterday), replaces=True)
    assert len(held()) == 2
    # Its own day, for which the source's clock says that it is over, brings it again, and what was made then.
    later = partial(later_clock, by=timedelta(days=1))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(postgres_source, "Standing", later)
        shop.bring(str(midnight.date()))
    assert held() == [
        ("of today", str(midnight.date())),
        ("plain", str(before)),
        ("touched", str(yesterday)),
        ("touched", str(midnight.date())),
    ]


def later_clock(clock: datetime, *rest: Any, by: timedelta) -> Standing:
    return Standing(clock + by, *rest)


def test_a_day_that_is_not_over_by_the_clock_of_the_source_is_refused(shop: Shop) -> None:
    with pytest.raises(UsageError, match="not over by the clock of the source database"):
        shop.bring(str(datetime.now(UTC).date()))
    assert shop.lakehouse.lakehouse.ledger.published("bronze") == {}


def test_what_an_attached_partition_makes_visible_comes_once_with_the_next_run(shop: Shop) -> None:
    with closing(shop.session()) as connection, connection, connection.cursor() as cursor:
        cursor.execute("alter table customers rename to plain")
        cursor.execute("create table customers (like plain) partition by range (created_at)")
        cursor.execute(
            "create table customers_1 partition of customers for values from ('2020-01-01') to ('2020-01-02')"
        )
        cursor.execute("create table customers_2 (like customers)")
        cursor.execute(
            "insert into customers_1 (customer_id, created_at, updated_at) values ('a', '2020-01-01', '2020-01-01')"
        )
        cursor.execute(
            "insert into customers_2 (customer_id, created_at, updated_at) values ('b', '2020-01-02', '2020-01-02')"
        )
    shop.bring("2020-01-02")
    shop.bring("2020-01-03")
    assert shop.held() == [("a", "2020-01-02")]
    with closing(shop.session()) as connection, connection, connection.cursor() as cursor:
        cursor.execute(
            "alter table customers attach partition customers_2 for values from ('2020-01-02') to ('2020-01-03')"
        )
    # By then its rows lie before the look-back.
    for day in ("2020-01-05", "2020-01-06"):
        shop.bring(day)
        assert shop.held() == [("a", "2020-01-02"), ("b", "2020-01-05")]


@pytest.mark.fault("F22")
def test_a_column_that_came_by_evolving_widens_and_one_that_cannot_is_named(shop: Shop) -> None:
    evolving(shop, "customers")
    # More decimals than digits, as Postgres allows.
    change(shop, "alter table customers add points integer, add weight numeric(8,2), add odd numeric(3,5)")
    insert = "insert into customers (customer_id, points, weight, odd, created_at, updated_at) values "
    change(shop, insert + "('a', 7, 1.25, 0.00123, '2020-01-01', '2020-01-01')")
    shop.bring("2020-01-02")
    change(shop, "alter table customers alter points type bigint, alter weight type numeric(12,4)")
    change(shop, insert + "('b', 5000000000, 1.2345, null, '2020-01-03', '2020-01-03')")
    shop.bring("2020-01-03")
    found = {
        r["customer_id"]: (r["points"], str(r["weight"]), str(r["odd"])) for r in shop.lakehouse.bronze("customers")
    }
    assert found == {"a": (7, "1.2500", "0.00123"), "b": (5_000_000_000, "1.2345", "None")}

    # Narrow again: it is carried as wide as bronze holds it.
    change(shop, "alter table customers alter points type integer using 8, alter weight type numeric(8,2)")
    shop.write("c", "2020-01-04 10:00+00")
    shop.bring("2020-01-04")
    version = shop.lakehouse.lakehouse.lake.head("bronze", "customers")
    change(shop, "alter table customers alter points type text, alter odd type text")
    change(shop, "alter table products alter price type text")
    with pytest.raises(DriftError) as refused:
        shop.bring("2020-01-05")
    for words in (
        "customers.points is text now, and bronze holds it as bigint",
        "customers.odd is text now, and bronze holds it as numeric(5,5)",
        "products.price is text, not numeric(12,4)",
    ):
        assert words in str(refused.value)
    assert shop.lakehouse.lakehouse.lake.head("bronze", "customers") == version


def change(shop: Shop, statement: str) -> None:
    with closing(shop.session()) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement)


def test_no_snapshot_of_the_source_is_open_while_gates_run(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[int] = []
    check = bronze_gate.check

    def watched(*arguments: Any) -> Any:
        with closing(shop.session()) as connection, connection.cursor() as cursor:
            cursor.execute("select count(*) from pg_stat_activity where datname = current_database() "
                           "and application_name = 'lakehouse' and (backend_xmin is not null or state like 'idle in%')")  # fmt: skip
            opened.append((cursor.fetchone() or (None,))[0])
        return check(*arguments)

    monkeypatch.setattr(bronze_gate, "check", watched)
    shop.write("before", "2020-01-01 10:00+00")
    shop.bring("2020-01-02")
    assert opened == [0] * 6


def test_a_source_that_breaks_off_while_late_rows_are_read_is_an_error_of_the_source(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.bring("2020-01-02")
    shop.write("late", "2020-01-02 10:00+00")
    broken = "1 / (length(customer_id) * 0) = 1"
    monkeypatch.setattr(
        Snapshot, "late", lambda self, spark, contract, extra, _: self._read(spark, contract, extra, broken, slices=1)
    )
    with pytest.raises(SourceError, match=r"refused a value while public\.customers was read \(\S+ 22012\)"):
        shop.bring("2020-01-03")


def test_an_image_of_a_run_that_never_published_is_not_held_and_a_replacement_hides_no_late_row(shop: Shop) -> None:
    house = shop.lakehouse.lakehouse
    house.settings = house.settings.model_copy(update={"extract_lookback": timedelta(days=3)})
    shop.bring("2020-01-02")
    shop.bring("2020-01-03")
    # Committed after the run of the 3rd and before the 3rd is replaced: that reading does not look below its window.
    shop.write("late", "2020-01-02 23:00+00")
    shop.bring("2020-01-03", replaces=True)
    assert shop.held() == []
    shop.bring("2020-01-04")
    assert shop.held() == [("late", "2020-01-04")]
    # The same image again, but of a run that the ledger does not know.
    with house.gold_database.connection() as connection, connection.cursor() as cursor:
        cursor.execute("update ops.runs set state = 'failed' where business_date = '2020-01-04' and layer = 'bronze'")
    shop.bring("2020-01-05")
    assert shop.held() == [("late", "2020-01-04"), ("late", "2020-01-05")]

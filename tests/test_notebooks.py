"""The notebooks, executed from clean on a real shop of two days, and the reading of published tables that they stand on.

They read with the rights of a role that may only select, from a lake of files and from the same lake in a bucket.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import nbformat
import psycopg2
import pytest
from minio import Minio
from nbclient import NotebookClient
from psycopg2.extensions import parse_dsn
from pydantic import SecretStr
from pyspark.sql import SparkSession

from lakehouse.errors import LedgerError, StoreError, UsageError
from lakehouse.explore import PublishedTables, published
from lakehouse.features.days import MAKE, Step, carry_out
from lakehouse.features.tables import ensure, feature_tables
from lakehouse.live.merge import schema
from lakehouse.settings import Settings
from samples.foodmart import SHOP
from tests.e2e.lakehouse import RealPipeline

pytestmark = pytest.mark.e2e
NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
STORED = sorted(NOTEBOOKS.glob("*.ipynb"))
YESTERDAY, TODAY = date(1997, 3, 1), date(1997, 3, 2)
PERSONAL = {"first_name", "last_name", "full_name", "email", "phone", "_row_md5"}
STATUSES = "select stock_status, count(*) from gold.agg_inventory_status group by 1"
NET_SALES = "select sum(net_sales) from gold.fact_daily_sales"


@dataclass
class Shop:
    """A shop after two days, and what gold said after each."""

    lakehouse: RealPipeline
    lake: Path
    source: str
    gold: str
    reader: str
    before: dict[str, list[tuple[Any, ...]]]
    after: dict[str, list[tuple[Any, ...]]]


def ask(dsn: str, question: str) -> list[tuple[Any, ...]]:
    with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(question)
        return cursor.fetchall() if cursor.description else []


@pytest.fixture(scope="module")
def shop(postgres: Any, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    source, gold = postgres.create_database("notebooks_source"), postgres.create_database("notebooks_gold")
    lake = tmp_path_factory.mktemp("notebooks") / "lake"
    SHOP.load(source, YESTERDAY)
    lakehouse = RealPipeline(source, gold, lake)
    lakehouse.run_day(YESTERDAY)
    before = {question: ask(gold, question) for question in (STATUSES, NET_SALES)}
    SHOP.advance(source, TODAY)
    lakehouse.run_day(TODAY)
    after = {question: ask(gold, question) for question in (STATUSES, NET_SALES)}
    ask(
        gold,
        "create role notebook_reader login password 'only-reads'; grant usage on schema ops to notebook_reader; "
        "grant select on all tables in schema ops to notebook_reader",
    )
    reader = gold.replace(gold.split("//")[1].split("@")[0], "notebook_reader:only-reads")
    yield Shop(lakehouse, lake, source, gold, reader, before, after)
    lakehouse.lakehouse.gold_database.close()
    lakehouse.lakehouse.source.database.close()
    ask(gold, "drop owned by notebook_reader; drop role notebook_reader")


@pytest.fixture(scope="module")
def in_bucket(shop: Shop, minio: Any) -> dict[str, str]:
    """The settings of the same shop with its lake moved to a bucket; the ledger is the same."""
    minio.make_bucket("notebooks")
    client = Minio(f"127.0.0.1:{minio.port}", minio.access_key, minio.secret_key, secure=False)
    for layer in ("bronze", "silver", "quarantine"):
        for file in (f for f in (shop.lake / layer).rglob("*") if f.is_file()):
            client.fput_object("notebooks", f"moved/{file.relative_to(shop.lake)}", str(file))
    return {
        "LAKEHOUSE_LAKE": "s3a://notebooks/moved",
        "AWS_ACCESS_KEY_ID": minio.access_key,
        "AWS_SECRET_ACCESS_KEY": minio.secret_key,
        "AWS_ENDPOINT_URL": minio.endpoint,
    }


@pytest.fixture
def execute(shop: Shop, tmp_path: Path) -> Callable[..., Any]:
    """Runs a notebook in a kernel of its own; returns what an expression is worth at its end."""

    def executed(name: str, expression: str, **settings: str) -> Any:
        notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
        notebook.cells.append(nbformat.v4.new_code_cell(f"import json\nprint(json.dumps({expression}, default=str))"))
        kept = {k: v for k, v in os.environ.items() if k.split("_")[0] not in ("LAKEHOUSE", "AWS", "SPARK", "PYSPARK")}
        environment = {
            **kept,
            "LAKEHOUSE_HOME": str(tmp_path),
            "LAKEHOUSE_LAKE": shop.lake.as_uri(),
            "LAKEHOUSE_GOLD_DSN": shop.reader,
            # Nothing is fetched: what asks the internet fails at once.
            "HTTPS_PROXY": "http://127.0.0.1:9",
            **settings,
        }
        client = NotebookClient(
            notebook, timeout=400, kernel_name="python3", resources={"metadata": {"path": NOTEBOOKS}}
        )
        client.execute(env=environment)
        outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
        assert any("image/png" in output.get("data", {}) for output in outputs), "a notebook shows a picture"
        assert not [o for o in outputs if any("vega" in kind or "javascript" in kind for kind in o.get("data", {}))]
        assert not [column for column in PERSONAL if column in str(outputs)]
        return json.loads("".join(o.text for o in notebook.cells[-1].outputs if o.get("name") == "stdout"))

    return executed


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_a_notebook_is_stored_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [(cell.outputs, cell.execution_count) for cell in code] == [([], None)] * len(code)
    assert len(notebook.cells) > len(code) > 1, "sentences stand between the cells"


def test_every_notebook_is_executed_here() -> None:
    assert [path.stem for path in STORED] == [
        "customer_cohorts",
        "market_basket",
        "repeat_purchase",
        "sales_by_month",
        "stock_status",
        "today_so_far",
    ]


SALES = '[str(versions[-1].business_date), sales["net_sales"].sum(), changes["change"].sum()]'
STOCK = "[dict(now.stock_status.value_counts()), dict(stock(yesterday).stock_status.value_counts())]"


def assert_sales(shop: Shop, found: Any) -> None:
    (((before,),), ((after,),)) = shop.before[NET_SALES], shop.after[NET_SALES]
    assert after != before
    assert found == [str(TODAY), pytest.approx(float(after)), pytest.approx(float(after - before))]


def assert_stock(shop: Shop, found: Any) -> None:
    now, yesterday = ({status: int(n) for status, n in counts.items()} for counts in found)
    assert now == dict(shop.after[STATUSES])
    assert yesterday == dict(shop.before[STATUSES])
    assert now != yesterday


def test_sales_by_month_are_golds_today_and_yesterday(shop: Shop, execute: Callable[..., Any]) -> None:
    assert_sales(shop, execute("sales_by_month", SALES))


def test_stock_statuses_are_golds_today_and_yesterday(shop: Shop, execute: Callable[..., Any]) -> None:
    assert_stock(shop, execute("stock_status", STOCK))


def test_customer_cohorts_are_those_of_the_mart(shop: Shop, execute: Callable[..., Any]) -> None:
    found = execute("customer_cohorts", 'cohorts[["cohort", "months_since", "customers"]].values.tolist()')
    mart = ask(
        shop.gold,
        "select to_char(cohort_month, 'YYYY-MM'), months_since, customers from marts.customer_cohorts "
        "where customers > 0 order by 1, 2",
    )
    assert [tuple(row) for row in found] == mart
    assert len(mart) == 6


def test_market_basket_counts_the_pairs_of_the_source(shop: Shop, execute: Callable[..., Any]) -> None:
    columns = '["product_a", "product_b", "baskets", "lift"]'
    (a, b, baskets, lift), *_ = execute("market_basket", f"pairs[{columns}].values.tolist()[:1]")
    lines = "order_items join orders using (order_id) where quantity > 0 and status not in ('pending', 'cancelled')"
    holding = f"select count(distinct order_id) from {lines} and product_id = '%s'"
    both = ask(shop.source, f"select count(*) from (select order_id from {lines} and product_id in ('{a}', '{b}') "
                            "group by order_id having count(distinct product_id) = 2) b")  # fmt: skip
    all_, of_a, of_b = (
        ask(shop.source, q)[0][0] for q in (f"select count(distinct order_id) from {lines}", holding % a, holding % b)
    )
    assert baskets == both[0][0]
    assert lift == pytest.approx(baskets * all_ / (of_a * of_b))


@pytest.fixture
def days_of_features(shop: Shop) -> list[date]:
    """Features of three days, 30 apart, which the notebooks' role may read."""
    days = [TODAY - timedelta(days=n) for n in (60, 30, 0)]
    gold, tables = shop.lakehouse.lakehouse.gold_database, feature_tables()
    ensure(gold, parse_dsn(shop.gold)["user"], tables)
    for day in days:
        carry_out(gold, tables, ZoneInfo("UTC"), Step(day, MAKE))
    ask(
        shop.gold,
        "grant usage on schema features to notebook_reader; grant select on all tables in schema features to notebook_reader",
    )
    return days


def test_who_orders_again_is_learned_from_days_whose_orders_are_over_when_the_day_that_judges_begins(
    shop: Shop, days_of_features: list[date], execute: Callable[..., Any]
) -> None:
    said = '[[str(d) for d in days], [str(d) for d in set(train["feature_date"])], len(test), [float(c) for c in chance], truth.tolist(), float(area(chance))]'
    days, learned, judged, chances, came, area = execute("repeat_purchase", said)
    first, second, last = map(str, days_of_features)
    assert days == [first, second]
    assert learned == [first]
    counted = "select distinct customer_id from gold.fact_customer_orders where customer_order_number is not null and order_date"
    [(known,)] = ask(shop.gold, f"select count(*) from ({counted} <= '{second}') k")
    later = f"{counted} > '{second}' and order_date <= '{last}'"
    [(again,)] = ask(shop.gold, f"select count(*) from ({counted} <= '{second}' intersect {later}) a")
    assert (judged, sum(came)) == (known, again)
    assert 0 < again < known
    pairs = [
        (a, b)
        for a, yes in zip(chances, came, strict=True)
        for b, no in zip(chances, came, strict=True)
        if yes and not no
    ]
    assert area == pytest.approx(sum((a > b) + (a == b) / 2 for a, b in pairs) / len(pairs))


@pytest.fixture
def since_the_night(shop: Shop, spark: SparkSession) -> Iterator[str]:
    """A live table of each kind that the notebook reads; a product of the shop that was sold today."""
    contracts = shop.lakehouse.lakehouse.contracts["bronze"]
    [(order,)] = ask(shop.gold, "select order_id from gold.fact_customer_orders order by 1 limit 1")
    [(product, category)] = ask(
        shop.gold, "select product_id, category from gold.dim_products where category is not null order by 1 limit 1"
    )
    noon = datetime(1997, 3, 3, 12, 30, tzinfo=UTC)
    held = {
        "orders": [
            {"order_id": "T1", "status": "completed"},
            {"order_id": "T2", "status": "cancelled"},
            {"order_id": "T3", "_deleted": True, "_op": "d"},
        ],
        "order_items": [
            {
                "order_item_id": "1",
                "order_id": "T1",
                "quantity": 2,
                "unit_price": Decimal("2.5"),
                "discount": Decimal(1),
            },
            {"order_item_id": "2", "order_id": order, "quantity": 1, "unit_price": Decimal(3)},
            {"order_item_id": "3", "order_id": "T2", "quantity": 9, "unit_price": Decimal(9)},
            {"order_item_id": "4", "order_id": "T1", "quantity": 1},
            {"order_item_id": "5", "_deleted": True, "_op": "d"},
            {"_deleted": True, "_op": "t"},
        ],
    }
    for table, rows in held.items():
        shape = schema(contracts[table])
        made = {"_deleted": False, "_op": "c", "_committed_at": noon}
        whole = [
            {**dict.fromkeys(shape.names), "product_id": product, "created_at": noon, **made, **row} for row in rows
        ]
        frame = spark.createDataFrame([tuple(row[n] for n in shape.names) for row in whole], shape)
        frame.write.format("delta").save(str(shop.lake / "live" / table))
    yield category
    shutil.rmtree(shop.lake / "live")


def test_today_so_far_is_what_the_live_tables_and_silver_say_together(
    since_the_night: str, execute: Callable[..., Any]
) -> None:
    said = '[lines[["category", "net_sales"]].values.tolist(), gone.values.tolist()]'
    sold, gone = execute("today_so_far", said)
    assert sorted(sold) == [[since_the_night, 3.0], [since_the_night, 4.0]]
    assert gone == [["orders", 1, False], ["order_items", 1, True]]


def test_without_a_live_layer_a_sentence_says_so(tables: PublishedTables) -> None:
    with pytest.raises(StoreError, match=r"live\.orders cannot be opened at .*: where nothing keeps it, there is none"):
        tables.live("orders")


def test_live_tables_show_no_personal_column_either(since_the_night: str, tables: PublishedTables) -> None:
    assert not PERSONAL & set(tables.live("orders").schema.names)
    assert "_op" in tables.live("orders").schema.names


def test_spark_and_duckdb_read_the_same_lake_from_a_bucket(
    shop: Shop, in_bucket: dict[str, str], execute: Callable[..., Any]
) -> None:
    assert_sales(shop, execute("sales_by_month", SALES, **in_bucket))
    assert_stock(shop, execute("stock_status", STOCK, **in_bucket))


@pytest.fixture
def tables(shop: Shop, tmp_path: Path) -> PublishedTables:
    return published(Settings(home=tmp_path, lake=shop.lake.as_uri(), gold_dsn=SecretStr(shop.reader)))


@pytest.mark.parametrize("table", ["bronze.customers", "silver.customers", "quarantine.customers"])
def test_personal_columns_are_not_shown(tables: PublishedTables, table: str) -> None:
    shown = tables.frame(table).columns
    assert {"customer_id", "city", "country", "_run_id"} <= set(shown)
    assert not PERSONAL & set(shown)
    assert tables.arrow(table).schema.names == shown
    assert not PERSONAL & set(tables.arrow(table).to_table().column_names)


def test_personal_columns_are_not_there_for_duckdb(tables: PublishedTables) -> None:
    assert not PERSONAL & set(tables.duckdb().table("customers").columns)


def test_a_version_is_what_was_published_for_a_day_also_where_the_run_left_a_table_alone(
    tables: PublishedTables,
) -> None:
    orders, customers = tables.versions("silver.orders"), tables.versions("silver.customers")
    assert [v.business_date for v in orders] == [v.business_date for v in customers] == [YESTERDAY, TODAY]
    assert [v.version for v in orders] == [0, 1]
    assert [v.run_id for v in orders] == [v.run_id for v in customers]
    by_day = [tables.arrow("silver.orders", as_of=day).count_rows() for day in (YESTERDAY, TODAY, date(2020, 1, 1))]
    assert by_day[0] < by_day[1] == by_day[2] == tables.frame("silver.orders").count()
    assert tables.frame("silver.orders", as_of=YESTERDAY).count() == by_day[0]


def test_what_was_written_and_not_published_is_not_read(
    shop: Shop, tables: PublishedTables, spark: SparkSession
) -> None:
    before = tables.arrow("silver.products").count_rows()
    path = str(shop.lake / "silver" / "products")
    spark.read.format("delta").load(path).limit(1).write.format("delta").mode("append").save(path)
    assert spark.read.format("delta").load(path).count() == before + 1
    assert tables.arrow("silver.products").count_rows() == tables.frame("silver.products").count() == before


def test_questions_without_an_answer_are_refused_in_a_sentence(tables: PublishedTables) -> None:
    with pytest.raises(LedgerError, match=r"goes back to 1997-03-01, .* there is none of 1996-12-31"):
        tables.arrow("silver.orders", as_of=date(1996, 12, 31))
    with pytest.raises(UsageError, match=r"there is no table silver\.mugs"):
        tables.frame("silver.mugs")
    with pytest.raises(UsageError, match="gold is not in the lake"):
        tables.arrow("gold.dim_products")


def test_a_shop_without_a_run_and_a_lake_that_is_not_there_say_so(shop: Shop, postgres: Any, tmp_path: Path) -> None:
    empty = published(Settings(home=tmp_path, gold_dsn=SecretStr(postgres.create_database("notebooks_empty"))))
    with pytest.raises(LedgerError, match=r"silver\.orders has no published version yet"):
        empty.versions("silver.orders")
    elsewhere = published(Settings(home=tmp_path, gold_dsn=SecretStr(shop.reader)))
    with pytest.raises(StoreError, match=r"version 1 of silver\.orders cannot be opened"):
        elsewhere.arrow("silver.orders")


def test_a_notebook_finds_the_shop_above_its_own_folder(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".lakehouse").mkdir()
    (tmp_path / "notebooks").mkdir()
    for variable in [v for v in os.environ if v.startswith(("LAKEHOUSE_", "AWS_"))]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("LAKEHOUSE_GOLD_DSN", shop.reader)
    monkeypatch.chdir(tmp_path / "notebooks")
    assert published().settings.home == tmp_path / ".lakehouse"
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path / "other"))
    assert published().settings.home == tmp_path / "other"

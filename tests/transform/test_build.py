"""The marts of dbt on a real gold of a small shop: built, built again, held against gold and marts, broken, looked at.

`make dbt` makes what they need; dbt runs as people run it, by `python -m tools.dbt`.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from pyspark.sql import SparkSession

from lakehouse.contracts import load_contracts
from lakehouse.warehouse import grants
from samples.foodmart import SHOP
from tests.conftest import ROOT, copy_database
from tests.content_hash import content_hash
from tests.e2e.lakehouse import RealPipeline
from tests.faults.pooler import SessionPooler, TransactionPooler
from tools.dbt.environment import DBT
from tools.dbt.page import foreign_hosts

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
DAY = date(1997, 3, 2)
KINDS = {"character varying": "text", "timestamp with time zone": "timestamptz"}
MARTS = ("monthly_sales", "customer_cohorts", "customer_rfm", "basket_pairs", "product_history")


class Listener:
    """A server that nobody should come to: it counts who does."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.came = 0
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.came += 1
            connection.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.socket.getsockname()[1]}"


@dataclass
class Shop:
    """A shop with a published gold, and dbt on it."""

    dsn: str
    lake: Path
    home: Path
    network: Listener

    def dbt(self, dsn: str = "") -> subprocess.CompletedProcess[str]:
        """`make dbt`, without the installation."""
        return self.run("-m", "tools.dbt", dsn=dsn)

    def run(self, *words: str, dsn: str = "") -> subprocess.CompletedProcess[str]:
        """A program on this shop; all that is not its databases goes to the listener."""
        return subprocess.run(
            [sys.executable, *words], cwd=ROOT, env=self.environment(dsn), capture_output=True, text=True
        )

    def environment(self, dsn: str = "") -> dict[str, str]:
        """Nothing of the person's own that names a lakehouse, a store or a way out."""
        named = {n: v for n, v in os.environ.items() if not n.startswith(("LAKEHOUSE_", "AWS_", "DBT_", "PG"))}
        named |= dict.fromkeys(
            ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"), self.network.url
        )
        named |= {"NO_PROXY": "127.0.0.1", "LAKEHOUSE_HOME": str(self.home), "LAKEHOUSE_GOLD_DSN": dsn or self.dsn,
                  "LAKEHOUSE_LAKE": self.lake.as_uri(), "LAKEHOUSE_SECRETS_DIR": str(self.home.parent / "no-secrets"), "COLUMNS": "200"}  # fmt: skip
        return named

    def content(self, relation: str, dsn: str = "") -> tuple[int, int]:
        """What a table holds, as the number of its rows and a hash."""
        with closing(psycopg2.connect(dsn or self.dsn)) as connection, connection.cursor() as cursor:
            cursor.execute(
                "select attname, format_type(atttypid, null) from pg_attribute where attrelid = %s::regclass and attnum > 0 "
                "and not attisdropped order by attnum",
                (relation,),
            )
            columns = {n: k for n, k in cursor.fetchall() if k != "timestamp without time zone"}
            return content_hash(cursor, relation, {n: KINDS.get(k, k) for n, k in columns.items()})

    def ask(self, question: str, dsn: str = "") -> list[tuple[Any, ...]]:
        with closing(psycopg2.connect(dsn or self.dsn)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(question)
            return list(cursor.fetchall()) if cursor.description else []

    @property
    def page(self) -> Path:
        return self.home / "data-docs" / "dbt" / "index.html"


@pytest.fixture(scope="module")
def shop(postgres: Any, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """FoodMart as of its second month, gold published by the real pipeline, and dbt built once."""
    if not DBT.mark.is_file():
        pytest.fail(
            "dbt is not installed: run `make dbt`, or `.venv/bin/python -m tools.dbt.environment`, then the tests again"
        )
    source, gold = postgres.create_database("dbt_source"), postgres.create_database("dbt_gold")
    folder = tmp_path_factory.mktemp("dbt")
    (folder / "no-secrets").mkdir()
    SHOP.load(source, DAY)
    pipeline = RealPipeline(source, gold, folder / "lake", home=folder / "home")
    pipeline.run_day(DAY)
    pipeline.lakehouse.gold_database.close()
    pipeline.lakehouse.source.database.close()
    shop = Shop(gold, folder / "lake", folder / "home", Listener())
    before = {table: shop.content(f"gold.{table}") for table in load_contracts()["gold"]}
    done = shop.dbt()
    assert done.returncode == 0, done.stdout + done.stderr
    assert {table: shop.content(f"gold.{table}") for table in before} == before
    yield shop
    shop.network.socket.close()
    for name in ("dbt_gold", "dbt_copy"):
        with closing(psycopg2.connect(postgres.server.dsn("postgres"))) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(f"drop database if exists {name} with (force)")
    shop.ask(f"drop role {grants.DBT}", postgres.server.dsn("postgres"))


def test_a_second_build_changes_no_row(shop: Shop) -> None:
    before = {mart: shop.content(f"analytics.{mart}") for mart in MARTS}
    assert all(rows > 0 for rows, _ in before.values())
    done = shop.dbt()
    assert done.returncode == 0, done.stdout + done.stderr
    assert {mart: shop.content(f"analytics.{mart}") for mart in MARTS} == before
    assert "lines of orders loaded" not in done.stdout, "they were there"
    assert shop.ask("select state, failed, business_date from analytics.builds") == 2 * [("built", 0, DAY)]
    status = shop.run("-c", "from lakehouse.cli import main; main()", "status")
    assert f"dbt built on the gold of {DAY} at " in status.stdout
    assert " 0 failed, 0 skipped\n" in status.stdout
    assert shop.ask("select count(*) from analytics.product_history where dbt_valid_to is not null") == [(0,)]


@pytest.mark.parametrize(
    ("of_dbt", "of_marts", "columns"),
    [
        (
            "monthly_sales",
            "monthly_sales_by_category",
            "month, category, units_sold, units_returned, net_sales, gross_profit",
        ),
        ("customer_cohorts", "customer_cohorts", "cohort_month, months_since, customers, orders, net_sales"),
    ],
)
def test_a_mart_that_says_what_a_view_of_marts_says_equals_it_to_the_digit(
    shop: Shop, of_dbt: str, of_marts: str, columns: str
) -> None:
    ours = shop.ask(f"select {columns} from analytics.{of_dbt} order by 1, 2")
    assert ours
    assert [tuple(map(str, row)) for row in ours] == [
        tuple(map(str, row)) for row in shop.ask(f"select {columns} from marts.{of_marts} order by 1, 2")
    ]


def test_the_pairs_are_those_of_the_orders_themselves(shop: Shop) -> None:
    """By another way: a self-join of what was loaded is held against arrays of each order, in Python."""
    baskets: dict[str, set[str]] = {}
    lines = "select order_id, product_id from analytics.order_lines join gold.fact_customer_orders using (order_id) where is_sale"
    for order, product in shop.ask(lines):
        baskets.setdefault(order, set()).add(product)
    pairs: dict[tuple[str, str], int] = {}
    for products in (sorted(p) for p in baskets.values() if len(p) <= 100):
        for n, a in enumerate(products):
            for b in products[n + 1 :]:
                pairs[a, b] = pairs.get((a, b), 0) + 1
    often = {pair: n for pair, n in pairs.items() if n >= 3}
    assert often
    assert {
        (a, b): n for a, b, n in shop.ask("select product_a, product_b, baskets from analytics.basket_pairs")
    } == often


def test_nothing_of_dbt_stands_on_gold_and_no_personal_column_is_in_its_schema(shop: Shop) -> None:
    standing = """select distinct v.oid::regclass::text from pg_depend d join pg_rewrite r on r.oid = d.objid join pg_class v on v.oid = r.ev_class
                  join pg_class t on t.oid = d.refobjid where v.relnamespace = 'analytics'::regnamespace"""
    assert shop.ask(standing) == []
    personal = {column for c in load_contracts()["gold"].values() for column in grants.personal(c)}
    named = shop.ask("select column_name from information_schema.columns where table_schema = 'analytics'")
    assert personal & {name for (name,) in named} == set()
    made = shop.ask("select distinct nspname from pg_class c join pg_namespace n on n.oid = relnamespace "
                    f"where relowner = '{grants.DBT}'::regrole and nspname !~ '^pg_'")  # fmt: skip
    assert made == [("analytics",)]


def test_the_page_names_no_other_host_nobody_and_no_secret(shop: Shop) -> None:
    page = shop.page.read_text(encoding="utf-8")
    assert "customer_rfm" in page
    assert "Days from the last counted order" in page
    assert foreign_hosts(page) == set()
    assert (
        re.findall(r"<(?:script|link|img|iframe)[^>]*\s(?:src|href)=[\"'](?!/overview/|\$|data:|#)[^\"']+", page) == []
    )
    assert not re.search(r"getdbt\.com|cloudfront|sinter-collect|github\.com", page)
    password = shop.dsn.split("//")[1].split("@")[0].split(":")[1]
    names = shop.ask("select full_name, email from gold.dim_customers where full_name is not null")
    assert len(names) > 100
    assert [word for row in names for word in row if word and word in page] == []
    assert password not in page
    assert str(ROOT) not in page
    assert str(shop.home) not in page


def test_nobody_is_told_and_nothing_is_fetched(shop: Shop) -> None:
    assert shop.network.came == 0
    socket.create_connection(shop.network.socket.getsockname()).close()
    for _ in range(100):
        if shop.network.came:
            break
        threading.Event().wait(0.05)
    assert shop.network.came == 1, "the listener counts who comes"
    shop.network.came = 0


def test_no_password_is_in_what_dbt_leaves_behind(shop: Shop) -> None:
    password = shop.dsn.split("//")[1].split("@")[0].split(":")[1].encode()
    left = [f for f in (shop.home / "dbt").rglob("*") if f.is_file()]
    assert any(f.name == "dbt.log" for f in left)
    assert [f.name for f in left if password in f.read_bytes()] == []


def test_a_build_behind_a_pooler_in_session_mode_is_like_any_other(shop: Shop) -> None:
    with SessionPooler(shop.dsn) as pooler:
        done = shop.dbt(pooler.dsn)
        assert (done.returncode, pooler.refused) == (0, 0), done.stdout + done.stderr
        with pytest.raises(psycopg2.OperationalError, match="unsupported startup parameter: options"):
            psycopg2.connect(pooler.dsn, options="-c statement_timeout=1s")


def test_a_pooler_in_transaction_mode_is_refused_in_one_sentence(shop: Shop) -> None:
    with TransactionPooler(shop.dsn, servers=1) as pooler:
        done = shop.dbt(pooler.dsn)
    assert done.returncode == 8
    assert "speaks through a pooler in transaction mode" in done.stderr
    assert "set pool_mode=session" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.fixture
def copy(postgres: Any, shop: Shop) -> str:
    """A copy of gold with its marts, to be broken."""
    return copy_database(postgres.server, "dbt_copy", "dbt_gold")


WRONG = "update gold.fact_daily_sales set net_sales = net_sales + 0.0001 where ctid = (select ctid from gold.fact_daily_sales limit 1)"


def test_a_wrong_row_of_gold_fails_the_build_and_is_named_by_its_rule(shop: Shop, copy: str) -> None:
    page, before = shop.page.read_bytes(), shop.content("analytics.monthly_sales", copy)
    shop.ask(WRONG, copy)
    done = shop.dbt(copy)
    assert done.returncode == 6, done.stdout + done.stderr
    assert "amounts_of_a_day_add_up (1 rows)" in done.stderr
    assert "days_equal_orders" in done.stderr
    assert "left as they were: " in done.stderr
    assert "monthly_sales" in done.stderr.partition("left as they were: ")[2]
    assert shop.content("analytics.monthly_sales", copy) == before
    assert shop.page.read_bytes() == page
    assert shop.ask("select state from analytics.builds order by finished_at desc limit 1", copy) == [("failed",)]


def test_a_state_of_a_product_that_is_over_is_kept(shop: Shop, copy: str) -> None:
    shop.ask(
        "update gold.dim_products set price = price + 1 where product_id = (select min(product_id) from gold.dim_products)",
        copy,
    )
    done = shop.dbt(copy)
    assert done.returncode == 0, done.stdout + done.stderr
    [old, new] = shop.ask(
        "select price, dbt_valid_to is null from analytics.product_history where product_id = "
        "(select min(product_id) from gold.dim_products) order by dbt_valid_from",
        copy,
    )
    assert (old[0] + 1, old[1], new[1]) == (new[0], False, True)


def test_a_dbt_that_outlives_a_killed_build_is_still_alone(shop: Shop) -> None:
    build = subprocess.Popen([sys.executable, "-m", "tools.dbt"], cwd=ROOT, env=shop.environment(),
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    children = Path(f"/proc/{build.pid}/task/{build.pid}/children")
    until = time.monotonic() + 120
    while not (found := children.read_text().split()):
        assert build.poll() is None, "the build ended before dbt began"
        assert time.monotonic() < until
        time.sleep(0.02)
    build.kill()
    build.wait()
    assert shop.dbt().returncode == 10
    while Path(f"/proc/{found[0]}").exists():
        time.sleep(0.1)
    assert shop.dbt().returncode == 0


def test_a_server_that_is_away_is_said_in_one_sentence(shop: Shop) -> None:
    done = shop.dbt(re.sub(r":\d+/", ":1/", shop.dsn))
    assert done.returncode == 7
    assert len(done.stderr.strip().splitlines()) == 1

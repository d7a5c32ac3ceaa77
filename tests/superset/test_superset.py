"""A real Superset on a gold of a few rows, started as `make superset` does: it says what gold says, and cannot write."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from secrets import token_hex
from typing import Any, NamedTuple
from urllib.parse import quote

import psycopg2
import pytest
import requests
import yaml
from psycopg2.extensions import parse_dsn

from lakehouse.contracts import load_contracts
from lakehouse.errors import LedgerError
from lakehouse.settings import Settings
from lakehouse.upkeep.setup import setup
from lakehouse.warehouse import grants
from tests.superset.conftest import ROWS
from tools.setup.machine import ROOT
from tools.superset import gold
from tools.superset.api import Superset, logged_in
from tools.superset.home import CONF, SupersetHome

pytestmark = [pytest.mark.integration, pytest.mark.slow]
CONTRACTS = load_contracts()["gold"]
TOTALS = {
    "net_sales": "select sum(net_sales) from gold.fact_daily_sales",
    "gross_profit": "select sum(gross_profit) from gold.fact_daily_sales",
    "units_sold": "select sum(units_sold) from gold.fact_daily_sales",
    "sales_by_week": "select sum(net_sales) from gold.fact_daily_sales",
    "sales_by_month_and_category": "select sum(net_sales) from gold.fact_daily_sales",
    "categories": "select sum(net_sales) from gold.fact_daily_sales",
    "stock_by_status": "select count(*) from gold.agg_inventory_status",
    "stock_by_warehouse": "select count(*) from gold.agg_inventory_status",
    "positions_to_order": "select count(*) from gold.agg_inventory_status where stock_status in ('low', 'out_of_stock')",
    "campaign_sales_by_channel": "select sum(net_sales) from gold.agg_campaign_performance",
    "campaigns": "select sum(net_sales) from gold.agg_campaign_performance",
}


class Shop(NamedTuple):
    """A gold, as its owner and as a reader."""

    owner: str
    reader: str

    def ask(self, question: str, *statements: str) -> Any:
        with psycopg2.connect(self.owner) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            cursor.execute(question)
            return (cursor.fetchone() or (None,))[0]


@pytest.fixture(scope="module")
def shop(postgres: Any) -> Shop:
    """One whose reader was made by `lakehouse setup`."""
    owner = postgres.create_database("superset_shop")
    parts = parse_dsn(owner)
    reader = f"postgresql://explorer:{quote('p@ss/w%rd', safe='')}@{parts['host']}:{parts['port']}/{parts['dbname']}"
    setup(owner, {}, CONTRACTS, keeps=True)
    shop = Shop(owner, reader)
    shop.ask("select 1", *ROWS, "refresh materialized view marts.monthly_sales_by_category")
    setup(owner, {"reader": reader}, CONTRACTS, keeps=True)
    return shop


def run(home: Path, shop: Shop | None, *words: str) -> subprocess.CompletedProcess[str]:
    """`python -m tools.superset`, as `make superset` starts it."""
    named = {"LAKEHOUSE_GOLD_DSN": shop.owner, "LAKEHOUSE_READER_DSN": shop.reader} if shop else {}
    environment = {"LAKEHOUSE_HOME": str(home), "PATH": "/usr/bin:/bin", "HOME": str(home),
                   "PYTHONPATH": f"{ROOT / 'lib'}:{ROOT}", **named}  # fmt: skip
    return subprocess.run([sys.executable, "-m", "tools.superset", *words, "--json"], cwd=ROOT, env=environment,
                          capture_output=True, text=True)  # fmt: skip


@pytest.fixture(scope="module")
def home(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SupersetHome]:
    """That of a Superset that runs."""
    home = SupersetHome(tmp_path_factory.mktemp("superset") / "home")
    began = run(home.shop, shop, "up", "--port", "0")
    try:
        assert began.returncode == 0, began.stderr
        assert json.loads(began.stdout)["imported"] == {"datasets": 4, "charts": 11, "dashboards": 2}
        yield home
    finally:
        ended = run(home.shop, None, "down")
    assert json.loads(ended.stdout) == {"ended": True}
    assert run(home.shop, None, "status").returncode == 3


@pytest.fixture(scope="module")
def superset(home: SupersetHome) -> Iterator[Superset]:
    found = json.loads(run(home.shop, None, "status").stdout)
    assert found["healthy"]
    with logged_in(found["url"], home.password) as superset:
        yield superset


def kept(superset: Superset) -> dict[str, str]:
    """All that it would write to files."""
    answer = superset.ask("GET", "assets/export/")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        return {
            name.partition("/")[2]: archive.read(name).decode()
            for name in archive.namelist()
            if not name.endswith("metadata.yaml")
        }


def ids(superset: Superset) -> list[tuple[str, int, str]]:
    return [
        (kind, one["id"], one.get("slice_name") or one.get("dashboard_title") or one["table_name"])
        for kind in ("dataset", "chart", "dashboard")
        for one in superset.expect("GET", f"{kind}/?q=(page_size:100)")["result"]
    ]


def test_an_import_again_changes_nothing(superset: Superset, home: SupersetHome, shop: Shop) -> None:
    before, had = kept(superset), sorted(ids(superset))
    assert len(before) == 1 + 4 + 11 + 2
    again = run(home.shop, shop, "up")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["url"] == superset.url, "the one that runs is left running"
    assert kept(superset) == before
    assert sorted(ids(superset)) == had


@pytest.mark.parametrize("chart", sorted(TOTALS))
def test_a_chart_says_what_gold_says(superset: Superset, shop: Shop, chart: str) -> None:
    meant = yaml.safe_load((CONF / "charts" / f"{chart}.yaml").read_text())
    all_charts = superset.expect("GET", "chart/?q=(page_size:100)")["result"]
    [found] = [
        c["id"] for c in all_charts if c["slice_name"] == meant["slice_name"] and c["viz_type"] == meant["viz_type"]
    ]
    context = json.loads(superset.expect("GET", f"chart/{found}")["result"]["query_context"])
    [result] = superset.expect("POST", "chart/data", json=context)["result"]
    metric = context["queries"][0]["metrics"][0]
    assert result["rowcount"] > 0
    assert result["rowcount"] < context["queries"][0]["row_limit"]
    total = sum(Decimal(str(row[metric])) for row in result["data"])
    assert total == Decimal(shop.ask(TOTALS[chart]))


def test_every_chart_is_held_against_gold_and_is_on_one_dashboard() -> None:
    charts = {f.stem: yaml.safe_load(f.read_text()) for f in (CONF / "charts").iterdir()}
    assert set(charts) == set(TOTALS)
    shown = [
        part["meta"]["uuid"]
        for f in (CONF / "dashboards").iterdir()
        for part in yaml.safe_load(f.read_text())["position"].values()
        if isinstance(part, dict) and part["type"] == "CHART"
    ]
    assert sorted(shown) == sorted(c["uuid"] for c in charts.values())


def test_a_column_of_a_dataset_is_one_of_gold_that_is_not_personal(shop: Shop) -> None:
    for file in (CONF / "datasets" / "gold").iterdir():
        dataset = yaml.safe_load(file.read_text())
        name = f"{dataset['schema']}.{dataset['table_name']}"
        there = shop.ask(
            f"select array_agg(attname::text) from pg_attribute where attrelid = '{name}'::regclass and attnum > 0"
        )
        assert {c["column_name"] for c in dataset["columns"]} <= set(there)


def sql_lab(superset: Superset, question: str) -> requests.Response:
    [database] = superset.expect("GET", "database/?q=(page_size:10)")["result"]
    asked = {"database_id": database["id"], "sql": question, "runAsync": False, "client_id": token_hex(5), "schema": "gold",
             "queryLimit": 10}  # fmt: skip
    return superset.ask("POST", "sqllab/execute/", json=asked)


def test_sql_lab_reads_gold_and_neither_writes_nor_sees_a_personal_column(superset: Superset, shop: Shop) -> None:
    good = sql_lab(superset, "select count(*) as n from gold.fact_daily_sales")
    assert good.status_code == 200, good.text
    assert good.json()["data"] == [{"n": shop.ask("select count(*) from gold.fact_daily_sales")}]
    before = shop.ask("select count(*) from gold.dim_products")
    for question in (
        "delete from gold.dim_products",
        "create table gold.mine (id int)",
        "with gone as (delete from gold.dim_products returning 1) select * from gone",
        "select full_name from gold.dim_customers",
        "select run_id from ops.runs",
    ):
        assert sql_lab(superset, question).status_code >= 400, question
    assert shop.ask("select count(*) from gold.dim_products") == before


def test_what_it_connects_by_may_not_write_even_where_sql_lab_would_let_it(shop: Shop) -> None:
    personal = [(c.table, column) for c in CONTRACTS.values() for column in grants.personal(c)]
    assert personal
    for statement in (
        "delete from gold.dim_products",
        *(f"select {column} from gold.{table}" for table, column in personal),
    ):
        with (
            psycopg2.connect(shop.reader) as connection,
            connection.cursor() as cursor,
            pytest.raises(psycopg2.errors.InsufficientPrivilege),
        ):
            cursor.execute(statement)


def test_who_may_write_or_see_what_is_personal_is_refused_as_its_reader(shop: Shop, tmp_path: Path) -> None:
    done = run(tmp_path, shop._replace(reader=shop.owner), "up")
    assert done.returncode == 8
    assert "is no reader as Superset should have one: it is a superuser" in done.stderr
    shop.ask(
        "select 1", "grant delete on gold.dim_products to explorer", "grant select on gold.dim_customers to explorer"
    )
    done = run(tmp_path, shop, "up")
    assert done.returncode == 8
    assert "may change gold.dim_products" in done.stderr
    assert "of gold.dim_customers, which are personal" in done.stderr
    setup(shop.owner, {"reader": shop.reader}, CONTRACTS, keeps=True)
    assert gold.find(Settings(gold_dsn=shop.owner, reader_dsn=shop.reader, home=tmp_path)).dsn == shop.reader


def test_on_a_server_that_we_bring_the_reader_is_made_and_loses_what_it_should_not_have(
    postgres: Any,
) -> None:
    owner = Shop(postgres.create_database("ecommerce_gold"), "")
    contracts, home = list(CONTRACTS.values()), postgres.server.folder.parent
    with pytest.raises(LedgerError, match="has not published anything yet"):
        gold.of_ours(home, "ours", contracts)
    setup(owner.owner, {}, CONTRACTS, keeps=True)
    reader = gold.of_ours(home, "ours", contracts)
    assert parse_dsn(reader.dsn)["user"] == "reader"
    owner.ask("select 1", "grant select on gold.dim_customers to reader", "grant insert on gold.dim_products to reader")
    assert gold.of_ours(home, "ours", contracts) == reader, "with the password that it had"
    with psycopg2.connect(reader.dsn) as connection, connection.cursor() as cursor:
        cursor.execute("select count(*) from gold.agg_inventory_status")
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute("select full_name from gold.dim_customers")


def test_without_a_gold_it_says_what_is_missing(tmp_path: Path) -> None:
    done = run(tmp_path / "home", None, "up")
    assert done.returncode == 8
    assert "no stack runs (`make up`), LAKEHOUSE_GOLD_DSN is not set" in done.stderr
    assert not (tmp_path / "home").exists()


def test_a_gold_that_has_not_published_is_refused(postgres: Any, tmp_path: Path) -> None:
    dsn = postgres.create_database("superset_empty")
    with pytest.raises(LedgerError, match="has not published anything yet"):
        gold.find(Settings(gold_dsn=dsn, reader_dsn=dsn, home=tmp_path))


def test_nobody_gets_in_without_its_password_which_is_in_a_closed_file(superset: Superset, home: SupersetHome) -> None:
    files = {f.name: f for f in home.secrets.iterdir()}
    assert set(files) == {"secret_key", "admin_password"}
    assert {f.stat().st_mode & 0o777 for f in files.values()} == {0o600}
    assert home.folder.stat().st_mode & 0o77 == 0
    said = home.log.read_text()
    assert not [name for name, f in files.items() if f.read_text() in said]
    for password in ("admin", ""):
        given = {"username": "admin", "password": password, "provider": "db"}
        assert requests.post(f"{superset.url}/api/v1/security/login", json=given, timeout=60).status_code in (400, 401)
    for path in ("chart/", "dashboard/", "database/"):
        anonymous = requests.get(f"{superset.url}/api/v1/{path}", timeout=60, allow_redirects=False)
        assert anonymous.status_code == 401 or not anonymous.json()["result"]


def test_it_keeps_no_password_of_gold_in_the_clear_and_lets_a_page_ask_no_other_host(
    superset: Superset, home: SupersetHome, shop: Shop
) -> None:
    assert parse_dsn(shop.reader)["password"].encode() not in (home.folder / "superset.db").read_bytes()
    page = requests.get(f"{superset.url}/login/", timeout=60)
    policy = page.headers["Content-Security-Policy"]
    assert not re.findall(r"https?://|\*", policy)

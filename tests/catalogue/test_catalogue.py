"""The catalogue: one model of contracts, suites, transforms and ledger, as a page, as JSON, and as views of DuckDB."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow
import pytest
from deltalake import DeltaTable, Schema, write_deltalake
from typer.testing import CliRunner

from lakehouse.catalogue import Catalogue, catalogue, page_of
from lakehouse.catalogue.lineage import upstream
from lakehouse.catalogue.model import Table
from lakehouse.catalogue.standing import Standing
from lakehouse.catalogue.views import write_views
from lakehouse.cli import app
from lakehouse.contracts import load_contracts
from lakehouse.database import Database
from lakehouse.errors import StoreError, UsageError
from lakehouse.judging.suites import load_suites
from lakehouse.ledger import Ledger
from lakehouse.records import Finding, TableRun
from tests.catalogue.atlas import InMemory, handler
from tests.report.test_report import Page
from tests.web_server import serving

pytestmark = pytest.mark.integration
CONTRACTS = load_contracts()
SUITES = load_suites(CONTRACTS)
DAY = date(2026, 3, 10)


def publish(ledger: Ledger, layer: str, tables: dict[str, list[TableRun]], *findings: Finding, day: date = DAY) -> str:
    """A run by the ledger's own functions."""
    shapes = {of: {t: c.shape for t, c in CONTRACTS["bronze" if of == "quarantine" else of].items()} for of in tables}
    with ledger.alone(layer) as lease:
        with lease.transaction() as cursor:
            run = ledger.open(cursor, layer, day)
        with lease.transaction() as cursor:
            ledger.publish(cursor, run, tables, shapes)
    ledger.record_findings(run, findings)
    return run.run_id


@pytest.fixture(scope="module")
def database(postgres: Any) -> Iterator[Database]:
    database = Database(postgres.create_database("catalogue"), "gold", StoreError)
    yield database
    database.close()


@pytest.fixture(scope="module")
def runs(database: Database) -> dict[str, str]:
    """Runs of three layers, one of which found a broken rule that the next one did not find again."""
    ledger = Ledger(database)
    ledger.prepare("UTC")
    broken = Finding("silver", "orders", "ordered_in_future", "warning", False, 3, 7)
    refused = Finding("silver", "customers", "rows_of_run_add_up", "critical", False, 2, 9)
    met = Finding("silver", "orders", "rows_of_run_add_up", "critical", True, 0, 7)
    old = Finding("silver", "order_items", "rows_of_run_add_up", "critical", False, 5, 7)
    return {
        "bronze": publish(ledger, "bronze", {"bronze": [TableRun("orders", 4, 8, 8), TableRun("customers", 0, 2, 2)]}),
        "earlier": publish(ledger, "silver", {"silver": [TableRun("orders", 0, 5, 5)]}, old, day=date(2026, 3, 9)),
        "silver": publish(
            ledger,
            "silver",
            {"silver": [TableRun("orders", 1, 8, 7, rows_quarantined=1)], "quarantine": [TableRun("orders", 0)]},
            broken, refused, met, Finding("silver", "order_items", "rows_of_run_add_up", "critical", True, 0, 7),
        ),
        "gold": publish(ledger, "gold", {"gold": [TableRun("dim_customers", 3, 2, 2)]}),
    }  # fmt: skip


@pytest.fixture
def model(database: Database, runs: dict[str, str]) -> Catalogue:
    return catalogue(CONTRACTS, SUITES, Standing(database))


def table(model: Catalogue, name: str) -> Table:
    return next(t for t in model.tables if t.name == name)


def test_a_table_is_what_its_contract_says_and_stands_as_the_ledger_says(
    model: Catalogue, runs: dict[str, str]
) -> None:
    orders = table(model, "silver.orders")
    assert (orders.owner, orders.grain) == ("data-engineering", "One row per order, the latest valid state")
    assert (orders.version, orders.rows, orders.business_date, orders.run_id) == (1, 12, DAY, runs["silver"])
    assert [r.run_id for r in orders.runs] == [runs["silver"], runs["earlier"]]
    columns = {c.name: c for c in orders.columns}
    assert columns["order_id"].key
    assert columns["customer_id"].references == "silver.customers"
    assert "returned" in columns["status"].allowed_values
    assert not orders.personal
    assert table(model, "silver.customers").personal
    assert table(model, "silver.products").version is None
    assert table(model, "quarantine.orders").rows == 1, "what is open"
    assert len(model.tables) == 4 * 6
    assert table(model, "gold.dim_customers").rows == 2


def test_a_rule_has_its_newest_verdict_and_the_words_of_its_suite(model: Catalogue) -> None:
    rules = {r.rule: r for r in table(model, "silver.orders").rules}
    assert (rules["rows_of_run_add_up"].success, rules["rows_of_run_add_up"].why) == (True, "")
    assert (rules["ordered_in_future"].success, rules["ordered_in_future"].unexpected) == (False, 3)
    for e in SUITES["silver"]["orders"].expectations:
        assert rules[e.rule].why == e.notes
    assert [r.rule for r in table(model, "silver.customers").broken] == ["rows_of_run_add_up"]
    assert table(model, "silver.order_items").broken == (), "met since"


def test_lineage_goes_from_the_source_to_every_gold_table(model: Catalogue) -> None:
    made = model.lineage
    assert made["silver.orders"] == ("bronze.orders", "quarantine.orders")
    assert made["bronze.orders"] == ("source.orders",)
    assert made["gold.fact_customer_orders"] == ("silver.orders", "silver.order_items")
    assert "gold.fact_customer_orders" in made["gold.dim_customers"]

    def origins(name: str) -> set[str]:
        return {name} if not made[name] else set().union(*map(origins, made[name]))

    for gold in CONTRACTS["gold"]:
        assert origins(f"gold.{gold}"), gold
        assert all(o.startswith("source.") for o in origins(f"gold.{gold}")), gold
    for t in model.tables:
        assert all(t.name in made[below] for below in t.downstream)
        assert all(t.name in table(model, above).downstream for above in t.upstream if not above.startswith("source."))


def test_a_date_is_no_table_and_a_gold_that_is_made_of_gold_is_found() -> None:
    made = upstream(CONTRACTS, {"dim_customers": ["customers", "fact_daily_sales", "business_date"]})
    assert made["gold.dim_customers"] == ("silver.customers", "gold.fact_daily_sales")


def test_the_page_is_whole_valid_and_loads_nothing(model: Catalogue) -> None:
    html = page_of(model)
    page = Page(html)
    inner = {link[1:] for link in page.loads if link.startswith("#")}
    assert {link for link in page.loads if not link.startswith("#")} == {"data:,"}
    assert inner <= set(page.ids)
    assert {t.name for t in model.tables} <= set(page.ids)
    assert set(page.labels) <= set(page.ids)
    assert len(html.encode()) < 400_000
    assert "not met: 3 of 7" in page.text
    assert "version 1 for 2026-03-10, 12 rows" in page.text


def test_without_a_ledger_tables_stand_as_they_are_meant(postgres: Any) -> None:
    database = Database(postgres.create_database("catalogue_empty"), "gold", StoreError)
    try:
        model = catalogue(CONTRACTS, SUITES, Standing(database))
    finally:
        database.close()
    assert {t.version for t in model.tables} == {None}
    assert "Published never" in Page(page_of(model)).text


SCHEMA = pyarrow.schema([
    ("customer_id", pyarrow.string()), ("full_name", pyarrow.string()), ("city", pyarrow.string()),
    ("updated_at", pyarrow.timestamp("us", "UTC")), ("_row_md5", pyarrow.string()), ("_run_id", pyarrow.string()),
    ("year", pyarrow.int32()), ("month", pyarrow.int32()),
])  # fmt: skip


def rows(*keys: str, **more: Any) -> pyarrow.Table:
    at = datetime(2026, 3, 10, tzinfo=UTC)
    found = [{"customer_id": k, "full_name": "Ada Secret", "city": "Rome", "updated_at": at, "_row_md5": "x", "_run_id": "r",
              "year": 2026, "month": 3} for k in keys]  # fmt: skip
    return pyarrow.Table.from_pylist(found, SCHEMA)


def standing(**versions: int) -> Catalogue:
    """A catalogue of these versions alone, named as layer__table."""
    tables = []
    for name, version in versions.items():
        layer, _, of = name.partition("__")
        tables.append(
            Table(
                f"{layer}.{of}",
                layer,
                "",
                "One row each",
                "",
                "",
                "",
                (),
                (),
                (),
                (),
                version,
                None,
                None,
                None,
                None,
                (),
            )
        )
    return Catalogue(tuple(tables), {})


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """Silver's customers in two versions, in a folder with a blank and a quote."""
    path = tmp_path / "the shop's lake" / "silver" / "customers"
    write_deltalake(path, rows("C1", "C2"), partition_by=["year", "month"])
    write_deltalake(path, rows("C3"), mode="append")
    return tmp_path / "the shop's lake"


def asked(file: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(duckdb.connect(str(file), read_only=True)) as opened:
        return opened.sql(sql).fetchall()


def test_a_view_shows_the_published_version_without_personal_columns(lake: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "lake.duckdb"
    for version, keys in ((0, ["C1", "C2"]), (1, ["C1", "C2", "C3"])):
        assert write_views(out, standing(silver__customers=version), CONTRACTS, f"file://{lake}") == [
            "silver.customers"
        ]
        assert asked(out, "select customer_id from silver.customers order by 1") == [(k,) for k in keys]
    names = asked(out, "select column_name, data_type from information_schema.columns order by ordinal_position")
    assert names == [("customer_id", "VARCHAR"), ("city", "VARCHAR"), ("updated_at", "TIMESTAMP WITH TIME ZONE"),
                     ("_run_id", "VARCHAR"), ("year", "INTEGER"), ("month", "INTEGER")]  # fmt: skip
    assert [f.name for f in out.parent.iterdir()] == ["lake.duckdb"]


def test_a_version_without_files_is_an_empty_table_and_a_young_column_is_null(lake: Path, tmp_path: Path) -> None:
    table = DeltaTable(lake / "silver" / "customers")
    table.delete()
    younger = pyarrow.schema([*SCHEMA, pyarrow.field("country", pyarrow.string())])
    out = tmp_path / "lake.duckdb"
    write_views(out, standing(silver__customers=2), CONTRACTS, f"file://{lake}")
    assert asked(out, "select count(*), max(city) from silver.customers") == [(0, None)]
    path = lake / "bronze" / "customers"
    write_deltalake(path, rows("C1"))
    table = DeltaTable(path)
    table.alter.add_columns(Schema.from_arrow(younger).fields[-1])
    write_views(out, standing(bronze__customers=1), CONTRACTS, f"file://{lake}")
    assert asked(out, "select customer_id, country from bronze.customers") == [("C1", None)]


def test_what_files_alone_do_not_say_is_refused_and_the_file_before_stays(lake: Path, tmp_path: Path) -> None:
    out = tmp_path / "lake.duckdb"
    write_views(out, standing(silver__customers=1), CONTRACTS, f"file://{lake}")
    log = lake / "silver" / "customers" / "_delta_log" / f"{2:020d}.json"
    needs = {"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"]}}  # fmt: skip
    log.write_text(json.dumps(needs) + "\n")
    with pytest.raises(StoreError, match=r"silver\.customers needs more of its reader than its files"):
        write_views(out, standing(silver__customers=2), CONTRACTS, f"file://{lake}")
    with pytest.raises(StoreError, match=r"version 9 of silver\.customers cannot be opened"):
        write_views(out, standing(silver__customers=9), CONTRACTS, f"file://{lake}")
    with pytest.raises(UsageError, match="in an object store"):
        write_views(out, standing(silver__customers=1), CONTRACTS, "s3a://shop")
    assert asked(out, "select count(*) from silver.customers") == [(3,)]
    assert not list(tmp_path.glob(".lake*"))


@pytest.fixture
def shop(database: Database, runs: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a shop whose gold is the ledger above."""
    monkeypatch.setenv("LAKEHOUSE_GOLD_DSN", database._dsn)
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_the_commands_write_what_they_say(
    shop: Path, model: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lakehouse(*words: str) -> str:
        done = CliRunner().invoke(app, words, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    told = json.loads(lakehouse("catalogue", "export", "--to", "json"))
    assert told == json.loads(json.dumps(asdict(model), default=str))
    lakehouse("catalogue", "export", "--to", "json", "--out", str(tmp_path / "all.json"))
    assert json.loads((tmp_path / "all.json").read_text()) == told
    assert "catalogue/index.html" in lakehouse("catalogue", "export", "--to", "html")
    page = shop / "data-docs" / "catalogue" / "index.html"
    assert json.loads(lakehouse("catalogue", "export", "--to", "html", "--json")) == {
        "file": str(page),
        "bytes": page.stat().st_size,
    }
    with serving(handler(InMemory())) as url:
        monkeypatch.setenv("LAKEHOUSE_ATLAS_URL", url)
        monkeypatch.setenv("LAKEHOUSE_ATLAS_PASSWORD", "of-nobody")
        first, again = (json.loads(lakehouse("catalogue", "export", "--to", "atlas", "--json")) for _ in range(2))
    assert first["atlas"] == url.removeprefix("http://")
    assert again == {**first, "types": 0, "created": 0, "unchanged": first["created"]}
    assert (shop / "data-docs" / "catalogue" / "index.html").read_text() == page_of(model)
    assert "report/index.html" in lakehouse("report")
    assert "Gold has nothing published yet" in (shop / "data-docs" / "report" / "index.html").read_text()
    lakehouse("report", "--out", str(tmp_path / "report.html"))
    assert "<h1>Sales report</h1>" in (tmp_path / "report.html").read_text()
    with pytest.raises(UsageError, match=r"cannot be written \(No such file or directory\)"):
        lakehouse("report", "--out", str(tmp_path / "nowhere" / "report.html"))

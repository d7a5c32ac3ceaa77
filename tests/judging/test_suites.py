"""Suites are read strictly: what is wrong is named with file and key, all at once, before a day begins."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakehouse.errors import ConfigError
from lakehouse.gate.gate import structural
from lakehouse.judging.suites import load_suites
from tests.tables import CONTRACTS, table

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
PROJECT = [(layer, name) for layer in CONTRACTS for name in CONTRACTS[layer]]
Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The project's own suites, to be spoilt."""
    return Path(shutil.copytree(ROOT / "expectations", tmp_path / "expectations"))


def spoil(folder: Path, change: Change, file: str = "silver/products.json") -> str:
    """Changes one suite; returns what loading then says."""
    suite = json.loads((folder / file).read_text(encoding="utf-8"))
    change(suite)
    (folder / file).write_text(json.dumps(suite), encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        load_suites(CONTRACTS, folder)
    return str(refused.value)


def first(key: str, value: object) -> Change:
    return lambda suite: suite["expectations"][0].update({key: value})


def first_kwargs(**values: object) -> Change:
    return lambda suite: suite["expectations"][0]["kwargs"].update(values)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s.update(expectation=[]), "silver/products.json: expectation: Extra inputs are not permitted"),
        (lambda s: s.update(name="silver.product"), "silver/products.json: name: is not silver.products"),
        (first("type", "expect_column_values_to_be_betwen"), "silver/products.json: expectations.0: "),
        (first("type", "expect_column_values_to_be_unique"), "silver/products.json: expectations.0: "),
        (first("severity", "info"), "expectations.0.severity: "),
        (first("notes", ""), "expectations.0.notes: "),
        (lambda s: s["expectations"][0].pop("severity"), "expectations.0.severity: Field required"),
        (first("meta", {"raeson": "price_negative"}), "expectations.0.meta.raeson: Extra inputs are not permitted"),
        (first("meta", {}), "expectations.0.meta: Value error, either rule or reason is needed"),
        (
            first("meta", {"rule": "a", "reason": "a"}),
            "expectations.0.meta: Value error, either rule or reason is needed",
        ),
        (first_kwargs(min=0), "expectations.0.kwargs.min: Extra inputs are not permitted"),
        (first_kwargs(min_value="0"), "expectations.0.kwargs.min_value"),
        (first_kwargs(min_value=True), "expectations.0.kwargs.min_value"),
        (first_kwargs(min_value=None), "expectations.0.kwargs: Value error, min_value or max_value is needed"),
        (first_kwargs(column="prise"), "expectations.0.kwargs: unknown column prise"),
        (first_kwargs(min_value=2**53 + 1), "has more digits than Great Expectations keeps"),
        (first_kwargs(min_value={"$PARAMETER": "rows"}), "unknown parameter rows; there are next_date, previous_rows"),
        (first_kwargs(min_value={"$PARAMETER": "previous_rows"}), "kwargs: a reason judges each row by itself"),
        (first_kwargs(mostly=0.9), "expectations.0.kwargs: a reason judges each row by itself"),
        (
            lambda s: s["expectations"][2].update(meta={"reason": "x"}),
            "expectations.2.type: expect_column_values_to_not_match_regex cannot have a reason",
        ),
        (
            lambda s: s["expectations"][1].update(meta={"reason": "price_negative"}),
            "expectations.1.meta: price_negative is the name of another rule",
        ),
        (
            lambda s: s["meta"]["computed_columns"]["_no_price"].update(sql="cast(prise is null as int)"),
            "meta.computed_columns._no_price: unknown column prise",
        ),
        (
            lambda s: s["meta"]["computed_columns"]["_no_price"].update(type="int"),
            "meta.computed_columns._no_price.type: Value error, unknown type int",
        ),
        (
            lambda s: s["meta"]["computed_columns"].update(no_price={"type": "integer", "sql": "1"}),
            "meta.computed_columns.no_price",
        ),
    ],
)
def test_a_typo_is_refused_with_file_and_key(folder: Path, change: Change, said: str) -> None:
    message = spoil(folder, change)
    assert message.startswith("expectations are wrong: silver/products.json: ")
    assert said in message


def test_all_faults_are_named_at_once(folder: Path) -> None:
    (folder / "gold" / "dim_products.json").unlink()
    (folder / "bronze" / "warehouses.json").write_text("{}")
    (folder / "bronze" / "orders.json").write_text('{"name": "bronze.orders", "name": "bronze.orders"}')
    (folder / "bronze" / "customers.json").write_text('{"name": ')
    message = spoil(folder, first("severity", "fatal"))
    assert "gold/dim_products.json: is missing" in message
    assert "bronze/warehouses.json: there is no contract of this name" in message
    assert "bronze/orders.json: not JSON: name is written twice" in message
    assert "bronze/customers.json: not JSON: " in message
    assert "silver/products.json: expectations.0.severity: " in message


def test_only_silver_sends_rows_to_quarantine(folder: Path) -> None:
    message = spoil(folder, first("meta", {"reason": "price_negative"}), "gold/dim_products.json")
    assert "gold/dim_products.json: expectations.0.meta.reason: only silver has a quarantine" in message


@pytest.mark.parametrize(("layer", "name"), PROJECT)
def test_no_rule_of_a_suite_has_the_name_of_one_that_its_contract_already_makes(layer: str, name: str) -> None:
    of_contract = {rule.name for rule in structural(CONTRACTS[layer][name])}
    assert not of_contract & {e.rule for e in load_suites(CONTRACTS)[layer][name].expectations}


@pytest.mark.parametrize(("layer", "name"), PROJECT)
def test_computed_columns_are_sql_that_spark_understands_over_the_contracts_columns(
    spark: SparkSession, layer: str, name: str
) -> None:
    computed = load_suites(CONTRACTS)[layer][name].computed_columns
    frame = table(spark, CONTRACTS[layer][name], "").select(
        *(F.expr(w.typed_sql).alias(n) for n, w in computed.items())
    )
    assert frame.columns == list(computed)


@pytest.mark.parametrize(
    ("table", "reason", "of_gold"),
    [
        ("products", "price_negative", ["dim_products price_negative", "dim_products margin_above_one"]),
        ("products", "cost_negative", ["dim_products cost_negative", "dim_products margin_above_one"]),
        ("campaigns", "budget_negative", ["agg_campaign_performance budget_negative"]),
        ("campaigns", "end_before_start", ["agg_campaign_performance dates_reversed"]),
        ("order_items", "unit_price_negative", [
            "fact_customer_orders gross_amount_negative", "fact_customer_orders returns_amount_negative",
            "fact_daily_sales gross_sales_negative", "fact_daily_sales returns_amount_negative",
        ]),
    ],
)  # fmt: skip
def test_what_a_waiver_lets_through_does_not_stop_gold(table: str, reason: str, of_gold: list[str]) -> None:
    suites = load_suites(CONTRACTS)
    assert reason in [e.rule for e in suites["silver"][table].reasoned]
    held = {f"{t} {e.rule}": e.severity for t, suite in suites["gold"].items() for e in suite.expectations}
    assert {rule: held[rule] for rule in of_gold} == dict.fromkeys(of_gold, "warning")

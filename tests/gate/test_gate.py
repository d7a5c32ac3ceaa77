"""The gate: what each table's rules say of rows that keep or break them, and that it says it in counts only."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.errors import GateError, LakehouseError
from lakehouse.gate import measures
from lakehouse.gate.findings import raise_if_critical
from lakehouse.gate.gate import TECHNICAL, Gate
from lakehouse.judging.rules import quarantine_rules
from lakehouse.judging.suites import load_suites
from lakehouse.records import Finding
from tests.tables import CONTRACTS, contract, judged, table

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
SUITES = load_suites(CONTRACTS)
DAY, NEXT_DATE = "2011-12-09", date(2011, 12, 10)
Parameters = dict[str, int | date | None]


def checked(gate: Gate, name: str, frame: DataFrame, parameters: Parameters | None = None) -> list[Finding]:
    layer, _, stem = name.partition(".")
    return judged(gate, contract(name), SUITES[layer][stem], frame, parameters)


def rows(spark: SparkSession, name: str, header: str, *given: tuple[object, ...]) -> DataFrame:
    """Rows of a table with the technical columns its gate expects."""
    technical = TECHNICAL[name.partition(".")[0]]
    return table(spark, name, header, *given).withColumns({c: F.lit("x") for c in technical})


def failed(findings: list[Finding], severity: str = "critical") -> dict[str, int | None]:
    """Rules that failed, and how many rows broke them."""
    return {f.rule: f.unexpected for f in findings if not f.success and f.severity == severity}


def test_importing_the_gate_does_not_import_great_expectations() -> None:
    code = "import sys, lakehouse.gate.gate; sys.exit('great_expectations' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT / "lib", check=False).returncode == 0


def test_no_usage_statistics_are_sent(session_gate: Gate) -> None:
    session_gate._great_expectations.get()
    assert os.environ["GX_ANALYTICS_ENABLED"] == "false"
    assert "posthog" not in sys.modules, "the library by which earlier versions sent them"


@pytest.mark.parametrize("name", [f"{layer}.{stem}" for layer in CONTRACTS for stem in CONTRACTS[layer]])
def test_great_expectations_itself_reads_every_suite(session_gate: Gate, name: str) -> None:
    session_gate._great_expectations.get()
    from great_expectations.core.expectation_suite import ExpectationSuite, expectationSuiteSchema

    stored = json.loads((ROOT / "expectations" / f"{name.replace('.', '/')}.json").read_text(encoding="utf-8"))
    suite = ExpectationSuite(**expectationSuiteSchema.load(stored))
    assert [e.expectation_type for e in suite.expectations] == [e["type"] for e in stored["expectations"]]
    assert [e.severity for e in suite.expectations] == [e["severity"] for e in stored["expectations"]]


# What the rules say, table by table: a row that keeps them all, then rows that break one each.


@pytest.mark.parametrize("stem", list(CONTRACTS["bronze"]))
def test_bronze_rows_are_stamped_in_their_window(session_gate: Gate, spark: SparkSession, stem: str) -> None:
    given = rows(
        spark,
        f"bronze.{stem}",
        "created_at updated_at",
        ("2011-12-09 23:59:59.999999", "2011-12-09 23:59:59.999999"),
        ("2011-12-09", "2011-12-10"),
        ("2011-12-09", None),
        ("2011-12-09", "2011-12-08"),
    )
    findings = checked(session_gate, f"bronze.{stem}", given, {"next_date": NEXT_DATE})
    assert failed(findings) == {"stamped_after_window": 1}
    assert failed(findings, "warning") == {"unstamped": 1, "changed_before_made": 1}


def test_bronze_keys_that_are_null_are_warned_of(session_gate: Gate, spark: SparkSession) -> None:
    given = rows(spark, "bronze.inventory", "product_id warehouse_id", ("P1", "W1"), ("P1", None), (None, None))
    findings = checked(session_gate, "bronze.inventory", given)
    assert {r: n for r, n in failed(findings, "warning").items() if r.endswith("_id_null")} == {
        "product_id_null": 1,
        "warehouse_id_null": 2,
    }


def test_silver_customers_have_clean_identifiers_addresses_and_numbers(session_gate: Gate, spark: SparkSession) -> None:
    given = rows(
        spark,
        "silver.customers",
        "customer_id email phone",
        ("17850", "ann@example.org", "+441234"),
        ("É 1.0", None, None),
        ("a1", "ann.example.org", "44 1234"),
        ("17850.0", "ann@example", "44+1234"),
        (" 1", "ann @example.org", "+"),
        ("1  2", "ann@example.org.", ""),
        ("1\u00a02", "a@..b", "0"),
    )
    findings = checked(session_gate, "silver.customers", given)
    assert failed(findings) == {"customer_id_unclean": 5, "email_malformed": 3, "phone_malformed": 4}


def test_silver_campaigns_have_clean_channels(session_gate: Gate, spark: SparkSession) -> None:
    given = rows(
        spark, "silver.campaigns", "channel budget", ("daily_paper", "1.00"), ("Radio", "0"), ("daily paper", None)
    )
    findings = checked(session_gate, "silver.campaigns", given)
    assert failed(findings) == {"channel_unclean": 2}
    assert failed(findings, "warning") == {"unfunded": 2}


def test_silver_orders_after_the_business_date_are_warned_of(session_gate: Gate, spark: SparkSession) -> None:
    given = rows(spark, "silver.orders", "ordered_at", ("2011-12-09 23:59:59",), ("2011-12-10",))
    findings = checked(session_gate, "silver.orders", given, {"next_date": NEXT_DATE})
    assert failed(findings, "warning") == {"ordered_in_future": 1}


def test_silver_stock_adds_up_and_what_is_odd_is_warned_of(session_gate: Gate, spark: SparkSession) -> None:
    given = rows(
        spark,
        "silver.inventory",
        "quantity_on_hand quantity_reserved available reorder_point",
        (5, 2, 3, 1),
        (5, 2, 2, None),
        (1, 2, -1, -1),
        (-1, -2, 1, 0),
        (-2_147_483_648, 2_147_483_647, -4_294_967_295, 0),
    )
    findings = checked(session_gate, "silver.inventory", given)
    assert failed(findings) == {"available_wrong": 1}
    assert failed(findings, "warning") == {
        "oversold": 2,
        "stock_negative": 2,
        "reserved_negative": 1,
        "reorder_point_negative": 1,
    }


def test_silver_products_warn_of_a_price_list_that_is_wrong_or_missing(session_gate: Gate, spark: SparkSession) -> None:
    header = "price cost profit_margin"
    good, below, unpriced = ("2.00", "1.00", "0.5"), ("1.00", "2.00", "-1"), (None, "1.00", None)
    few = rows(spark, "silver.products", header, *[good] * 18, below, unpriced)
    many = rows(spark, "silver.products", header, *[good] * 6, below, unpriced, unpriced, unpriced)
    assert failed(checked(session_gate, "silver.products", few), "warning") == {}
    assert failed(checked(session_gate, "silver.products", many), "warning") == {"priced_below_cost": 1, "unpriced": 3}


LINES = (
    (2, "1.50", "1.00", None, "3.00", "2.00"),
    (-2, "1.50", "1.00", "1.00", "-3.00", "-2.00"),
    (-2, "1.50", "1.00", "1.00", "-3.00", "-4.00"),
    (0, "1.50", "0.0001", "1.00", "0", "-0.0001"),
    (1, "-1.00", "0", "-1.00", "-1.00", "-1.00"),
    (None, None, "-1.00", None, None, None),
    (18_645_507, "536322.2357", "0", None, "9999999999999.9999", "9999999999999.9999"),
    (200_000, "50000000", "0", None, "10000000000000", "10000000000000"),
)
LINES_HEADER = "quantity unit_price discount unit_cost gross_amount net_amount"


def test_silver_lines_give_back_what_they_had_brought(session_gate: Gate, spark: SparkSession) -> None:
    findings = checked(session_gate, "silver.order_items", rows(spark, "silver.order_items", LINES_HEADER, *LINES))
    assert failed(findings) == {"net_amount_wrong": 1}


def test_an_expectation_counts_exactly_the_rows_its_reason_holds_for(session_gate: Gate, spark: SparkSession) -> None:
    given = rows(spark, "silver.order_items", LINES_HEADER, *LINES)
    given = given.withColumns(
        {"_not_representable": F.array(), "_held_order_id": F.lit(True), "_held_product_id": F.lit(True)}
    )
    rules = {r.name: r for r in quarantine_rules(contract("silver.order_items"), SUITES["silver"]["order_items"])}
    by_spark = given.agg(*(F.count_if(r.fires).alias(name) for name, r in rules.items())).toArrow().to_pylist()[0]
    by_gate = {f.rule: f.unexpected for f in checked(session_gate, "silver.order_items", given) if f.rule in rules}
    assert by_gate == {e.rule: by_spark[e.rule] for e in SUITES["silver"]["order_items"].reasoned}
    assert by_gate == {
        "quantity_zero": 1,
        "unit_price_negative": 1,
        "unit_cost_negative": 1,
        "discount_negative": 1,
        "discount_exceeds_gross": 1,
        "gross_out_of_range": 1,
    }


def test_gold_products(session_gate: Gate, spark: SparkSession) -> None:
    given = rows(
        spark,
        "gold.dim_products",
        "price cost profit_margin first_sold_date last_sold_date",
        ("2.00", "1.00", "0.5", "2011-12-01", "2011-12-01"),
        (None, None, None, None, None),
        ("-1.00", "-1.00", "1.0001", None, None),
        (None, None, None, "2011-12-02", "2011-12-01"),
        (None, None, None, "2011-12-01", None),
    )
    findings = checked(session_gate, "gold.dim_products", given)
    assert failed(findings) == {
        "sold_dates_reversed": 1,
        "sold_dates_torn": 1,
    }
    assert (
        failed(findings, "warning").items()
        >= {
            "price_negative": 1,
            "cost_negative": 1,
            "margin_above_one": 1,
        }.items()
    )


def test_gold_customers(session_gate: Gate, spark: SparkSession) -> None:
    given = rows(
        spark,
        "gold.dim_customers",
        "customer_id lifetime_orders first_order_date last_order_date is_repeat_customer",
        ("UNKNOWN", 2, "2011-12-01", "2011-12-02", None),
        ("C1", 0, None, None, False),
        ("C2", 2, "2011-12-01", "2011-12-02", True),
        ("C3", -1, None, None, False),
        ("C4", 1, "2011-12-02", "2011-12-01", False),
        ("C5", 1, None, None, False),
        ("C6", 0, "2011-12-01", None, False),
        ("C7", 2, "2011-12-01", "2011-12-01", False),
        ("C8", 0, None, None, None),
        ("C9", 2, "2011-12-01", "2011-12-01", None),
    )
    assert failed(checked(session_gate, "gold.dim_customers", given)) == {
        "lifetime_orders_negative": 1,
        "order_dates_reversed": 1,
        "order_dates_torn": 2,
        "repeat_wrong": 2,
    }


def test_gold_customers_are_never_without_the_row_of_guests(session_gate: Gate, spark: SparkSession) -> None:
    nobody = rows(spark, "gold.dim_customers", "")
    assert failed(checked(session_gate, "gold.dim_customers", nobody)) == {"guest_row_missing": None}


def test_gold_daily_sales(session_gate: Gate, spark: SparkSession) -> None:
    header = (
        "sales_date order_count customer_count units_sold units_returned gross_sales returns_amount discount_amount net_sales "
        "cost_of_goods gross_profit"
    )
    given = rows(
        spark,
        "gold.fact_daily_sales",
        header,
        (DAY, 1, 1, 2, 0, "9.99", "0", "0.0001", "9.9899", "1.00", "8.9899"),
        (DAY, 0, 0, 0, 2, "0", "5.00", "-1.00", "-4.00", None, None),
        (DAY, 1, 1, 0, 0, "0", "0", "0", "0", None, None),
        (DAY, 1, 2, 1, -1, "0", "0", "0", "0", None, None),
        (DAY, 1, -1, 1, 0, "-1.00", "-1.00", "0", "0", None, None),
        (DAY, 1, 1, 1, 0, "9.99", "0", "0", "9.9901", "1.00", "8.9902"),
    )
    findings = checked(session_gate, "gold.fact_daily_sales", given)
    assert failed(findings) == {
        "units_below_orders": 1,
        "customers_above_orders": 1,
        "units_returned_negative": 1,
        "customer_count_negative": 1,
        "net_sales_wrong": 1,
        "gross_profit_wrong": 1,
    }
    assert (
        failed(findings, "warning").items()
        >= {
            "gross_sales_negative": 1,
            "returns_amount_negative": 1,
        }.items()
    )


def test_gold_orders(session_gate: Gate, spark: SparkSession) -> None:
    header = (
        "customer_id status is_sale line_count gross_amount returns_amount discount_amount net_amount "
        "customer_order_number is_first_order days_since_previous_order"
    )
    money = ("9.99", "1.00", "-0.0001", "8.9901")
    given = rows(
        spark,
        "gold.fact_customer_orders",
        header,
        ("C1", "paid", True, 1, *money, 1, True, None),
        ("C1", "paid", True, 1, *money, 2, False, 0),
        ("C1", "pending", False, 0, "0", "0", "0", "0", None, None, None),
        ("UNKNOWN", "returned", True, 1, *money, None, None, None),
        ("C2", "cancelled", True, 1, *money, None, None, None),
        ("C2", "pending", False, 1, *money, 1, True, None),
        ("UNKNOWN", "paid", True, 1, *money, 2, False, 3),
        ("C2", "paid", True, 1, *money, 1, False, None),
        ("C2", "paid", True, 1, *money, None, True, None),
        ("C2", "paid", True, 1, *money, 0, False, 1),
        ("C2", "paid", True, 1, *money, 1, True, 1),
        ("C2", "paid", True, 1, *money, 2, False, None),
        ("C2", "paid", True, -1, "-1.00", "-2.00", "0", "1.0001", 2, False, -2),
    )
    findings = checked(session_gate, "gold.fact_customer_orders", given)
    assert failed(findings) == {
        "is_sale_wrong": 1,
        "order_number_wrong": 4,
        "order_number_below_one": 1,
        "days_since_wrong": 2,
        "order_dates_reversed": 1,
        "line_count_negative": 1,
        "net_amount_wrong": 1,
    }
    assert (
        failed(findings, "warning").items()
        >= {
            "gross_amount_negative": 1,
            "returns_amount_negative": 1,
        }.items()
    )


def test_gold_campaigns(session_gate: Gate, spark: SparkSession) -> None:
    given = rows(
        spark,
        "gold.agg_campaign_performance",
        "budget start_date end_date orders customers new_customers units_sold",
        ("1.00", "2011-12-01", "2011-12-01", 2, 1, 1, 2),
        (None, None, None, 0, 0, 0, 0),
        ("-1.00", "2011-12-02", "2011-12-01", -1, -1, -1, 0),
        ("1.00", None, None, 1, 2, 3, 0),
    )
    findings = checked(session_gate, "gold.agg_campaign_performance", given)
    assert failed(findings) == {
        "orders_negative": 1,
        "customers_above_orders": 1,
        "new_above_customers": 1,
        "units_below_orders": 1,
    }
    assert (
        failed(findings, "warning").items()
        >= {
            "budget_negative": 1,
            "dates_reversed": 1,
        }.items()
    )


def test_gold_stock(session_gate: Gate, spark: SparkSession) -> None:
    given = rows(
        spark,
        "gold.agg_inventory_status",
        "quantity_on_hand quantity_reserved available units_sold_30d stock_status stock_value",
        (5, 2, 3, 0, "healthy", "1.00"),
        (5, 5, 0, 0, "out_of_stock", "1.00"),
        (5, None, None, 0, None, None),
        (5, 2, 2, -1, "sold", "-1.00"),
        (5, 5, 0, 0, "low", "1.00"),
        (5, 2, 3, 0, "out_of_stock", "1.00"),
        (5, 2, 3, 0, None, "1.00"),
        (5, None, None, 0, "low", "1.00"),
    )
    findings = checked(session_gate, "gold.agg_inventory_status", given)
    assert failed(findings) == {
        "available_wrong": 1,
        "units_sold_negative": 1,
        "stock_status_not_allowed": 1,
        "stock_status_wrong": 4,
    }
    assert failed(findings, "warning") == {"stock_value_negative": 1}


# How the gate itself behaves.


def test_a_required_value_that_is_missing_in_gold_is_critical(session_gate: Gate, spark: SparkSession) -> None:
    given = rows(spark, "gold.dim_products", "product_id category", ("P1", "Toys"), (None, None), ("P3", None))
    assert failed(checked(session_gate, "gold.dim_products", given)) == {"product_id_null": 1, "category_null": 2}


def test_rows_are_compared_with_the_last_publish(session_gate: Gate, spark: SparkSession) -> None:
    given = rows(spark, "gold.dim_products", "", *[()] * 5)

    def told(previous: int | None) -> list[str]:
        findings = checked(session_gate, "gold.dim_products", given, {"previous_rows": previous})
        return [f"{f.rule} {f.severity}" for f in findings if not f.success]

    assert told(None) == told(0) == told(5) == []
    assert told(6) == told(210) == ["rows_shrunk warning"]
    assert told(212) == ["rows_lost critical", "rows_shrunk warning"]


def test_a_check_costs_one_query_whatever_the_number_of_rules(session_gate: Gate, spark: SparkSession) -> None:
    given = rows(spark, "silver.order_items", LINES_HEADER, *LINES)
    bus, store = spark.sparkContext._jsc.sc().listenerBus(), spark._jsparkSession.sharedState().statusStore()

    def latest_query() -> int:
        # Their number would not do: the store keeps the last thousand only.
        bus.waitUntilEmpty()
        return int(store.executionsList().last().executionId())

    given.count()
    before = latest_query()
    assert len(checked(session_gate, "silver.order_items", given)) > 10
    assert latest_query() - before == 1


def test_a_count_that_spark_does_not_tell_is_an_error_and_not_waited_for(
    session_gate: Gate, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = rows(spark, "gold.dim_products", "", ())
    suite = session_gate.measures(contract("gold.dim_products"), SUITES["gold"]["dim_products"], given.columns, {})
    monkeypatch.setattr(measures, "TOLD_WITHIN", 0.01)
    with pytest.raises(LakehouseError, match=r"^gold\.dim_products: Spark did not say what it counted within"):
        measures.observed(given, suite, {}, lambda _: None)


def test_rows_that_cannot_be_read_are_no_fault_of_a_rule(session_gate: Gate, spark: SparkSession) -> None:
    given = rows(spark, "gold.dim_products", "product_name", ("mug",)).where("cast(product_name as int) > 0")
    with pytest.raises(PySparkException) as told:
        checked(session_gate, "gold.dim_products", given)
    assert told.value.getCondition() == "CAST_INVALID_INPUT"


def test_a_column_that_is_missing_is_told_once(session_gate: Gate, spark: SparkSession) -> None:
    given = rows(spark, "gold.dim_products", "", ()).drop("price", "cost")
    findings = checked(session_gate, "gold.dim_products", given)
    assert failed(findings) == {"columns": 2}
    assert "price_negative" not in {f.rule for f in findings}


def test_a_rule_that_cannot_be_computed_is_no_rule_that_is_met_and_shows_no_value(
    session_gate: Gate, spark: SparkSession, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    given = rows(spark, "gold.dim_products", "", ()).withColumn("price", F.lit("4711-secret"))
    with caplog.at_level(logging.INFO), pytest.raises(LakehouseError) as told:
        checked(session_gate, "gold.dim_products", given)
    assert "gold.dim_products: 1 rules could not be computed: price_negative (CAST_INVALID_INPUT)" in str(told.value)
    assert "4711-secret" not in str(told.value) + caplog.text + "".join(capfd.readouterr())


def test_nothing_is_refused_for_a_warning() -> None:
    raise_if_critical([Finding("gold", "dim_products", "priced_below_cost", "warning", False, 7, 9)])


def test_critical_rules_that_failed_are_named_with_their_counts() -> None:
    findings = [
        Finding("gold", "dim_products", "price_negative", "critical", False, 1234, 56789),
        Finding("gold", "dim_products", "rows_lost", "critical", False, None, 5),
        Finding("gold", "dim_products", "cost_negative", "critical", True, 0, 56789),
    ]
    with pytest.raises(GateError) as refused:
        raise_if_critical(findings)
    assert "gold.dim_products price_negative (1,234 of 56,789 rows); gold.dim_products rows_lost (5 rows). " in str(
        refused.value
    )


def test_at_most_ten_are_named() -> None:
    findings = [Finding("gold", "dim_products", f"rule_{n}", "critical", False, 1, 1) for n in range(12)]
    with pytest.raises(GateError, match=r"rule_9 \(1 of 1 rows\) and 2 more\."):
        raise_if_critical(findings)

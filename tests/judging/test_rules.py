"""Why a row goes to quarantine: every reason of every table, by the names quarantine keeps."""

from __future__ import annotations

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakehouse.contracts import load_contracts
from lakehouse.judging.rules import quarantine_rules
from lakehouse.judging.suites import load_suites
from tests.tables import CONTRACTS, contract, table

pytestmark = pytest.mark.unit

SUITES = load_suites(CONTRACTS)
# The rows that a row names are held, and bronze could hold every value, unless a row says otherwise.
HELD = {
    "orders": ("customer_id", "campaign_id"),
    "order_items": ("order_id", "product_id"),
    "inventory": ("product_id",),
}
REASONS_OF_ALL = ["key_null", "key_too_long", "not_representable"]


def reasons(spark: SparkSession, name: str, header: str, *rows: tuple[object, ...]) -> list[list[str]]:
    """The reasons of each row, in the order of the rows; cells as in tests.tables, `_not_representable` as words."""
    names = header.split()
    records = [dict(zip(names, row, strict=True)) for row in rows]
    working = {"_not_representable": ""} | {f"_held_{c}": True for c in HELD.get(name, ())}
    given = [n for n in names if n not in working]
    frame = table(spark, f"silver.{name}", " ".join(given), *[tuple(r[n] for n in given) for r in records]).toArrow()
    for column, usual in working.items():
        values = [r.get(column, usual) for r in records]
        if column == "_not_representable":
            frame = frame.append_column(column, pa.array([str(v).split() for v in values], pa.list_(pa.string())))
        else:
            frame = frame.append_column(column, pa.array(values, pa.bool_()))
    frame = frame.append_column("_position", pa.array(range(len(records))))
    rules = quarantine_rules(contract(f"silver.{name}"), SUITES["silver"][name])
    fired = F.array_compact(F.array(*(F.when(r.fires, r.name) for r in rules))).alias("reasons")
    found = (
        spark.createDataFrame(frame).select("_position", fired, *(r.fires.alias(f"_{r.name}") for r in rules)).toArrow()
    )
    assert not any(found.column(f"_{r.name}").null_count for r in rules), "a rule fires or does not, it is never null"
    return [row["reasons"] for row in sorted(found.to_pylist(), key=lambda row: row["_position"])]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("customers", ["key_reserved"]),
        ("products", ["price_negative", "cost_negative"]),
        ("campaigns", ["budget_negative", "end_before_start"]),
        ("orders", ["status_not_allowed", "ordered_at_null", "customer_missing", "campaign_missing"]),
        (
            "order_items",
            [
                *("quantity_null", "quantity_zero", "unit_price_null", "unit_price_negative", "unit_cost_negative"),
                *("discount_negative", "discount_exceeds_gross", "gross_out_of_range", "order_missing"),
                "product_missing",
            ],
        ),
        ("inventory", []),
    ],
)
def test_each_table_has_exactly_its_reasons(spark: SparkSession, name: str, expected: list[str]) -> None:
    rules = quarantine_rules(contract(f"silver.{name}"), SUITES["silver"][name])
    assert sorted(r.name for r in rules) == sorted(REASONS_OF_ALL + expected)


def test_a_key_has_no_null_part_and_no_part_that_no_index_holds(spark: SparkSession) -> None:
    # é is two bytes of UTF-8: 500 of them are 1,000 bytes.
    rows = [
        ("P1", "W1", []),
        (None, "W1", ["key_null"]),
        ("P1", None, ["key_null"]),
        ("p" * 1000, "W1", []),
        ("P1", "w" * 1001, ["key_too_long"]),
        ("é" * 500, "W1", []),
        ("é" * 500 + "e", "W1", ["key_too_long"]),
        ("p" * 1001, None, ["key_null", "key_too_long"]),
    ]
    found = reasons(spark, "inventory", "product_id warehouse_id", *[row[:2] for row in rows])
    assert found == [row[2] for row in rows]


def test_the_word_for_guests_is_no_customer(spark: SparkSession) -> None:
    assert reasons(spark, "customers", "customer_id", ("UNKNOWN",), ("UNKNOWN1",), (None,)) == [
        ["key_reserved"],
        [],
        ["key_null"],
    ]


def test_a_value_bronze_could_not_hold_is_told_beside_what_its_absence_breaks(spark: SparkSession) -> None:
    found = reasons(
        spark,
        "orders",
        "status ordered_at _not_representable",
        ("paid", "2011-12-01", ""),
        ("paid", "2011-12-01", "updated_at"),
        ("paid", None, "ordered_at"),
    )
    assert found == [[], ["not_representable"], ["not_representable", "ordered_at_null"]]


def test_products_cost_and_bring_at_least_nothing(spark: SparkSession) -> None:
    rows = [
        ("0", "0", []),
        (None, None, []),
        ("-0.0001", "0.0001", ["price_negative"]),
        ("1.00", "-0.0001", ["cost_negative"]),
        ("-1.00", "-1.00", ["price_negative", "cost_negative"]),
    ]
    assert reasons(spark, "products", "price cost", *[row[:2] for row in rows]) == [row[2] for row in rows]


def test_campaigns_have_a_budget_of_at_least_nothing_and_end_after_they_start(spark: SparkSession) -> None:
    rows = [
        ("0", "2011-12-01", "2011-12-01", []),
        ("-0.01", "2011-12-01", "2011-12-02", ["budget_negative"]),
        ("1.00", "2011-12-02", "2011-12-01", ["end_before_start"]),
        (None, "2011-12-02", None, []),
        (None, None, "2011-12-01", []),
    ]
    header = "budget start_date end_date"
    assert reasons(spark, "campaigns", header, *[row[:3] for row in rows]) == [row[3] for row in rows]


def test_orders_have_a_known_status(spark: SparkSession) -> None:
    allowed = ("pending", "paid", "shipped", "delivered", "cancelled", "returned")
    assert reasons(spark, "orders", "status", *[(s,) for s in allowed]) == [[]] * 6
    assert reasons(spark, "orders", "status", ("lost",), (None,)) == [["status_not_allowed"]] * 2


def test_orders_have_a_time(spark: SparkSession) -> None:
    header = "status ordered_at"
    assert reasons(spark, "orders", header, ("paid", None), ("paid", "2011-12-01")) == [["ordered_at_null"], []]


def test_orders_name_a_customer_that_is_held_or_are_a_guests(spark: SparkSession) -> None:
    rows = [
        ("C1", True, []),
        ("C1", False, ["customer_missing"]),
        ("C1", None, ["customer_missing"]),
        ("UNKNOWN", None, []),
        (None, None, ["customer_missing"]),
    ]
    given = [("paid", *row[:2]) for row in rows]
    assert reasons(spark, "orders", "status customer_id _held_customer_id", *given) == [row[2] for row in rows]


def test_orders_name_no_campaign_or_one_that_is_held(spark: SparkSession) -> None:
    rows = [("K1", True, []), ("K1", None, ["campaign_missing"]), ("K1", False, ["campaign_missing"]), (None, None, [])]
    given = [("paid", *row[:2]) for row in rows]
    assert reasons(spark, "orders", "status campaign_id _held_campaign_id", *given) == [row[2] for row in rows]


def test_lines_name_an_order_and_a_product_that_are_held(spark: SparkSession) -> None:
    rows = [
        ("O1", True, "P1", True, []),
        ("O1", None, "P1", True, ["order_missing"]),
        ("O1", True, "P1", False, ["product_missing"]),
        (None, None, None, None, ["order_missing", "product_missing"]),
    ]
    header = "quantity unit_price order_id _held_order_id product_id _held_product_id"
    assert reasons(spark, "order_items", header, *[(1, "1.00", *row[:4]) for row in rows]) == [row[4] for row in rows]


def test_lines_have_units_at_a_price(spark: SparkSession) -> None:
    rows = [
        (1, "0", []),
        (-1, "2.50", []),
        (0, "2.50", ["quantity_zero"]),
        (None, "2.50", ["quantity_null"]),
        (1, None, ["unit_price_null"]),
        (None, None, ["quantity_null", "unit_price_null"]),
        (1, "-0.0001", ["unit_price_negative"]),
    ]
    assert reasons(spark, "order_items", "quantity unit_price", *[row[:2] for row in rows]) == [row[2] for row in rows]


def test_lines_cost_at_least_nothing_if_their_cost_is_known(spark: SparkSession) -> None:
    given = [(1, "1.00", cost) for cost in (None, "0", "-0.0001")]
    assert reasons(spark, "order_items", "quantity unit_price unit_cost", *given) == [[], [], ["unit_cost_negative"]]


def test_a_discount_takes_off_and_at_most_what_the_line_is_worth(spark: SparkSession) -> None:
    rows = [
        (2, "1.50", "3.00", []),
        (-2, "1.50", "3.00", []),
        (2, "1.50", "3.0001", ["discount_exceeds_gross"]),
        (-2, "1.50", "3.0001", ["discount_exceeds_gross"]),
        (2, "1.50", "-0.0001", ["discount_negative"]),
        (0, "1.50", "0.0001", ["quantity_zero", "discount_exceeds_gross"]),
        (None, "1.50", "3.0001", ["quantity_null"]),
    ]
    header = "quantity unit_price discount"
    assert reasons(spark, "order_items", header, *[row[:3] for row in rows]) == [row[3] for row in rows]


def test_ten_trillion_on_a_line_is_out_of_range_and_a_ten_thousandth_less_is_not(spark: SparkSession) -> None:
    # 18,645,507 x 536,322.2357 = 9,999,999,999,999.9999, which as a double would be 10^13.
    rows = [
        (200_000, "50000000", ["gross_out_of_range"]),
        (-200_000, "50000000", ["gross_out_of_range"]),
        (18_645_507, "536322.2357", []),
        (-18_645_507, "536322.2357", []),
        (2_147_483_647, "99999999.9999", ["gross_out_of_range"]),
    ]
    assert reasons(spark, "order_items", "quantity unit_price", *[row[:2] for row in rows]) == [row[2] for row in rows]


def test_stock_of_an_unknown_product_stays(spark: SparkSession) -> None:
    assert reasons(spark, "inventory", "product_id _held_product_id", ("P1", False), ("P2", None)) == [[], []]


def test_contracts_and_suites_of_the_project_load() -> None:
    suites = load_suites(load_contracts())
    assert {layer: len(tables) for layer, tables in suites.items()} == {"bronze": 6, "silver": 6, "gold": 6}

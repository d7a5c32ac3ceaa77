"""A frame keeps its contract: its columns in its types, or every difference named at once."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from lakehouse.conform import conformed, warning_columns
from lakehouse.contracts import Contract
from lakehouse.errors import ConfigError
from tests.tables import expect

pytestmark = pytest.mark.unit


def contract(*columns: tuple[str, str]) -> Contract:
    """A contract of a key and these columns."""
    properties = [{"name": n, "physicalType": t, "description": n} for n, t in (("mug_id", "text"), *columns)]
    properties[0]["primaryKey"] = True  # type: ignore[assignment]
    return Contract.model_validate(
        {
            "apiVersion": "v3.1.0",
            "kind": "DataContract",
            "id": "gold.dim_mugs",
            "version": "1.0.0",
            "status": "active",
            "owner": "data-engineering",
            "description": {"purpose": "for a test"},
            "dataGranularityDescription": "One row per mug",
            "properties": properties,
        }
    )


def test_columns_come_in_the_contracts_order_and_only_they_and_technical_ones(spark: SparkSession) -> None:
    frame = spark.createDataFrame(pa.table({"_run_id": ["r1"], "extra": [1], "colour": ["red"], "mug_id": ["1"]}))
    found = conformed(frame, contract(("colour", "text")))
    assert found.columns == ["mug_id", "colour", "_run_id"]
    expect(found, "mug_id colour _run_id", ("1", "red", "r1"))


def test_integers_widen_to_what_the_contract_says(spark: SparkSession) -> None:
    whole = pa.array([7, None], pa.int32())
    frame = spark.createDataFrame(pa.table({"mug_id": ["1", "2"], "sold": whole, "price": whole, "stock": whole}))
    found = conformed(frame, contract(("sold", "bigint"), ("price", "numeric(12,4)"), ("stock", "integer")))
    assert [kind for _, kind in found.dtypes] == ["string", "bigint", "decimal(12,4)", "int"]
    expect(found, "mug_id sold price stock", ("1", 7, "7.0000", 7), ("2", None, None, None))


def test_a_decimal_that_does_not_fit_becomes_null_and_is_counted(spark: SparkSession) -> None:
    prices = pa.array([Decimal("99999.9999"), Decimal("100000"), Decimal("-100000"), None], pa.decimal128(12, 4))
    frame = spark.createDataFrame(pa.table({"mug_id": list("abcd"), "price": prices}))
    found = conformed(frame, contract(("price", "numeric(9,4)")))
    assert found.dtypes[1] == ("price", "decimal(9,4)")
    assert warning_columns(found) == ["_warn_price_out_of_range"]
    expect(
        found,
        "mug_id price _warn_price_out_of_range",
        ("a", "99999.9999", False),
        ("b", None, True),
        ("c", None, True),
        ("d", None, False),
    )


@pytest.mark.parametrize("digits", [(9, 4), (8, 4), (4, 0)])
def test_a_decimal_that_always_fits_is_not_counted(spark: SparkSession, digits: tuple[int, int]) -> None:
    frame = spark.createDataFrame(
        pa.table({"mug_id": ["1"], "price": pa.array([Decimal("2")], pa.decimal128(*digits))})
    )
    found = conformed(frame, contract(("price", "numeric(9,4)")))
    assert warning_columns(found) == []
    expect(found, "price", ("2.0000",))


def test_every_difference_is_named_at_once(spark: SparkSession) -> None:
    columns = {
        "mug_id": ["1"],
        "colour": [1],
        "sold": ["7"],
        "price": [1.5],
        "at": ["2011-12-01"],
        "big": [2**40],
        "worth": [2**40],
    }
    promised = contract(
        ("colour", "text"),
        ("sold", "bigint"),
        ("price", "numeric(12,4)"),
        ("at", "timestamptz"),
        ("big", "integer"),
        ("worth", "numeric(12,4)"),
        ("shelf", "text"),
        ("room", "text"),
    )
    with pytest.raises(ConfigError) as caught:
        conformed(spark.createDataFrame(pa.table(columns)), promised)
    said = str(caught.value)
    assert said.startswith("the transform of gold.dim_mugs does not keep its contract: ")
    assert sorted(said.partition("contract: ")[2].split("; ")) == [
        "at is string, not timestamp",
        "big is bigint, not int",
        "colour is bigint, not string",
        "price is double, not decimal(12,4)",
        "room is missing",
        "shelf is missing",
        "sold is string, not bigint",
        "worth is bigint, not decimal(12,4)",
    ]


def test_a_decimal_is_no_integer_and_an_integer_no_text(spark: SparkSession) -> None:
    frame = spark.createDataFrame(
        pa.table(
            {
                "mug_id": ["1"],
                "sold": pa.array([Decimal("7")], pa.decimal128(12, 0)),
                "colour": pa.array([1], pa.int32()),
            }
        )
    )
    with pytest.raises(ConfigError, match=r"sold is decimal\(12,0\), not bigint; colour is int, not string$"):
        conformed(frame, contract(("sold", "bigint"), ("colour", "text")))

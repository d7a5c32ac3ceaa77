"""Small tables for tests: a row says the columns that matter, the contract fills the rest; chispa compares.

    given = table(spark, "bronze.orders", "order_id status", ("A1", "Paid"), ("A2", None))
    expect(silver(given, "orders"), "order_id status", ("A1", "paid"), ("A2", None))

Values are written as a person writes them: money as "1.50", days as "2011-12-09", instants as "2011-12-09 12:50" in UTC.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
from chispa import assert_column_equality
from chispa.rows_comparer import assert_basic_rows_equality
from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from lakehouse import contracts
from lakehouse.conform import conformed
from lakehouse.contracts import Contract, load_contracts
from lakehouse.gate.gate import Gate
from lakehouse.gate.measures import Measures, observed
from lakehouse.judging.suites import Suite
from lakehouse.records import Finding

CONTRACTS = load_contracts()
ARROW_TYPES = {
    "text": pa.string(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamptz": pa.timestamp("us", tz="UTC"),
}
# What a required column holds where a row does not say: the plainest value of its type.
PLAIN = {"text": "-", "integer": 0, "bigint": 0, "boolean": False, "date": "2000-01-01", "timestamptz": "2000-01-01"}


def contract(name: str) -> Contract:
    """The project's contract of `layer.table`."""
    layer, _, stem = name.partition(".")
    return CONTRACTS[layer][stem]


def judged(
    gate: Gate,
    contract: Contract,
    suite: Suite,
    frame: DataFrame,
    parameters: Mapping[str, int | date | None] | None = None,
) -> list[Finding]:
    """What the gate finds of a frame, counted while it is read once."""
    measures = gate.measures(contract, suite, frame.columns, parameters or {})
    return gate.judge(measures, frame, counted(frame, measures, {}))


def counted(frame: DataFrame, measures: Measures, also: Mapping[str, Column]) -> dict[str, Any]:
    """What is counted of a frame as it is written to nowhere."""
    return observed(frame, measures, also, lambda rows: rows.write.format("noop").mode("overwrite").save())[1]


def table(spark: SparkSession, name: str | Contract, header: str, *rows: tuple[object, ...]) -> DataFrame:
    """A frame of a contract's table (`bronze.orders`): the header's columns as given, every other filled.

    A column left out is null where it may be; a key is 1, 2, … and a required column the plainest value of its type.
    Columns beyond the contract are technical (leading `_`), of the type their values have.
    """
    promised = contract(name) if isinstance(name, str) else name
    names = header.split()
    records = [dict(zip(names, row, strict=True)) for row in rows]
    columns = {c.name: _column(c, records) for c in promised.columns}
    columns |= {n: pa.array([r[n] for r in records]) for n in names if n.startswith("_")}
    assert set(names) <= set(columns), f"not of {promised.id}: {set(names) - set(columns)}"
    return spark.createDataFrame(pa.table(columns))


def lines(spark: SparkSession, header: str, *rows: tuple[object, ...]) -> DataFrame:
    """Valid rows of silver.order_items: their gross and net amounts follow from what is given."""
    names = header.split()

    def amounts(row: tuple[object, ...]) -> tuple[Decimal, Decimal]:
        given = dict(zip(names, row, strict=True))
        quantity, price, discount = (Decimal(str(given.get(n, 0))) for n in ("quantity", "unit_price", "discount"))
        gross = quantity * price
        return gross, gross - discount.copy_sign(quantity)

    return table(
        spark, "silver.order_items", f"{header} gross_amount net_amount", *((*row, *amounts(row)) for row in rows)
    )


def silver(images: DataFrame, name: str) -> DataFrame:
    """Silver's transform of bronze images, in the types of its contract."""
    module = importlib.import_module(f"lakehouse.silver.{name}")
    return conformed(module.transform(images), contract(f"silver.{name}"))


def gold(name: str, inputs: Mapping[str, DataFrame | date]) -> DataFrame:
    """A gold table from silver tables (and `business_date`), through the gold tables it is built on, by argument names."""

    def built(table_name: str) -> DataFrame | date:
        if table_name in inputs:
            return inputs[table_name]
        transform = importlib.import_module(f"lakehouse.gold.{table_name}").transform
        frame: DataFrame = transform(*(built(argument) for argument in inspect.signature(transform).parameters))
        return frame

    frame = built(name)
    assert isinstance(frame, DataFrame)
    return conformed(frame, contract(f"gold.{name}"))


def expect(frame: DataFrame, header: str, *rows: tuple[object, ...]) -> None:
    """Fails unless the frame's columns named in the header hold exactly these rows, in any order."""
    actual = frame.select(*header.split()).toArrow()
    expected = [{f.name: _read(value, f.type) for f, value in zip(actual.schema, row, strict=True)} for row in rows]

    def in_order(records: list[dict[str, Any]]) -> list[Row]:
        in_types = pa.Table.from_pylist(records, actual.schema).to_pylist()
        return [Row(**record) for record in sorted(in_types, key=repr)]

    assert_basic_rows_equality(in_order(actual.to_pylist()), in_order(expected))


def expect_column(spark: SparkSession, word: Callable[[Column], Column], *cases: tuple[object, object]) -> None:
    """Fails unless a word of columns.py makes of each given value the expected one."""
    given, expected = (pa.array(list(side)) for side in zip(*cases, strict=True))
    frame = spark.createDataFrame(pa.table({"given": given, "expected": expected}))
    assert_column_equality(frame.withColumn("actual", word(F.col("given"))), "actual", "expected")


@contextmanager
def zone(spark: SparkSession, name: str) -> Iterator[None]:
    """The shop's zone within a test."""
    before = spark.conf.get("spark.sql.session.timeZone") or "UTC"
    spark.conf.set("spark.sql.session.timeZone", name)
    try:
        yield
    finally:
        spark.conf.set("spark.sql.session.timeZone", before)


def instant(text: str) -> datetime:
    """An instant written in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _column(column: contracts.Column, records: list[dict[str, Any]]) -> pa.Array:
    kind = pa.decimal128(*column.numeric) if column.numeric else ARROW_TYPES[column.type]
    plain = PLAIN.get(column.type, "0")

    def value(number: int, record: dict[str, Any]) -> object:
        if column.name in record:
            given = record[column.name]
        elif column.primary_key:
            given = str(number)
        else:
            given = plain if column.required else None
        return _read(given, kind)

    return pa.array([value(number, record) for number, record in enumerate(records, 1)], kind)


def _read(value: object, kind: pa.DataType) -> object:
    """A value as a person wrote it, in the type it is to have."""
    if isinstance(value, str):
        if pa.types.is_decimal(kind):
            return Decimal(value)
        if pa.types.is_date(kind):
            return date.fromisoformat(value)
        if pa.types.is_timestamp(kind):
            return instant(value)
    return value

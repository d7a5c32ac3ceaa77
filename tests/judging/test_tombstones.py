"""Keys that are gone: which images their tombstones void, and what becomes of the row that silver has."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.judging.rules import Rule
from lakehouse.judging.tombstones import VOID_TYPE, by_key, images, in_order, is_tombstone, voided
from lakehouse.judging.verdicts import CURRENT_MISSED, TIE_BREAKERS, judged
from lakehouse.records import Extracted
from tests.tables import contract, expect, table

pytestmark = pytest.mark.unit
PRODUCTS = contract("silver.products")


def rules() -> list[Rule]:
    return [Rule("price_negative", F.coalesce(F.col("price") < 0, F.lit(False)))]


def run(name: str, day: int) -> Extracted:
    end = datetime(2020, 1, day, tzinfo=UTC)
    return Extracted(name, "products", end.date(), None, end, "", 1)


def bronze(spark: SparkSession, *rows: tuple[str, str, bool | None]) -> DataFrame:
    return spark.createDataFrame(list(rows), "product_id string, _run_id string, _deleted boolean")


def test_a_tombstone_is_no_image_and_a_lake_of_before_has_none(spark: SparkSession) -> None:
    rows = bronze(spark, ("MUG", "a", None), ("mug", "b", False), ("MUG", "c", True))
    expect(images(rows), "_run_id", ("a",), ("b",))
    before = rows.drop("_deleted")
    expect(images(before), "_run_id", ("a",), ("b",), ("c",))
    expect(before.where(is_tombstone(before)), "_run_id")


def test_it_voids_images_of_its_own_run_and_of_earlier_ones(spark: SparkSession) -> None:
    """In the order of runs, whatever their names and days."""
    runs = in_order(spark, [run("z", 2), run("y", 5), run("x", 4), run("w", 6)])
    rows = bronze(spark, ("MUG", "y", True), ("MUG", "w", True), ("CUP", "y", True), ("JUG", "nobody's", True))
    dead = by_key(rows, runs, ["product_id"])
    given = [("MUG", -1), ("MUG", 0), ("MUG", 1), ("MUG", 2), ("CUP", 1), ("CUP", 2), ("JUG", 0), (None, 0)]
    found = voided(spark.createDataFrame(given, "product_id string, _order int"), dead, ["product_id"])
    expect(
        found.select(
            "product_id", "_order", F.col("_void._order").alias("by"), F.col("_void._window_end").alias("missed")
        ),
        "product_id _order by missed",
        ("MUG", -1, 1, "2020-01-05"),
        ("MUG", 0, 1, "2020-01-05"),
        ("MUG", 1, 1, "2020-01-05"),
        ("MUG", 2, 3, "2020-01-06"),
        ("CUP", 1, 1, "2020-01-05"),
        ("CUP", 2, None, None),
        ("JUG", 0, None, None),
        (None, 0, None, None),
    )


def candidates(spark: SparkSession, *rows: tuple[object, ...]) -> DataFrame:
    """Products to be judged: key, name, price, updated_at, the place of the tombstone that voids it, whether silver had it."""
    header = "product_id product_name price updated_at"
    made = table(spark, "silver.products", header, *((r[0], r[1], r[2], f"2020-01-{r[3]:02}") for r in rows))
    void = {str(r[1]): (r[4], bool(r[5])) for r in rows}
    marks = spark.createDataFrame(
        [(n, place, was) for n, (place, was) in void.items()], "product_name string, p int, _recalled boolean"
    )
    return made.join(marks, "product_name", how="left").select(
        *made.columns,
        "_recalled",
        F.when(F.col("p").isNotNull(), F.struct("p", F.lit(None))).cast(VOID_TYPE).alias("_void"),
        F.array("product_id").alias("_source_key"),
        F.lit("0").alias("_row_md5"),
    )


def current(spark: SparkSession, *rows: tuple[str, int, bool]) -> DataFrame:
    """What silver has: key, the day of its updated_at, whether it was missed before."""
    held = spark.createDataFrame(
        [(k, datetime(2020, 1, d, tzinfo=UTC), m) for k, d, m in rows],
        f"product_id string, _current_updated_at timestamp, {CURRENT_MISSED} boolean",
    )
    return held.withColumns({"_current_source_key": F.array("product_id"), "_current_row_md5": F.lit("0")})


def test_what_is_void_is_removed_and_later_images_count_as_new(spark: SparkSession) -> None:
    given = candidates(
        spark,
        ("MUG", "silver's", 1, 9, 1, True),
        ("MUG", "before", 1, 8, 1, False),
        ("MUG", "invalid before", -1, 8, 1, False),
        ("MUG", "back, older", 1, 2, None, False),
        ("CUP", "silver's cup", 1, 5, 1, True),
        ("JUG", "back, invalid", -1, 2, None, False),
        ("JUG", "silver's jug", 1, 5, 1, True),
    )
    found = judged(given, rules(), PRODUCTS, current(spark, ("MUG", 9, False), ("CUP", 5, False), ("JUG", 5, False)))
    expect(
        found,
        "product_name _verdict _recalls_row _leaves",
        ("silver's", "removed", True, False),
        ("before", "removed", False, False),
        ("invalid before", "removed", False, False),
        ("back, older", "kept", False, False),
        ("silver's cup", "removed", True, True),
        ("back, invalid", "open", False, False),
        ("silver's jug", "removed", True, True),
    )


def test_where_rows_stay_the_best_that_was_valid_stays(spark: SparkSession) -> None:
    given = candidates(
        spark,
        ("MUG", "silver's", 1, 5, 1, True),
        ("MUG", "newer, and void by the same", 1, 6, 1, False),
        ("CUP", "silver's cup", 1, 5, 1, True),
        ("CUP", "older, voided later", 1, 2, 3, False),
        ("CUP", "invalid, and void", -1, 9, 3, False),
        ("JUG", "silver's jug", 1, 5, 1, True),
        ("JUG", "back, older", 1, 2, None, False),
        ("POT", "silver's pot", 1, 5, 1, True),
        ("POT", "back, invalid, older", -1, 2, None, False),
    )
    held = current(spark, *((k, 5, False) for k in ("MUG", "CUP", "JUG", "POT")))
    found = judged(given, rules(), PRODUCTS, held, keeps_missed=True)
    expect(
        found,
        "product_name _verdict _leaves",
        ("silver's", "deduplicated", False),
        ("newer, and void by the same", "kept", False),
        ("silver's cup", "deduplicated", False),
        ("older, voided later", "kept", False),
        ("invalid, and void", "removed", False),
        ("silver's jug", "deduplicated", False),
        ("back, older", "kept", False),
        ("silver's pot", "kept", False),
        ("back, invalid, older", "open", False),
    )


def test_a_row_that_was_missed_by_an_earlier_run_overtakes_nothing(spark: SparkSession) -> None:
    given = candidates(spark, ("MUG", "back, older", 1, 2, None, False), ("CUP", "older", 1, 2, None, False),
                       ("JUG", "back, invalid", -1, 2, None, False), ("POT", "invalid, older", -1, 2, None, False))  # fmt: skip
    held = current(spark, ("MUG", 5, True), ("CUP", 5, False), ("JUG", 5, True), ("POT", 5, False))
    verdicts = {
        ("back, older", "kept"),
        ("older", "deduplicated"),
        ("back, invalid", "open"),
        ("invalid, older", "deduplicated"),
    }
    assert len(TIE_BREAKERS) == 2
    for frame in (given.drop("_void", "_recalled"), given):
        expect(judged(frame, rules(), PRODUCTS, held, keeps_missed=True), "product_name _verdict", *verdicts)

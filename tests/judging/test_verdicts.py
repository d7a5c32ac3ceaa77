"""What becomes of each image: kept, deduplicated, removed, or open in quarantine."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from lakehouse.judging.rules import Rule
from lakehouse.judging.verdicts import DEDUPLICATED, KEPT, OPEN, TIE_BREAKERS, identified, judged
from tests.tables import contract, expect, silver, table, zone

pytestmark = pytest.mark.unit

PRODUCTS = contract("silver.products")


def rules() -> list[Rule]:
    return [
        Rule("key_null", F.col("product_id").isNull()),
        Rule("price_negative", F.coalesce(F.col("price") < 0, F.lit(False))),
        Rule("cost_negative", F.coalesce(F.col("cost") < 0, F.lit(False))),
    ]


def images(spark: SparkSession, header: str, *rows: tuple[object, ...]) -> DataFrame:
    """Products to be judged; a price below 0 makes one invalid.

    `written` is the key as the source wrote it, `md5` that of the row. What a row leaves out is alike in all.
    """
    names = header.split()
    usual = {"product_id": "MUG", "updated_at": "2011-12-01", "written": "MUG", "md5": "0"}
    header = " ".join([*names, *(n for n in usual if n not in names)])
    header = header.replace("written", "_source_key").replace("md5", "_row_md5")
    records = [(*row, *(value for n, value in usual.items() if n not in names)) for row in rows]
    place = header.split().index("_source_key")
    return table(spark, "silver.products", header, *((*r[:place], [r[place]], *r[place + 1 :]) for r in records))


def as_current(kept: DataFrame) -> DataFrame:
    """What silver then holds, as a later run is told of it."""
    return kept.select(
        "product_id",
        F.col("updated_at").alias("_current_updated_at"),
        *(F.col(c).alias(f"_current{c}") for c in TIE_BREAKERS),
    )


def verdicts(candidates: DataFrame, current: DataFrame | None = None) -> DataFrame:
    return judged(candidates, rules(), PRODUCTS, current)


def test_the_newest_valid_image_of_a_key_is_kept(spark: SparkSession) -> None:
    candidates = images(
        spark,
        "product_id product_name updated_at",
        ("MUG", "old", "2011-12-01 10:00"),
        ("MUG", "newest", "2011-12-01 10:00:00.000002"),
        ("MUG", "newer", "2011-12-01 10:00:00.000001"),
        ("CUP", "only", "2011-11-01"),
    )
    expect(
        verdicts(candidates),
        "product_id product_name _verdict",
        ("MUG", "old", "deduplicated"),
        ("MUG", "newest", "kept"),
        ("MUG", "newer", "deduplicated"),
        ("CUP", "only", "kept"),
    )


def test_a_tie_goes_to_the_key_that_the_source_wrote_least_in_byte_order(spark: SparkSession) -> None:
    candidates = images(
        spark,
        "product_id written md5",
        ("MUG", "mug", "0"),
        ("MUG", "MUG", "1"),
        ("MUG", "Mug", "0"),
        ("CUP", "cup", "0"),
        ("CUP", " cup", "1"),
        ("CUP", "\tcup", "2"),
        ("JUG", "\u00a0jug", "0"),
        ("JUG", "jug", "1"),
        ("17850", "17850.0", "0"),
        ("17850", "17850", "1"),
        # In bytes ς (CF 82) is before σ (CF 83), in upper case both are Σ.
        ("Σ", "σ", "0"),
        ("Σ", "ς", "1"),
        # In bytes U+FF21 is before U+10400; in the units of UTF-16 it is after.
        ("Ａ", "\U00010400", "0"),
        ("Ａ", "\uff21", "1"),
    )
    kept = verdicts(candidates).where(F.col("_verdict") == KEPT).select(F.col("_source_key")[0].alias("written"))
    expect(kept, "written", ("MUG",), ("\tcup",), ("jug",), ("17850",), ("ς",), ("\uff21",))


def test_the_parts_of_a_key_decide_a_tie_in_the_contracts_order(spark: SparkSession) -> None:
    candidates = table(
        spark,
        "silver.inventory",
        "product_id warehouse_id _source_key _row_md5",
        ("MUG", "W1", ["mug", "W1"], "0"),
        ("MUG", "W1", ["MUG", "w1"], "1"),
        ("MUG", "W1", ["MUG", "W1"], "2"),
    )
    found = judged(candidates, [Rule("never", F.lit(False))], contract("silver.inventory"), None)
    expect(found, "_row_md5 _verdict", ("0", "deduplicated"), ("1", "deduplicated"), ("2", "kept"))


def test_a_tie_of_one_spelling_goes_to_the_least_md5(spark: SparkSession) -> None:
    candidates = images(spark, "product_name md5", ("b", "0b"), ("a", "0a"), ("c", "0c"))
    expect(
        verdicts(candidates),
        "product_name _verdict",
        ("a", "kept"),
        ("b", "deduplicated"),
        ("c", "deduplicated"),
    )


def test_equal_images_are_one_kept_and_the_rest_deduplicated(spark: SparkSession) -> None:
    candidates = images(spark, "price", *[(1,)] * 3)
    expect(verdicts(candidates), "_verdict", ("kept",), ("deduplicated",), ("deduplicated",))


def test_an_invalid_image_stays_open_until_a_valid_one_is_strictly_newer(spark: SparkSession) -> None:
    candidates = images(
        spark,
        "product_id product_name price updated_at",
        ("MUG", "older", -1, "2011-11-30"),
        ("MUG", "as old", -1, "2011-12-01"),
        ("MUG", "newer", -1, "2011-12-02"),
        ("MUG", "good", 1, "2011-12-01"),
        ("CUP", "never good", -1, "2011-12-01"),
        ("CUP", "never good either", -1, "2011-12-02"),
    )
    expect(
        verdicts(candidates),
        "product_name _verdict",
        ("older", "deduplicated"),
        ("as old", "open"),
        ("newer", "open"),
        ("good", "kept"),
        ("never good", "open"),
        ("never good either", "open"),
    )


def test_an_older_image_never_overwrites_what_silver_holds(spark: SparkSession) -> None:
    held = images(spark, "product_id updated_at", ("MUG", "2011-12-02"), ("CUP", "2011-12-02"))
    candidates = images(
        spark,
        "product_id product_name price updated_at",
        ("MUG", "older", 1, "2011-12-01"),
        ("MUG", "older and invalid", -1, "2011-12-01"),
        ("MUG", "as old and invalid", -1, "2011-12-02"),
        ("MUG", "a bad edit of what is held", -1, "2011-12-03"),
        ("CUP", "newer", 1, "2011-12-03"),
        ("JUG", "new", 1, "2011-12-01"),
    )
    expect(
        verdicts(candidates, as_current(held)),
        "product_name _verdict",
        ("older", "deduplicated"),
        ("older and invalid", "deduplicated"),
        ("as old and invalid", "open"),
        ("a bad edit of what is held", "open"),
        ("newer", "kept"),
        ("new", "kept"),
    )


def test_a_tie_with_what_silver_holds_goes_by_the_same_order(spark: SparkSession) -> None:
    held = [(key, "k", "5") for key in ("ABOVE", "BELOW", "EQUAL", "MORE", "LESS")]
    candidates = images(
        spark,
        "product_id written md5",
        ("ABOVE", "l", "0"),
        ("BELOW", "K", "9"),
        ("EQUAL", "k", "5"),
        ("MORE", "k", "6"),
        ("LESS", "k", "4"),
    )
    expect(
        verdicts(candidates, as_current(images(spark, "product_id written md5", *held))),
        "product_id _verdict",
        ("ABOVE", "deduplicated"),
        ("BELOW", "kept"),
        ("EQUAL", "deduplicated"),
        ("MORE", "deduplicated"),
        ("LESS", "kept"),
    )


def test_images_without_a_key_are_no_images_of_one_another(spark: SparkSession) -> None:
    candidates = images(
        spark,
        "product_id product_name updated_at",
        (None, "one", "2011-12-01"),
        (None, "another", "2011-12-02"),
        ("MUG", "keyed", "2011-12-03"),
    )
    expect(
        verdicts(candidates),
        "product_name _verdict _reasons",
        ("one", "open", ["key_null"]),
        ("another", "open", ["key_null"]),
        ("keyed", "kept", []),
    )


def test_every_reason_that_holds_is_named(spark: SparkSession) -> None:
    candidates = images(
        spark,
        "product_name product_id price cost",
        ("all", None, -1, -1),
        ("two", "MUG", -1, -1),
        ("one", "CUP", 1, -1),
        ("none", "JUG", None, None),
    )
    expect(
        verdicts(candidates),
        "product_name _reasons",
        ("all", ["key_null", "price_negative", "cost_negative"]),
        ("two", ["price_negative", "cost_negative"]),
        ("one", ["cost_negative"]),
        ("none", []),
    )


def test_an_invalid_image_of_no_known_time_is_not_known_to_be_older_and_stays_open(spark: SparkSession) -> None:
    candidates = images(spark, "product_name price updated_at", ("when?", -1, None), ("good", 1, "2011-12-01"))
    expect(verdicts(candidates), "product_name _verdict", ("when?", "open"), ("good", "kept"))


def test_images_of_the_source_are_judged_by_what_it_wrote(spark: SparkSession) -> None:
    bronze = table(
        spark,
        "bronze.products",
        "product_id price updated_at",
        (" mug", 1, "2011-12-01"),
        ("Mug", 2, "2011-12-01"),
        ("mug", 3, "2011-12-01"),
        ("MUG", -1, "2011-12-01"),
    )
    expect(
        verdicts(silver(identified(bronze, contract("bronze.products")), "products")),
        "product_id price _verdict",
        ("MUG", 1, "kept"),
        ("MUG", 2, "deduplicated"),
        ("MUG", 3, "deduplicated"),
        ("MUG", -1, "open"),
    )


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


@pytest.mark.parametrize("name", ["UTC", "America/Sao_Paulo", "Asia/Kathmandu"])
def test_the_md5_of_a_row_is_that_of_its_text_in_any_zone(spark: SparkSession, name: str) -> None:
    with zone(spark, name):
        products = table(
            spark,
            "bronze.products",
            "product_id product_name category brand price cost is_active created_at updated_at",
            (
                " 85123a",
                "Café “Ω”",
                None,
                "",
                "2.55",
                "-0.0001",
                True,
                "1969-12-31 23:59:59.999999",
                "2018-11-04 03:00",
            ),
            ("85123b", r"\N", "\U00010400", "x", None, "0", False, "0001-01-01", "9999-12-31 23:59:59.000001"),
        )
        expect(
            identified(products, contract("bronze.products")),
            "product_id _row_md5",
            (
                " 85123a",
                md5(
                    " 85123a\x1fCafé “Ω”\x1f\\N\x1f\x1f2.5500\x1f-0.0001\x1ftrue"
                    "\x1f1969-12-31T23:59:59.999999Z\x1f2018-11-04T03:00:00.000000Z"
                ),
            ),
            (
                "85123b",
                md5(
                    "85123b\x1f\\N\x1f\U00010400\x1fx\x1f\\N\x1f0.0000\x1ffalse"
                    "\x1f0001-01-01T00:00:00.000000Z\x1f9999-12-31T23:59:59.000001Z"
                ),
            ),
        )
        campaigns = table(
            spark,
            "bronze.campaigns",
            "campaign_id campaign_name start_date end_date budget updated_at",
            ("1", "Spring", "2011-03-01", "0001-01-01", "1000.5", "2012-02-29 12:00"),
        )
        # md5sum of: 1 Spring \N 2011-03-01 0001-01-01 1000.5000 \N 2012-02-29T12:00:00.000000Z, joined by U+001F.
        expect(identified(campaigns, contract("bronze.campaigns")), "_row_md5", ("da962548e20692d430eeffe146b34a1e",))


def test_the_key_is_remembered_as_the_source_wrote_it(spark: SparkSession) -> None:
    stock = table(spark, "bronze.inventory", "product_id warehouse_id", (" mug", None), ("mug", "w1.0"))
    expect(identified(stock, contract("bronze.inventory")), "_source_key", ([" mug", ""],), (["mug", "w1.0"],))


class Image(NamedTuple):
    """A small image: few keys, spellings, times and prices, so that ties and equal images are common."""

    key: str | None
    written: str
    md5: str
    day: int
    price: int
    batch: int

    @property
    def row(self) -> tuple[object, ...]:
        # The row's text, and with it its md5, tells what its rules make of it.
        return self.key, self.written, f"{self.md5}{self.price}", f"2011-12-0{self.day}", self.price, self.batch


HEADER = "product_id written md5 updated_at price _batch"
keys = st.sampled_from("ABCDEFGHI") | st.none()
shops = st.lists(
    st.builds(
        Image,
        keys,
        st.sampled_from(["k", "K"]),
        st.sampled_from("01"),
        st.integers(1, 4),
        st.integers(-1, 1),
        st.integers(1, 2),
    ),
    min_size=80,
    max_size=120,
)


@settings(max_examples=2, deadline=None)
@given(shops)
def test_judging_in_two_batches_comes_to_what_judging_at_once_does(spark: SparkSession, shop: list[Image]) -> None:
    everything = images(spark, HEADER, *(image.row for image in shop))
    at_once = verdicts(everything).persist()

    first = verdicts(everything.where("_batch = 1")).persist()
    still_open = first.where(F.col("_verdict") == OPEN).select(everything.columns)
    held = first.where(F.col("_verdict") == KEPT)
    second = verdicts(everything.where("_batch = 2").unionByName(still_open), as_current(held)).persist()

    counts = Counter(row["_verdict"] for row in at_once.collect())
    assert counts[KEPT] + counts[DEDUPLICATED] + counts[OPEN] == len(shop)

    earlier, later = first.collect(), second.collect()
    assert len(later) == sum(image.batch == 2 for image in shop) + sum(row["_verdict"] == OPEN for row in earlier)

    def silver_of(rows: list[Row]) -> dict[str, tuple[object, ...]]:
        return {r["product_id"]: (r["updated_at"], r["_row_md5"]) for r in rows if r["_verdict"] == KEPT}

    def quarantine_of(rows: list[Row]) -> Counter[tuple[object, ...]]:
        return Counter((r["product_id"], r["_row_md5"]) for r in rows if r["_verdict"] == OPEN)

    assert silver_of(earlier) | silver_of(later) == silver_of(at_once.collect())
    assert quarantine_of(later) == quarantine_of(at_once.collect())
    for frame in (at_once, first, second):
        frame.unpersist()


@settings(max_examples=2, deadline=None)
@given(shops)
def test_what_is_kept_is_the_best_valid_image_and_what_is_open_nothing_valid_has_overtaken(
    spark: SparkSession, shop: list[Image]
) -> None:
    rows = verdicts(images(spark, HEADER, *(image.row for image in shop))).collect()
    for key in {row["product_id"] for row in rows}:
        of_key = [row for row in rows if row["product_id"] == key]
        valid = [row for row in of_key if key is not None and row["price"] >= 0]
        newest = max((row["updated_at"] for row in valid), default=None)
        best = min(
            ((row["_source_key"], row["_row_md5"]) for row in valid if row["updated_at"] == newest), default=None
        )
        kept = [(row["_source_key"], row["_row_md5"]) for row in of_key if row["_verdict"] == KEPT]
        assert kept == ([best] if best else [])
        for row in of_key:
            invalid_and_not_overtaken = row not in valid and (newest is None or row["updated_at"] >= newest)
            assert (row["_verdict"] == OPEN) == invalid_and_not_overtaken

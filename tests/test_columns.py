"""The words the transforms share, each as what it makes of what."""

from __future__ import annotations

import re
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F

from lakehouse import columns
from tests.tables import expect, expect_column

pytestmark = pytest.mark.unit

BLANKS = " \t\n\x0b\f\r\u00a0"
# Texts as sources write them: many blanks, digits, float exports, letters that change their number in upper case.
texts = st.text(st.sampled_from(BLANKS + "\u2028\u0085\u200b09.0017aBßŉǆΣςıİé\u0301\U00010428"), max_size=8) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=12
)


def applied(spark: SparkSession, word: Column, *given_texts: str) -> list[str | None]:
    """What a word over the column `t` makes of texts, in their order."""
    frame = spark.createDataFrame(pa.table({"n": range(len(given_texts)), "t": pa.array(given_texts, pa.string())}))
    return [row[0] for row in frame.coalesce(1).sort("n").select(word).collect()]


def test_clean_text_makes_one_space_of_a_run_of_blanks_and_nothing_of_outer_ones(spark: SparkSession) -> None:
    expect_column(
        spark,
        columns.clean_text,
        ("  red   mug ", "red mug"),
        ("red\tmug", "red mug"),
        (f"{BLANKS}red{BLANKS}mug{BLANKS}", "red mug"),
        ("", None),
        (BLANKS, None),
        (None, None),
        ("NULL", "NULL"),
        ("NaN", "NaN"),
        ("\u2003red\u2003mug", "\u2003red\u2003mug"),
        ("\u200bred", "\u200bred"),
        ("E\u0301", "E\u0301"),
    )


@settings(max_examples=4, deadline=None)
@given(st.lists(texts, min_size=40))
def test_clean_text_holds_no_blank_but_single_inner_spaces(spark: SparkSession, given_texts: list[str]) -> None:
    expected = [" ".join(t for t in re.split(f"[{BLANKS}]", text) if t) or None for text in given_texts]
    assert applied(spark, columns.clean_text("t"), *given_texts) == expected


def test_an_identifier_is_upper_case_and_loses_the_end_that_a_float_export_left(spark: SparkSession) -> None:
    expect_column(
        spark,
        columns.clean_identifier,
        ("85123a", "85123A"),
        (" c536379\n", "C536379"),
        ("17850.0", "17850"),
        (" 17850.0 ", "17850"),
        ("0.0", "0"),
        ("007.0", "007"),
        ("1.0.0", "1.0.0"),
        ("A1.0", "A1.0"),
        (".0", ".0"),
        ("1.00", "1.00"),
        ("1.5", "1.5"),
        ("-1.0", "-1.0"),
        ("1 .0", "1 .0"),
        ("1e5.0", "1E5.0"),
        ("\u0661.0", "\u0661.0"),
        ("1.0\u2028", "1.0\u2028"),
        ("straße", "STRASSE"),
        ("ŉ1", "ʼN1"),
        ("ǆ", "Ǆ"),
        ("ıi", "II"),
        (" ", None),
        (None, None),
    )


@settings(max_examples=4, deadline=None)
@given(st.lists(texts, min_size=40))
def test_an_identifier_cleaned_again_is_the_same(spark: SparkSession, given_texts: list[str]) -> None:
    once = columns.clean_identifier("t")
    assert applied(spark, columns.clean_identifier(once), *given_texts) == applied(spark, once, *given_texts)


def test_lower_text_is_clean_and_lower_case(spark: SparkSession) -> None:
    expect_column(
        spark, columns.lower_text, (" Daily  PAPER", "daily paper"), ("ΟΔΟΣ", "οδος"), ("\t", None), (None, None)
    )


def test_title_case_maps_the_first_character_of_a_word_and_its_rest_apart(spark: SparkSession) -> None:
    expect_column(
        spark,
        columns.title_case,
        ("home  DECOR", "Home Decor"),
        ("o'neill-SMITH", "O'neill-smith"),
        ("2-in-1 TOOL", "2-in-1 Tool"),
        ("ßen", "SSen"),
        ("ǆep", "Ǆep"),
        ("ΟΔΟΣ", "Οδος"),
        ("ΑΣ", "Ασ"),
        ("\U00010428\U00010400", "\U00010400\U00010428"),
        ("  ", None),
        (None, None),
    )


def test_an_email_is_lower_case_or_null(spark: SparkSession) -> None:
    expect_column(
        spark,
        columns.clean_email,
        (" Ann@Shop.COM ", "ann@shop.com"),
        ("a@b.c", "a@b.c"),
        ("a@b..c", "a@b..c"),
        ("a@.b.c", "a@.b.c"),
        ("ann@shop", None),
        ("ann@shop.", None),
        ("ann@.shop", None),
        ("@shop.com", None),
        ("ann@home@shop.com", None),
        ("ann lee@shop.com", None),
        ("ann@shop.com, lee@shop.com", None),
        ("none", None),
        (None, None),
    )


@settings(max_examples=4, deadline=None)
@given(st.lists(st.text(st.sampled_from("ab@. "), max_size=9), min_size=60))
def test_what_counts_as_an_email_is_the_plain_pattern(spark: SparkSession, given_texts: list[str]) -> None:
    cleaned = [" ".join(text.split()) for text in given_texts]
    expected = [text if re.fullmatch(r"[^@ ]+@[^@ ]+\.[^@ ]+", text) else None for text in cleaned]
    assert applied(spark, columns.clean_email("t"), *given_texts) == expected


@pytest.mark.timeout(60)
def test_a_text_of_a_million_dots_is_told_from_an_email_in_no_time(spark: SparkSession) -> None:
    assert applied(spark, columns.clean_email("t"), "a@" + "." * 1_000_000, "a@" + "a." * 500_000 + " ") == [
        "a@" + "." * 1_000_000,
        "a@" + "a." * 500_000,
    ]
    assert applied(spark, columns.clean_email("t"), "a@" + "." * 1_000_000 + "@", "a@" + "a" * 1_000_000) == [None] * 2


def test_a_phone_is_its_digits_after_a_leading_plus(spark: SparkSession) -> None:
    expect_column(
        spark,
        columns.clean_phone,
        ("030 / 123-456", "030123456"),
        ("+49 30 123456", "+4930123456"),
        (" (+49) 30", "+4930"),
        ("\u00a0( +49", "+49"),
        ("[+49] 30", "4930"),
        ("0049+30", "004930"),
        ("++49", "+49"),
        ("\u0661\u0662 5", "5"),
        ("n/a", None),
        ("+", None),
        ("", None),
        (None, None),
    )


def test_joined_leaves_out_what_is_missing(spark: SparkSession) -> None:
    frame = spark.createDataFrame(
        pa.table({"first": ["Ann", "Ann", None, None], "last": pa.array(["Lee", None, "Lee", None])})
    )
    expect(
        frame.select(columns.joined(F.col("first"), F.col("last")).alias("whole")),
        "whole",
        ("Ann Lee",),
        ("Ann",),
        ("Lee",),
        (None,),
    )


RATIOS = [
    ("1", "3", "0.3333"),
    ("2", "3", "0.6667"),
    ("0.0001", "2", "0.0001"),
    ("-0.0001", "2", "-0.0001"),
    ("0.0001", "3", "0.0000"),
    ("1", "0", None),
    (None, "1", None),
    ("1", None, None),
    # 0.0000499999999999: a quotient first rounded to fewer decimals would be 0.00005, and then 0.0001.
    ("49999999.9999", "1000000000000", "0.0000"),
]


def test_a_ratio_is_rounded_once_half_away_from_zero(spark: SparkSession) -> None:
    numerators, divisors = ([n and Decimal(n) for n in side] for side in list(zip(*RATIOS, strict=True))[:2])
    numbers = {"n": pa.array(numerators, pa.decimal128(12, 4)), "d": pa.array(divisors, pa.decimal128(14, 0))}
    frame = spark.createDataFrame(pa.table(numbers))
    expect(frame.select("n", "d", columns.ratio(F.col("n"), F.col("d")).alias("ratio")), "n d ratio", *RATIOS)


def test_amounts_count_by_the_sign_of_the_quantity(spark: SparkSession) -> None:
    frame = spark.createDataFrame(pa.table({"quantity": [2, -2], "amount": [10, -10], "discount": [1, 1]}))
    quantity, amount = F.col("quantity"), F.col("amount")
    expect(
        frame.select(
            "quantity",
            columns.sold(amount, quantity).alias("sold"),
            columns.returned(amount, quantity).alias("returned"),
            columns.signed(F.col("discount"), quantity).alias("discount"),
        ),
        "quantity sold returned discount",
        (2, 10, 0, 1),
        (-2, 0, 10, -1),
    )


def test_a_total_is_known_only_if_every_amount_is(spark: SparkSession) -> None:
    frame = spark.createDataFrame(pa.table({"shelf": ["full", "full", "half", "half"], "cost": [1, 2, 3, None]}))
    total = columns.total_if_all_known(F.col("cost")).alias("total")
    expect(frame.groupBy("shelf").agg(total), "shelf total", ("full", 3), ("half", None))
    expect(frame.where("shelf = 'none'").agg(total), "total", (None,))


def test_a_warning_marks_only_rows_that_it_holds_for(spark: SparkSession) -> None:
    frame = spark.createDataFrame(pa.table({"odd": [True, False, None]}))
    marked = frame.select(columns.warning("is_odd", F.col("odd")))
    expect(marked, "_warn_is_odd", (True,), (False,), (False,))


def test_technical_columns_are_carried(spark: SparkSession) -> None:
    frame = spark.createDataFrame(pa.table({"order_id": ["A1"], "_run_id": ["r1"], "_source": ["shop"]}))
    assert columns.carried(frame) == ["_run_id", "_source"]

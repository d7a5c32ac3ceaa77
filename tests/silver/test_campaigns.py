"""Silver's campaigns: where money was spent to bring orders."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession

from tests.tables import expect, silver, table

pytestmark = pytest.mark.unit


def test_a_campaign_is_cleaned(spark: SparkSession) -> None:
    given = table(
        spark,
        "bronze.campaigns",
        "campaign_id campaign_name start_date end_date budget created_at updated_at",
        (" c7.0", " Spring \n Sale ", "2011-03-01", "2011-03-31", "1000.50", "2011-02-01", "2011-02-02"),
        ("7.0", " ", None, None, None, None, "2011-02-02"),
    )
    expect(
        silver(given, "campaigns"),
        "campaign_id campaign_name start_date end_date budget created_at updated_at",
        ("C7.0", "Spring Sale", "2011-03-01", "2011-03-31", "1000.50", "2011-02-01", "2011-02-02"),
        ("7", None, None, None, None, None, "2011-02-02"),
    )


def test_a_channel_has_one_spelling(spark: SparkSession) -> None:
    given = table(
        spark,
        "bronze.campaigns",
        "campaign_id channel",
        ("1", "Daily Paper"),
        ("2", " daily\tPAPER "),
        ("3", "daily_paper"),
        ("4", "Daily Paper,  Radio"),
        ("5", "TV"),
        ("6", "\u00a0"),
        ("7", None),
    )
    expect(
        silver(given, "campaigns"),
        "campaign_id channel",
        ("1", "daily_paper"),
        ("2", "daily_paper"),
        ("3", "daily_paper"),
        ("4", "daily_paper,_radio"),
        ("5", "tv"),
        ("6", None),
        ("7", None),
    )


def test_technical_columns_are_handed_on(spark: SparkSession) -> None:
    given = table(spark, "bronze.campaigns", "campaign_id _run_id", ("1", "r1"))
    expect(silver(given, "campaigns"), "campaign_id _run_id", ("1", "r1"))

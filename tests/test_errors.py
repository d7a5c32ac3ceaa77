"""One family of errors: exit codes that never change their meaning, words that never quote a row."""

from __future__ import annotations

import psycopg2
import pyarrow as pa
import pytest
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakehouse import errors
from lakehouse.errors import GateError, LakehouseError, safe_words

pytestmark = pytest.mark.unit

SECRET = "s3cret-word"


def test_exit_codes_keep_their_meaning() -> None:
    family = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, LakehouseError)]
    assert {e.__name__: e.exit_code for e in family} == {
        "LakehouseError": 1,
        "UsageError": 2,
        "ConfigError": 3,
        "SourceError": 4,
        "DriftError": 5,
        "GateError": 6,
        "StoreError": 7,
        "LedgerError": 8,
        "SetupError": 9,
        "BusyError": 10,
        "RightLostError": 11,
        "NotYetError": 12,
    }


def test_our_own_sentences_are_said_as_they_are() -> None:
    assert safe_words(GateError("the gate refused: 3 rows")) == "the gate refused: 3 rows"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError(f"could not convert {SECRET}"), "ValueError"),
        (KeyError(SECRET), "KeyError"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (psycopg2.OperationalError(f"password {SECRET} refused"), "OperationalError"),
    ],
)
def test_of_other_errors_only_the_kind_is_said(error: BaseException, said: str) -> None:
    assert safe_words(error) == said


def test_of_an_error_of_postgres_the_condition_is_said_too() -> None:
    class UniqueViolation(psycopg2.Error):
        pgcode = "23505"

    assert safe_words(UniqueViolation(f"Key (email)=({SECRET}) already exists")) == "UniqueViolation 23505"


def test_of_an_error_of_spark_the_condition_is_said_and_no_value(spark: SparkSession) -> None:
    frame = spark.createDataFrame(pa.table({"word": [SECRET]}))
    with pytest.raises(PySparkException, match=SECRET) as caught:
        frame.select(F.col("word").cast("int")).collect()
    assert safe_words(caught.value) == "NumberFormatException CAST_INVALID_INPUT"


def test_of_an_error_of_java_the_class_is_said_and_no_value(spark: SparkSession) -> None:
    jvm = spark.sparkContext._jvm
    assert jvm is not None
    with pytest.raises(Py4JJavaError, match=SECRET) as caught:
        jvm.java.lang.Class.forName(SECRET)
    assert safe_words(caught.value) == "Py4JJavaError java.lang.ClassNotFoundException"

"""The session says nothing of the rows it works on, even where a query fails."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.unit
# In a process of its own: what is looked at is everything that reaches its two streams, the JVM's words included.
FAILING = """
import pyarrow as pa
from pyspark.errors import PySparkException
from pyspark.sql import functions as F
from lakehouse.errors import safe_words
from lakehouse.session import spark_session
from lakehouse.settings import Settings
spark = spark_session(Settings())
try:
    spark.createDataFrame(pa.table({"w": ["s3cret"]})).repartition(2).select(F.col("w").cast("int")).collect()
except PySparkException as e:
    print("failed as", safe_words(e))
"""


def test_a_failing_query_puts_no_value_of_a_row_on_any_stream() -> None:
    done = subprocess.run([sys.executable, "-c", FAILING], text=True, capture_output=True, timeout=180, check=True)
    assert "failed as NumberFormatException CAST_INVALID_INPUT" in done.stdout
    assert "s3cret" not in done.stdout + done.stderr

"""The Spark session. Options live in spark-defaults.conf; only what differs between shops is set here."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from pyspark.logger import PySparkLogger
from pyspark.sql import SparkSession

from lakehouse.errors import ConfigError
from lakehouse.settings import Settings

# Made by `make setup` (tools/setup/classes.py): the classes of a day, ready to map. A JVM it does not fit ignores it.
CLASS_ARCHIVE = Path(sys.prefix) / "share" / "lakehouse" / "classes.jsa"


def spark_session(settings: Settings, app_name: str = "lakehouse") -> SparkSession:
    """The one session of the process, in the shop's zone. Raises ConfigError where Spark has not read spark-defaults.conf.

    Plain Python in a checkout reads its spark-defaults.conf unless SPARK_CONF_DIR says otherwise; spark-submit was given it.
    """
    options = Path(__file__).parents[2] / "spark-defaults.conf"
    if not {"SPARK_CONF_DIR", "PYSPARK_SUBMIT_ARGS"} & os.environ.keys() and options.is_file():
        # Not by SPARK_CONF_DIR: a folder on the class path would rule the shared class archive out.
        arguments = ["--properties-file", str(options)]
        if CLASS_ARCHIVE.is_file():
            arguments += ["--conf", f"spark.driver.defaultJavaOptions=-XX:SharedArchiveFile={CLASS_ARCHIVE}"]
        os.environ["PYSPARK_SUBMIT_ARGS"] = shlex.join([*arguments, "pyspark-shell"])
    builder = SparkSession.builder.appName(app_name).config("spark.sql.session.timeZone", settings.timezone)
    # Spark reads AWS_* from the environment by itself; from a folder of secrets they come this way. Redacted in logs.
    for option, secret in (("access.key", settings.access_key), ("secret.key", settings.secret_key)):
        if secret is not None:
            builder = builder.config(f"spark.hadoop.fs.s3a.{option}", secret.get_secret_value())
    if settings.endpoint:
        builder = builder.config("spark.hadoop.fs.s3a.endpoint", settings.endpoint)
    spark = builder.getOrCreate()
    if spark.conf.get("spark.sql.icu.caseMappings.enabled", "true") != "false":
        raise ConfigError("Spark was started without spark-defaults.conf, whose options decide results: give spark-submit "
                          "--properties-file spark-defaults.conf, or unset SPARK_CONF_DIR")  # fmt: skip
    _remember_classes(spark)
    _keep_values_out_of_logs(spark)
    return spark


def _remember_classes(spark: SparkSession) -> None:
    """PySpark asks the JVM anew for each column which class `functions` is, and each time the JVM looks through every jar."""
    jvm = spark._jvm
    for name in ("functions", "org.apache.spark.sql.functions", "PythonUtils", "PythonSQLUtils"):
        setattr(jvm, name, getattr(jvm, name))


def _keep_values_out_of_logs(spark: SparkSession) -> None:
    """Spark's and PySpark's own words about a failed query quote the row that failed; what we say of it is errors.safe_words."""
    spark.sparkContext.setLogLevel("OFF")
    for name in ("DataFrameQueryContextLogger", "SQLQueryContextLogger"):
        # Only by this door: a plain logger of the name would break PySpark when it asks for its own.
        PySparkLogger.getLogger(name).disabled = True

"""The Spark session. Options live in spark-defaults.conf; only what differs between shops is set here.

No secret is given to a JVM on its command line, which every account of the machine can read, nor in its environment. The
keys of the object store are set on Hadoop's configuration once Spark runs, and reach executors with each query.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from pyspark import SparkContext
from pyspark.errors import PySparkException
from pyspark.logger import PySparkLogger
from pyspark.sql import SparkSession

from lakehouse import address, tls
from lakehouse.errors import ConfigError, SetupError
from lakehouse.home import scratch
from lakehouse.java import check_java, has_resolvable_name, java_environment
from lakehouse.settings import Settings, secret_variables

# Made by `make setup` (tools/setup/classes.py): the classes of a day, ready to map. A JVM it does not fit ignores it.
CLASS_ARCHIVE = Path(sys.prefix) / "share" / "lakehouse" / "classes.jsa"


# An option of spark-defaults.conf that leaves the optimizing compiler out. It pays for itself from about so many rows of a
# shop on: measured at 0.4 million (without it 18 % less CPU) and at 3.7 million (with it a quarter less; ADR 0011).
FIRST_COMPILER_ONLY, MANY_ROWS = "-XX:TieredStopAtLevel=1", 1_000_000
JAVA_OPTIONS = "spark.driver.extraJavaOptions"


def spark_session(
    settings: Settings,
    app_name: str = "lakehouse",
    *,
    has_many_rows: bool = False,
    options: Mapping[str, str] | None = None,
) -> SparkSession:
    """The one session of the process, in the shop's zone.

    Plain Python in a checkout reads its spark-defaults.conf unless SPARK_CONF_DIR says otherwise; spark-submit was given it.
    `has_many_rows`: Java may optimize what it runs often, as MANY_ROWS says. `options`: of a process that is no night.
    Raises ConfigError where Spark has not read spark-defaults.conf, SetupError where this machine cannot run it.
    """
    if SparkSession.getActiveSession() is None:
        _start_java(settings, options or {}, has_many_rows=has_many_rows)
    builder = SparkSession.builder.appName(app_name).config("spark.sql.session.timeZone", settings.timezone)
    for option, value in _between_machines(settings).items():
        builder = builder.config(option, value)
    spark = builder.getOrCreate()
    if spark.conf.get("spark.sql.icu.caseMappings.enabled", "true") != "false":
        raise ConfigError("Spark was started without spark-defaults.conf, whose options decide results: give spark-submit "
                          "--properties-file spark-defaults.conf, or unset SPARK_CONF_DIR")  # fmt: skip
    # Before any client of Java's has looked for certificates. Executors elsewhere are given theirs (docs/security.md).
    for option, value in tls.java_options(settings, scratch(settings.home)).items():
        SparkContext.setSystemProperty(option, value)
    hadoop = spark.sparkContext._jsc.hadoopConfiguration()
    for option, value in address.s3a_options(settings).items():
        hadoop.set(option, value)
    _remember_classes(spark)
    _keep_values_out_of_logs(spark)
    return spark


def _start_java(settings: Settings, more: Mapping[str, str], *, has_many_rows: bool) -> None:
    """Starts the JVM before there is a session: options of a session given to PySpark earlier end on its command line.

    Java's folder of temporary files is Spark's too, unless spark.local.dir or SPARK_LOCAL_DIRS says otherwise.
    """
    temporary = scratch(settings.home)
    if "PYSPARK_GATEWAY_PORT" in os.environ:  # by spark-submit, which has started it
        if not has_resolvable_name():
            raise SetupError("this machine's own name has no address: set SPARK_LOCAL_IP for spark-submit")
        SparkContext.setSystemProperty("java.io.tmpdir", str(temporary))
    else:
        check_java()
        with java_environment(secret_variables()):
            _set_arguments(temporary, more, has_many_rows=has_many_rows)
            try:
                SparkContext.setSystemProperty("java.io.tmpdir", str(temporary))
            except (PySparkException, OSError):
                raise SetupError("Java did not start; its words above say why") from None
    encoding = str(SparkContext.getSystemProperty("sun.jnu.encoding"))
    if encoding.upper() != "UTF-8" and not f"{settings.home}{settings.lake_root}".isascii():
        raise ConfigError(
            f"Java takes file names for {encoding}, and LAKEHOUSE_HOME or LAKEHOUSE_LAKE has letters beyond ASCII: set "
            "LC_ALL=C.UTF-8, or choose another folder"
        )


def _set_arguments(temporary: Path, more: Mapping[str, str], *, has_many_rows: bool) -> None:
    options = Path(__file__).parents[2] / "spark-defaults.conf"
    if {"SPARK_CONF_DIR", "PYSPARK_SUBMIT_ARGS"} & os.environ.keys() or not options.is_file():
        return
    # Not by SPARK_CONF_DIR: a folder on the class path would rule the shared class archive out.
    words = ['"-Djava.io.tmpdir=' + str(temporary).replace("\\", r"\\").replace('"', r"\"") + '"']
    if CLASS_ARCHIVE.is_file() and "spark.driver.extraClassPath" not in more:  # it fits one class path
        words.append(f"-XX:SharedArchiveFile={CLASS_ARCHIVE}")
    arguments = ["--properties-file", str(options), "--conf", f"spark.driver.defaultJavaOptions={' '.join(words)}"]
    if has_many_rows:
        lines = (line.partition(" ") for line in options.read_text(encoding="utf-8").splitlines())
        java = next(value for option, _, value in lines if option == JAVA_OPTIONS)
        arguments += ["--conf", f"{JAVA_OPTIONS}={java.replace(FIRST_COMPILER_ONLY, '').strip()}"]
    for option, value in more.items():
        arguments += ["--conf", f"{option}={value}"]
    os.environ["PYSPARK_SUBMIT_ARGS"] = shlex.join([*arguments, "pyspark-shell"])


def _between_machines(settings: Settings) -> dict[str, str]:
    """With a secret that all machines of a cluster share, they know one another by it and speak in cipher."""
    if settings.spark_secret is None:
        return {}
    on = dict.fromkeys(("spark.authenticate", "spark.network.crypto.enabled", "spark.io.encryption.enabled"), "true")
    return {"spark.authenticate.secret": settings.spark_secret.get_secret_value(), **on}


def _remember_classes(spark: SparkSession) -> None:
    """PySpark asks the JVM again for each column which class `functions` is, and each time the JVM looks through every jar."""
    jvm = spark._jvm
    for name in ("functions", "org.apache.spark.sql.functions", "PythonUtils", "PythonSQLUtils"):
        setattr(jvm, name, getattr(jvm, name))


def _keep_values_out_of_logs(spark: SparkSession) -> None:
    """Spark's and PySpark's own words about a failed query quote the row that failed; what we say of it is errors.safe_words.

    Executors start with it off, by spark.executor.extraJavaOptions of spark-defaults.conf.
    """
    spark.sparkContext.setLogLevel("OFF")
    quiet_pyspark()


@cache
def quiet_pyspark() -> None:
    """Silences the loggers by which PySpark quotes rows; once a process, before it has threads.

    Only by PySpark's own door, as a plain logger of the name would break PySpark when it asks for its own. That door sets
    the class of all new loggers and puts it back: two threads in it at once leave the wrong one for the whole process.
    """
    for name in ("DataFrameQueryContextLogger", "SQLQueryContextLogger"):
        PySparkLogger.getLogger(name).disabled = True

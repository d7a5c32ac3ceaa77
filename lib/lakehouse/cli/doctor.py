"""Whether this environment can do the work: Java, Spark's jars, both databases, the lake, and who decides its commits."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from lakehouse.cli.console import Json, print_table
from lakehouse.cli.databases import Role, dsn_of
from lakehouse.database import Database
from lakehouse.errors import ConfigError, LakehouseError, LedgerError, SetupError, SourceError, StoreError, safe_words
from lakehouse.java import check_java
from lakehouse.settings import Settings, load_settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# One class of each jar that work fails without; some of them only when a file is large.
CLASSES = {
    "Delta": "io.delta.sql.DeltaSparkSessionExtension",
    "Delta's storage": "io.delta.storage.LogStore",
    "s3a": "org.apache.hadoop.fs.s3a.S3AFileSystem",
    "the client of S3": "software.amazon.awssdk.services.s3.S3Client",
    "its uploads in parts": "software.amazon.awssdk.transfer.s3.S3TransferManager",
    "Postgres": "org.postgresql.Driver",
    "the fence of s3a": "lakehouse.ConditionalCreateLogStore",
}
LOCALE = {"user.language": "en", "user.country": "US", "user.timezone": "UTC"}


@dataclass(frozen=True)
class Check:
    """What was looked at, how it is (ok, failed, skipped), in words, and the exit code that a failure means."""

    check: str
    state: str
    message: str
    code: int = 0


class SkippedError(Exception):
    """There is nothing to look at, which is no fault."""


def doctor(as_json: Json = False) -> None:
    """Check the environment: Java, jars, encoding, source, gold, lake, and a race for one file where the lake is on s3a."""
    found = list(examine(load_settings()))
    rows = [{"check": c.check, "state": c.state, "message": c.message} for c in found]
    print_table(rows, ("check", "state", "message"), as_json)
    if code := next((c.code for c in found if c.state == "failed"), 0):
        raise typer.Exit(code)


def examine(settings: Settings, spark: SparkSession | None = None) -> Iterator[Check]:
    """Every check in turn; `spark` takes the place of a session of its own. What needs a session that failed is skipped."""
    yield _check("java", _java)
    yield _check("source", lambda: _database(settings, Role.source, SourceError))
    yield _check("gold", lambda: _database(settings, Role.gold, StoreError))
    sessions: list[SparkSession] = [spark] if spark else []
    yield _check("spark", lambda: _spark(settings, sessions))
    for name, look in (("jars", _jars), ("encoding", _encoding), ("lake", _lake), ("fence", _fence)):
        yield _check(name, lambda look=look: look(settings, sessions[0]) if sessions else _skip("Spark did not start"))  # type: ignore[misc]


def _check(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name, "ok", look())
    except SkippedError as e:
        return Check(name, "skipped", str(e))
    except LakehouseError as e:
        return Check(name, "failed", str(e), e.exit_code)
    except Exception as e:  # noqa: BLE001 - the checks after it are looked at all the same
        return Check(name, "failed", safe_words(e), LakehouseError.exit_code)


def _skip(words: str) -> str:
    raise SkippedError(words)


def _java() -> str:
    check_java()
    return "one that Spark runs on"


def _database(settings: Settings, role: Role, error: type[LakehouseError]) -> str:
    try:
        database = Database(dsn_of(settings, role, create=False), role.value, error)
    except LedgerError as e:
        return _skip(f"there is none yet: {e}")
    try:
        database.check()
        if role is Role.gold:
            database.check_sessions()
    finally:
        database.close()
    return f"{database.where} lets us in"


def _spark(settings: Settings, sessions: list[SparkSession]) -> str:
    from lakehouse.session import spark_session

    sessions[:] = sessions or [spark_session(settings, "lakehouse doctor")]
    java = sessions[0]._jvm.java.lang.System.getProperty("java.version")  # type: ignore[union-attr]
    return f"Spark {sessions[0].version} on Java {java}, master {sessions[0].sparkContext.master}"


def _jars(settings: Settings, spark: SparkSession) -> str:
    from lakehouse.lake.fence import has_class

    missing = [name for name, java in CLASSES.items() if not has_class(spark, java)]
    if missing:
        raise SetupError(f"Spark does not find the jars of {', '.join(missing)}: run make setup; another Spark than that of "
                         f".venv needs the jars of conf/jars.txt, and lakehouse-fence.jar")  # fmt: skip
    return f"{', '.join(CLASSES)}"


def _encoding(settings: Settings, spark: SparkSession) -> str:
    said = spark._jvm.java.lang.System.getProperty  # type: ignore[union-attr]
    wrong = [f"{name}={said(name)}" for name, wanted in LOCALE.items() if said(name) != wanted]
    if wrong:
        raise ConfigError(f"Java runs with {', '.join(wrong)}, on which results depend: give spark-submit --properties-file "
                          f"spark-defaults.conf, or unset SPARK_CONF_DIR")  # fmt: skip
    names = f"file names are {said('sun.jnu.encoding')} for Java and {sys.getfilesystemencoding()} for Python"
    return f"{', '.join(LOCALE.values())}; {names}"


def _lake(settings: Settings, spark: SparkSession) -> str:
    from lakehouse.lake.delta import Lake

    lake = Lake(spark, settings.lake_root)
    lake.check()
    return f"{lake.root} answers"


def _fence(settings: Settings, spark: SparkSession) -> str:
    from lakehouse.lake.delta import Lake
    from lakehouse.lake.fence import FENCE, OPTION, check_log_store, check_race

    lake = Lake(spark, settings.lake_root)
    if not lake.root.startswith("s3a:"):
        return _skip("a lake of files needs none: the file system decides who makes a file")
    log_store = check_log_store(spark)
    if log_store != FENCE:
        raise ConfigError(f"Delta commits to s3a through {log_store}, not through the fence: set {OPTION} as "
                          f"spark-defaults.conf does")  # fmt: skip
    with lake.answering():
        found = check_race(spark, lake.root, lake.files)
    return f"of {1 + len(found.refused)} writers of one new file one was let in, the others were told that it exists"

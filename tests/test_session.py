"""The session says nothing of the rows it works on, shows no key to others, and starts on a machine set up otherwise."""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lakehouse import session
from lakehouse.errors import ConfigError, LedgerError, SetupError, SourceError
from lakehouse.home import make_home, scratch
from lakehouse.java import check_java, java_environment
from lakehouse.records import Totals
from lakehouse.settings import Settings, load_settings, secret_variables
from lakehouse.wiring import Lakehouse

pytestmark = pytest.mark.unit
DEFAULTS = Path(__file__).parent.parent / "spark-defaults.conf"
# In processes of their own: what is looked at is all that reaches streams, process list and disk, the JVM's words included.
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
OTHERWISE = """
import json, os, psutil
from pathlib import Path
from lakehouse.session import spark_session
from lakehouse.settings import Settings
settings = Settings()
spark = spark_session(settings)
spark.range(3).write.format("delta").save(settings.lake_root + "/bronze/numbers")
java, = (p for p in psutil.Process().children(recursive=True) if "java" in p.name())
proc = Path("/proc") / str(java.pid)
jvm, hadoop = spark._jvm, spark._jsparkSession.sessionState().newHadoopConf()
print(json.dumps({
    "command": (proc / "cmdline").read_text(), "environment": (proc / "environ").read_text(),
    "options": str(spark.sparkContext.getConf().getAll()),
    "keys": [hadoop.get("fs.s3a." + name) for name in ("access.key", "secret.key")],
    "own": os.environ["AWS_ACCESS_KEY_ID"],
    "temporary": jvm.java.io.File.createTempFile("canary", "b").getPath(),
    "local": [str(f) for f in Path(settings.home / "tmp").iterdir()],
    "rows": spark.read.format("delta").load(settings.lake_root + "/bronze/numbers").count(),
}))
"""
KEYS = {"AWS_ACCESS_KEY_ID": "canary-key-id", "AWS_SECRET_ACCESS_KEY": "canary-secret"}


def python(program: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    known = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG", "SPARK_", "PYSPARK_"))}
    given = {**known, "LAKEHOUSE_HOME": str(home), **environment}
    command = [sys.executable, "-X", "utf8", "-c", program]
    return subprocess.run(command, env=given, text=True, capture_output=True, timeout=300, check=False)


def test_a_failing_query_puts_no_value_of_a_row_on_any_stream(tmp_path: Path) -> None:
    done = python(FAILING, tmp_path / "home")
    assert "failed as NumberFormatException CAST_INVALID_INPUT" in done.stdout
    assert "s3cret" not in done.stdout + done.stderr


@pytest.mark.parametrize("has_many_rows", [False, True])
def test_java_may_optimize_where_a_shop_has_many_rows(
    has_many_rows: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", {})
    session._set_arguments(tmp_path, {}, has_many_rows=has_many_rows)
    words = shlex.split(os.environ["PYSPARK_SUBMIT_ARGS"])
    options = dict(word.partition("=")[::2] for word in words if "=" in word)
    java = options.get(session.JAVA_OPTIONS)
    if not has_many_rows:
        assert java is None, "spark-defaults.conf says it all"
        return
    (shipped,) = (line for line in DEFAULTS.read_text().splitlines() if line.startswith(session.JAVA_OPTIONS))
    assert session.FIRST_COMPILER_ONLY in shipped
    assert java is not None
    assert java.split() == [word for word in shipped.split()[1:] if word != session.FIRST_COMPILER_ONLY]


def test_a_process_with_jars_of_its_own_does_without_the_class_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "classes.jsa"
    archive.touch()
    monkeypatch.setattr(session, "CLASS_ARCHIVE", archive)
    monkeypatch.setattr(os, "environ", {})
    session._set_arguments(tmp_path, {}, has_many_rows=False)
    assert str(archive) in os.environ.pop("PYSPARK_SUBMIT_ARGS")
    session._set_arguments(tmp_path, {"spark.driver.extraClassPath": "/jars/kafka.jar"}, has_many_rows=False)
    words = os.environ["PYSPARK_SUBMIT_ARGS"]
    assert "spark.driver.extraClassPath=/jars/kafka.jar" in words
    assert str(archive) not in words


@pytest.mark.parametrize(
    ("has_gold", "silver", "bronze", "source", "many"),
    [
        (False, 1_000_001, 0, 0, True),
        (False, 1_000_000, 9_000_000, 9_000_000, False),
        (False, 0, 1_000_001, 0, True),
        (False, 0, 0, 1_000_001, True),
        (False, 0, 0, 0, False),
        (False, 0, 0, None, False),
        (True, 9_000_000, 9_000_000, 9_000_000, False),
    ],
)
def test_whether_a_first_load_brings_many_rows_is_asked_of_the_ledger_or_of_the_source(
    has_gold: bool, silver: int, bronze: int, source: int | None, many: bool
) -> None:
    def believed(schema: str, tables: Any) -> int:
        if source is None:
            raise SourceError("away")
        assert (schema, "orders" in tables) == ("public", True)
        return source

    sums = {"silver": {"orders": Totals(held=silver)}, "bronze": {"orders": Totals(held=bronze)}}
    lakehouse = Lakehouse(
        Settings(),
        ledger=SimpleNamespace(
            totals=lambda layer: sums[layer], last=lambda layer: (has_gold and layer == "gold") or None
        ),
        source=SimpleNamespace(database=SimpleNamespace(rows_believed=believed)),
    )
    assert lakehouse._has_many_rows() is many


def test_a_ledger_of_an_earlier_release_is_asked_for_nothing_before_a_run_has_brought_it_up_to_date() -> None:
    def last(_: str) -> None:
        raise LedgerError("of an earlier release")

    assert Lakehouse(Settings(), ledger=SimpleNamespace(last=last))._has_many_rows() is False


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shop") / "café \"näh' 日本"


@pytest.fixture(scope="module")
def otherwise(home: Path) -> dict[str, Any]:
    """A session where the locale is C, SPARK_HOME leads nowhere, and the home has letters beyond ASCII."""
    done = python(OTHERWISE, home, LC_ALL="C", SPARK_HOME="/nowhere", **KEYS)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def test_keys_of_the_store_reach_hadoop_but_no_command_line_environment_or_option(otherwise: dict[str, Any]) -> None:
    assert otherwise["keys"] == list(KEYS.values())
    assert otherwise["own"] == KEYS["AWS_ACCESS_KEY_ID"]
    assert "canary" not in otherwise["command"] + otherwise["environment"] + otherwise["options"]
    assert "spark" in otherwise["command"]


def test_file_names_do_not_depend_on_the_locale(otherwise: dict[str, Any], home: Path) -> None:
    assert otherwise["rows"] == 3
    assert (home / "lake" / "bronze" / "numbers" / "_delta_log" / "00000000000000000000.json").is_file()
    assert [f.name for f in home.parent.iterdir()] == [home.name]


def test_temporary_files_lie_in_the_home_which_is_closed(otherwise: dict[str, Any], home: Path) -> None:
    assert otherwise["temporary"].startswith(str(home / "tmp") + "/")
    assert any("blockmgr" in name for name in otherwise["local"])
    assert home.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("release", "said"),
    [
        (None, "where there is none"),
        ('JAVA_VERSION="1.8.0_402"\n', "is Java 8"),
        ('JAVA_VERSION="11.0.2"\n', "is Java 11"),
        ("", "is not a working Java"),
    ],
)
def test_another_java_is_said_before_it_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, release: str | None, said: str
) -> None:
    if release is not None:
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "java").write_text("#!/bin/sh\necho started >&2\n")
        (tmp_path / "bin" / "java").chmod(0o755)
        (tmp_path / "release").write_text(release)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(SetupError, match=f"JAVA_HOME is {tmp_path}, .*{said}"):
        check_java()


def test_java_is_given_no_secret_and_an_address_where_the_machine_has_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = sorted(secret_variables())
    assert {"AWS_SECRET_ACCESS_KEY", "LAKEHOUSE_GOLD_DSN", "LAKEHOUSE_SPARK_SECRET", "PGPASSWORD"} <= set(secrets)
    for name in secrets:
        monkeypatch.setenv(name, "canary")
    monkeypatch.delenv("SPARK_LOCAL_IP", raising=False)
    monkeypatch.delenv("SPARK_LOCAL_HOSTNAME", raising=False)
    monkeypatch.setattr(socket, "gethostname", lambda: "nowhere.invalid")
    before = dict(os.environ)
    with java_environment(secrets):
        assert "canary" not in os.environ.values()
        assert (os.environ["LC_ALL"], os.environ["SPARK_LOCAL_IP"]) == ("C.UTF-8", "127.0.0.1")
    assert dict(os.environ) == before


@pytest.mark.parametrize("sign", ["[", "]", "{", "}", "*", "?", ":", ",", "\\", "\n", "%41"])
def test_a_home_whose_name_would_not_be_read_as_it_stands_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sign: str
) -> None:
    monkeypatch.setenv("LAKEHOUSE_HOME", f"{tmp_path}/a{sign}b")
    with pytest.raises(ConfigError, match=r"LAKEHOUSE_HOME: .*choose another folder"):
        load_settings()
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path))
    monkeypatch.setenv("LAKEHOUSE_LAKE", f"file://{tmp_path}/a{sign}b")
    with pytest.raises(ConfigError, match=r"LAKEHOUSE_LAKE: .*choose another place"):
        load_settings()


def test_a_home_that_was_open_is_closed_and_what_lies_in_it_too(tmp_path: Path) -> None:
    home = tmp_path / "home"
    for folder in (home, home / "lake", home / "data-docs"):
        folder.mkdir()
        folder.chmod(0o755)
    assert scratch(home) == home / "tmp"
    modes = [f.stat().st_mode & 0o777 for f in (home, home / "lake", home / "data-docs", home / "tmp")]
    assert modes == [0o700] * 4


def test_a_home_or_scratch_that_others_decide_on_is_refused(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        (tmp_path / "theirs").mkdir()
        os.chown(tmp_path / "theirs", 12345, 12345)
        with pytest.raises(ConfigError, match="theirs belongs to 12345: run as that account"):
            make_home(tmp_path / "theirs")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "tmp").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="tmp is a link, and must be a folder"):
        scratch(tmp_path / "home")


def test_a_home_on_a_disk_that_can_only_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=os.ST_RDONLY))
    with pytest.raises(ConfigError, match=r"LAKEHOUSE_HOME cannot be .* \(Read-only file system\)"):
        make_home(tmp_path)

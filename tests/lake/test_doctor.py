"""What `lakehouse doctor` says of an environment, on real servers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from lakehouse.cli.doctor import Check, examine
from lakehouse.lake.fence import OPTION
from lakehouse.settings import Settings
from tests.conftest import PostgresForTests, free_port
from tests.lake.shop import Shop

pytestmark = pytest.mark.integration


def checks(settings: Settings, spark: SparkSession) -> dict[str, Check]:
    return {check.check: check for check in examine(settings, spark)}


def settings(shop: Shop, home: Path, **more: str) -> Settings:
    return Settings(home=home, lake=shop.lake.root, **more)


def test_an_environment_that_can_do_the_work_is_ok_throughout(
    shop: Shop, postgres: PostgresForTests, tmp_path: Path
) -> None:
    gold = postgres.create_database("doctor")
    found = checks(settings(shop, tmp_path, source_dsn=gold, gold_dsn=gold), shop.spark)
    assert {name: check.state for name, check in found.items()} == dict.fromkeys(
        ("java", "source", "gold", "spark", "jars", "encoding", "lake", "fence"), "ok"
    )
    assert found["fence"].message.startswith("of 16 writers of one new file one was let in")
    assert shop.objects() == []


def test_a_store_that_ignores_the_condition_is_told_with_a_code(shop: Shop, tmp_path: Path) -> None:
    shop.forget_condition()
    found = checks(settings(shop, tmp_path), shop.spark)
    assert found["lake"].state == "ok"
    assert (found["fence"].state, found["fence"].code) == ("failed", 7)
    assert "no conditional create" in found["fence"].message
    assert shop.objects() == []


def test_another_log_store_is_no_fence(shop: Shop, tmp_path: Path) -> None:
    shop.spark.conf.set(OPTION, "io.delta.storage.S3SingleDriverLogStore")
    fence = checks(settings(shop, tmp_path), shop.spark)["fence"]
    assert (fence.state, fence.code) == ("failed", 3)
    assert "not through the fence" in fence.message


def test_every_check_is_made_whatever_failed_before(spark: SparkSession, tmp_path: Path) -> None:
    nowhere = f"postgresql://shop:secret-of-the-shop@127.0.0.1:{free_port()}/shop"
    lake = (tmp_path / "lake").as_uri()
    found = checks(Settings(home=tmp_path / "home", lake=lake, source_dsn=nowhere), spark)
    assert (found["source"].state, found["source"].code) == ("failed", 4)
    assert "secret-of-the-shop" not in found["source"].message
    assert found["gold"].state == found["fence"].state == "skipped"
    assert found["lake"] == replace(found["lake"], state="ok", message=f"{lake} answers")


def test_the_command_ends_with_the_code_of_the_first_failure(tmp_path: Path) -> None:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("LAKEHOUSE_", "AWS_", "PYSPARK_"))
    }
    environment = {**kept, "LAKEHOUSE_HOME": str(tmp_path / "home"), "JAVA_HOME": str(tmp_path)}
    command = [sys.executable, "-c", "from lakehouse.cli import main; main()", "doctor", "--json"]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 9
    found = {row["check"]: row["state"] for row in json.loads(done.stdout)}
    assert found == {
        **dict.fromkeys(("java", "spark"), "failed"),
        **dict.fromkeys(("source", "gold", "jars", "encoding", "lake", "fence"), "skipped"),
    }

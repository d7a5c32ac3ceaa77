"""A day killed at any moment and run again ends at the content of a day that was left in peace."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from tests.conftest import copy_database
from tests.e2e.hostile import shop
from tests.e2e.hostile.shop import DAY_1, DAY_2, DAYS, State, differences
from tests.e2e.lakehouse import RealPipeline
from tests.e2e.oracle import GOLD_KEYS, SOURCE_KEYS

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
ZONE = "Europe/Berlin"
LAKEHOUSE = Path(sys.executable).parent / "lakehouse"
SEED = 20181028


class World:
    """A shop whose first day is published and whose second is due: source, gold and lake, copied for each trial."""

    def __init__(self, postgres: Any, folder: Path) -> None:
        self.postgres, self.folder = postgres, folder
        self.source, gold = postgres.create_database("kills_source"), postgres.create_database("kills_gold")
        lakehouse = RealPipeline(self.source, gold, folder / "lake", ZONE)
        with closing(psycopg2.connect(self.source)) as source:
            shop.apply(source, "schema.sql", *DAYS[DAY_1])
            lakehouse.run_day(DAY_1)
            shop.apply(source, *DAYS[DAY_2])
        lakehouse.lakehouse.gold_database.close()
        lakehouse.lakehouse.source.database.close()
        with closing(psycopg2.connect(postgres.create_database("kills_judged"))) as judged:
            shop.apply(judged, "schema.sql", *DAYS[DAY_1])
            shop.judged(judged, DAY_1, ZONE)
            shop.apply(judged, *DAYS[DAY_2])
            self.expected = shop.judged(judged, DAY_2, ZONE)

    def trial(self, name: str) -> Trial:
        lake = self.folder / name
        shutil.copytree(self.folder / "lake", lake)
        return Trial(self.source, copy_database(self.postgres.server, f"kills_gold_{name}", "kills_gold"), lake)


class Trial:
    """One copy of the world, in which the second day is run by a process of its own."""

    def __init__(self, source: str, gold: str, lake: Path) -> None:
        self.source, self.gold, self.lake = source, gold, lake
        self.started = time.time()

    def killed(self, moment: Callable[[Trial], bool]) -> bool:
        """Runs the day until `moment` comes, then kills its whole process group. False where the day ended before."""
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("LAKEHOUSE_", "AWS_", "PYSPARK_", "SPARK_"))},
            "LAKEHOUSE_SOURCE_DSN": self.source, "LAKEHOUSE_GOLD_DSN": self.gold, "LAKEHOUSE_TIMEZONE": ZONE,
            "LAKEHOUSE_LAKE": self.lake.as_uri(), "LAKEHOUSE_HOME": str(self.lake / "home"),
        }  # fmt: skip
        self.started = time.time()
        with (self.lake / "run.log").open("wb") as log:
            process = subprocess.Popen(
                [LAKEHOUSE, "run", "day", "--date", DAY_2.isoformat()],
                env=environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
            try:
                while process.poll() is None:
                    if moment(self):
                        os.killpg(process.pid, signal.SIGKILL)
                        return True
                    time.sleep(0.002)
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        assert process.returncode == 0, (self.lake / "run.log").read_text()[-3000:]
        return False

    def again(self, expected: State) -> State:
        """Runs the day once more, to its end; returns what is there."""
        lakehouse = RealPipeline(self.source, self.gold, self.lake, ZONE)
        lakehouse.run_day(DAY_2)
        try:
            return shop.found(lakehouse, self.gold, expected)
        finally:
            lakehouse.lakehouse.gold_database.close()
            lakehouse.lakehouse.source.database.close()

    def new(self, layer: str, pattern: str) -> list[Path]:
        """Files of a layer that this run has made."""
        return [p for p in (self.lake / layer).glob(pattern) if p.stat().st_mtime >= self.started]

    def gold_staged(self) -> bool:
        with closing(psycopg2.connect(self.gold)) as connection, connection.cursor() as cursor:
            cursor.execute("select count(*) from pg_tables where schemaname = 'gold_staging'")
            return bool((cursor.fetchone() or (0,))[0])

    def states(self) -> list[tuple[str, str]]:
        with closing(psycopg2.connect(self.gold)) as connection, connection.cursor() as cursor:
            cursor.execute("select layer, state from ops.runs order by seq")
            return cursor.fetchall()


@pytest.fixture(scope="module")
def world(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(postgres, tmp_path_factory.mktemp("kills"))


def _parts(trial: Trial) -> list[Path]:
    return trial.new("bronze", "*/year=*/*/*/*.parquet")


MOMENTS: dict[str, Callable[[Trial], bool]] = {
    "before_the_first_file": lambda t: ("bronze", "running") in t.states() and not _parts(t),
    "between_data_files_and_commit": lambda t: bool(_parts(t)) and not t.new("bronze", "*/_delta_log/*.json"),
    "after_a_commit_of_bronze": lambda t: bool(t.new("bronze", "*/_delta_log/*.json")),
    "after_a_commit_of_silver": lambda t: bool(t.new("silver", "*/_delta_log/*.json")),
    "while_gold_is_staged": lambda t: t.gold_staged(),
}


@pytest.mark.parametrize("name", MOMENTS)
@pytest.mark.fault("F1", "F2", "F3")
def test_a_day_killed_at_its_worst_moments_ends_at_the_same_content(world: World, name: str) -> None:
    trial = world.trial(name)
    assert trial.killed(MOMENTS[name]), "the day ended before the moment came"
    assert trial.states()[-1][1] == "running", "a killed run cannot have said how it ended"
    _ends_well(trial, world)


@pytest.mark.parametrize("number", range(3))
@pytest.mark.fault("F1")
def test_a_day_killed_at_a_random_moment_ends_at_the_same_content(world: World, number: int) -> None:
    trial = world.trial(f"random_{number}")
    # From the start of the process to about where a day ends; a day that ended before is run again all the same.
    seconds = random.Random(SEED + number).uniform(3, 40)
    trial.killed(lambda t: time.time() - t.started > seconds)
    _ends_well(trial, world)


def _ends_well(trial: Trial, world: World) -> None:
    found, expected = trial.again(world.expected), world.expected
    for table, key in GOLD_KEYS.items():
        assert differences(key, expected.gold[table], found.gold[table]) == []
    for table, key in SOURCE_KEYS.items():
        assert differences(key, expected.silver[table], found.silver[table]) == []
    assert found.quarantine == expected.quarantine
    assert found.counts == expected.counts

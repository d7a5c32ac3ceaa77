"""One world for all tests of faults, and an ear for what this process says while they run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pyspark.sql import SparkSession

from tests.conftest import MinioForTests
from tests.faults.world import Trial, World, discreet


@pytest.fixture(scope="session")
def world(postgres: Any, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(Server(postgres), Server(postgres), tmp_path_factory.mktemp("world"))


class Server:
    """A Postgres of the tests as the world needs it."""

    def __init__(self, postgres: Any) -> None:
        self.create_database, self.dsn = postgres.create_database, postgres.server.dsn


@pytest.fixture
def trial(world: World, minio: MinioForTests, capfd: pytest.CaptureFixture[str]) -> Iterator[Trial]:
    with world.trial(minio) as made:
        yield made
    discreet("".join(capfd.readouterr()), world.secrets)

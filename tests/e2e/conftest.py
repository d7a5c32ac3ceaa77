"""The hostile shop lived through, day by day: by the judge, and by the pipeline beside it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from lakehouse.layers import candidates
from lakehouse.warehouse import gold as warehouse
from tests.e2e.hostile import shop
from tests.e2e.hostile.shop import DAY_4, DAYS, ZONES, Lived, Pipeline, State
from tests.e2e.lakehouse import RealPipeline


@pytest.fixture(scope="session")
def pipeline() -> Callable[[str, str, Path, str], Pipeline]:
    """Makes the pipeline of (source DSN, gold DSN, an empty lake folder, zone)."""
    return RealPipeline


@pytest.fixture(scope="session", params=ZONES, ids=["berlin", "sao_paulo"])
def zone(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def databases(postgres: Any, zone: str) -> Callable[[str], str]:
    """Makes an empty database of this zone; returns its DSN."""
    return lambda name: postgres.create_database(f"hostile_{name}_{zone.split('/')[1].lower()}")


@pytest.fixture(scope="session")
def expected(databases: Callable[[str], str], zone: str) -> dict[date, State]:
    """What the judge expects after each day."""
    with closing(psycopg2.connect(databases("judged"))) as source:
        shop.apply(source, "schema.sql")
        states = {}
        for business_date, scripts in DAYS.items():
            shop.apply(source, *scripts)
            states[business_date] = shop.judged(source, business_date, zone)
        return states


@pytest.fixture(scope="session")
def expected_in_one_go(databases: Callable[[str], str], zone: str) -> State:
    """What the judge expects where the first run is that of the last day, and sees every image."""
    with closing(psycopg2.connect(databases("judged_in_one_go"))) as source:
        shop.fill_in_one_go(source)
        return shop.judged(source, DAY_4, zone)


@pytest.fixture(scope="session")
def lived(
    pipeline: Callable[..., Pipeline],
    databases: Callable[[str], str],
    expected: dict[date, State],
    zone: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Lived:
    source_dsn, gold_dsn = databases("source"), databases("gold")
    lakehouse = pipeline(source_dsn, gold_dsn, tmp_path_factory.mktemp("lake"), zone)
    states = {}
    with closing(psycopg2.connect(source_dsn)) as source, pytest.MonkeyPatch.context() as patch:
        # One of the two shops has its keys looked up as those of a big shop are.
        patch.setattr(candidates, "MANY_HELD", -1 if zone == ZONES[1] else candidates.MANY_HELD)
        patch.setattr(warehouse, "MANY_ROWS", 0 if zone == ZONES[1] else warehouse.MANY_ROWS)
        shop.apply(source, "schema.sql")
        for business_date, scripts in DAYS.items():
            shop.apply(source, *scripts)
            lakehouse.run_day(business_date)
            states[business_date] = shop.found(lakehouse, gold_dsn, expected[business_date])
        published = shop.published(gold_dsn)
        lakehouse.run_day(DAY_4)
    return Lived(states, shop.found(lakehouse, gold_dsn, expected[DAY_4]), published, shop.published(gold_dsn))


@pytest.fixture(scope="session")
def lived_in_one_go(
    pipeline: Callable[..., Pipeline],
    databases: Callable[[str], str],
    expected_in_one_go: State,
    zone: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> State:
    source_dsn, gold_dsn = databases("source_in_one_go"), databases("gold_in_one_go")
    lakehouse = pipeline(source_dsn, gold_dsn, tmp_path_factory.mktemp("lake"), zone)
    with closing(psycopg2.connect(source_dsn)) as source:
        shop.fill_in_one_go(source)
    lakehouse.run_day(DAY_4)
    return shop.found(lakehouse, gold_dsn, expected_in_one_go)

"""What the first release left goes on: its ledger is migrated, its lake is recognised, and the next day is right."""

from __future__ import annotations

import io
import lzma
import subprocess
import tarfile
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import parse_dsn

from lakehouse.server.embedded import binaries
from tests.e2e.hostile import shop
from tests.e2e.hostile.shop import DAY_3, DAYS, differences
from tests.e2e.lakehouse import RealPipeline
from tests.e2e.oracle import GOLD_KEYS, SOURCE_KEYS

pytestmark = pytest.mark.e2e
LEFT = Path(__file__).parent.parent / "fixtures" / "first_release"
ZONE = "Europe/Berlin"


def bring_back(dsn: str) -> None:
    """The dump of the gold database, by Postgres's own client."""
    parts = parse_dsn(dsn)
    address = {
        "PGHOST": parts["host"],
        "PGPORT": parts["port"],
        "PGUSER": parts["user"],
        "PGPASSWORD": parts["password"],
    }
    command = [binaries() / "psql", "--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", parts["dbname"]]
    dump = lzma.decompress((LEFT / "gold.sql.xz").read_bytes())
    subprocess.run(command, env=address, input=dump, check=True, stdout=subprocess.DEVNULL)


def test_a_day_after_the_upgrade_is_what_the_rules_say(postgres: Any, tmp_path: Path) -> None:
    source, gold = postgres.create_database("first_release_source"), postgres.create_database("first_release_gold")
    bring_back(gold)
    with tarfile.open(fileobj=io.BytesIO((LEFT / "lake.tar.xz").read_bytes())) as packed:
        packed.extractall(tmp_path, filter="data")
    with closing(psycopg2.connect(source)) as connection:
        shop.apply(connection, "schema.sql")
        for day in list(DAYS)[:3]:
            shop.apply(connection, *DAYS[day])
            expected = shop.judged(connection, day, ZONE)
    pipeline = RealPipeline(source, gold, tmp_path / "lake", ZONE)

    pipeline.run_day(DAY_3)

    found = shop.found(pipeline, gold, expected)
    wrong = {t: differences(GOLD_KEYS[t], expected.gold[t], found.gold[t]) for t in GOLD_KEYS}
    wrong |= {f"silver {t}": differences(SOURCE_KEYS[t], expected.silver[t], found.silver[t]) for t in SOURCE_KEYS}
    assert {t: said for t, said in wrong.items() if said} == {}
    assert found.quarantine == expected.quarantine
    states = {r["run_id"]: r["state"] for r in pipeline.lakehouse.ledger.recent(50)}
    assert states["silver-2018-10-28-dead00000000"] == "abandoned"

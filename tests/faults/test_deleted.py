"""Objects that somebody deleted at rest: `verify` says which tables lack something, and the restore brings it back."""

from __future__ import annotations

import pytest

from lakehouse.recovery import objects
from lakehouse.upkeep.verify import verify
from tests.conftest import MinioForTests
from tests.faults.world import CANARY, Trial, World

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def broken(trial: Trial) -> set[tuple[str, str]]:
    return {(c.layer, c.table) for c in verify(trial.lakehouse) if not c.holds}


@pytest.mark.fault("F27")
def test_what_was_deleted_is_found_and_brought_back(world: World, minio: MinioForTests) -> None:
    world.expected(minio)
    with world.trial(minio, is_versioned=True) as trial:
        trial.run(2)
        assert broken(trial) == set()
        pointers = {(layer, table): version for layer, table, version, _ in trial.pointers()}
        entry = f"shop/bronze/orders/_delta_log/{pointers['bronze', 'orders']:020d}.json"
        published = trial.table("silver", "customers", pointers["silver", "customers"])
        data = f"shop/silver/customers/{published.file_uris()[0].rpartition('/customers/')[2]}"
        assert {entry, data} <= set(trial.store.objects())
        for key in (entry, data):
            trial.store.client.remove_object(trial.store.name, key)
        trial.open()
        assert broken(trial) == {("bronze", "orders"), ("silver", "customers")}
        settings = trial.lakehouse.settings
        while plan := objects.plan(settings):
            done = objects.run(settings, plan, reason="a test", by_whom="tests")
            assert {r["from_"] for r in done} == {"its bucket's older version"}
            assert CANARY not in str(done)
        assert {entry, data} <= set(trial.store.objects())
        trial.open()
        assert broken(trial) == set()
        trial.ends_well(minio)

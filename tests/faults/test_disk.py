"""A disk that is full: the store's while a day writes to it, and the gold server's while gold is loaded."""

from __future__ import annotations

import os

import pytest
from pyspark.sql import SparkSession

from lakehouse.errors import StoreError
from tests.conftest import MinioForTests, passable_folder
from tests.faults.servers import fill, own_postgres, small_disk
from tests.faults.world import DATA, ENTRIES, World, once

# Only root may mount a small file system, so this is left to `make faults`.
pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.mark.fault("F12")
@pytest.mark.parametrize("key", ["*/bronze/" + DATA, "*/silver/" + DATA, "*/silver/" + ENTRIES])
def test_a_store_whose_disk_is_full_fails_the_day_keeps_the_old_version_and_goes_on_when_there_is_room(
    world: World, minio: MinioForTests, key: str
) -> None:
    with passable_folder() as folder, small_disk(folder / "disk", 64) as disk:
        store = MinioForTests(minio.binary, disk)
        store.start()
        try:
            with world.trial(store) as trial:
                before = {k: v for k, v in trial.contents().items() if not k.startswith("bronze")}
                trial.proxy.before(once(lambda: fill(disk)), "PUT", key)
                assert isinstance(trial.refused(), StoreError)
                trial.proxy.clear()
                assert {k: v for k, v in trial.contents().items() if not k.startswith("bronze")} == before
                (disk / "filler").unlink()
                trial.run(2)
                trial.ends_well(minio)
        finally:
            store.stop()


@pytest.mark.fault("F13")
def test_a_gold_server_whose_disk_is_full_rolls_back_and_loads_gold_when_there_is_room(
    spark: SparkSession, minio: MinioForTests, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What a run stages lies on the small disk, as a tablespace; ledger and gold do not."""
    with passable_folder() as folder, small_disk(folder / "disk", 16) as disk, own_postgres() as gold:
        space = disk / "space"
        space.mkdir(mode=0o700)
        owner = gold.embedded.data.stat()
        os.chown(space, owner.st_uid, owner.st_gid)
        gold.execute(f"create tablespace small location '{space}'")
        world = World(gold, gold, tmp_path_factory.mktemp("full"))
        world.expected(minio)
        with world.trial(minio) as trial:
            name = trial.gold.rpartition("/")[2]
            gold.execute(f"alter database {name} set default_tablespace = small")
            trial.close()
            fill(disk)
            assert isinstance(trial.refused(layers=("gold",)), StoreError)
            assert trial.last_run()[0] == "failed"
            (disk / "filler").unlink()
            trial.run(2)
            trial.ends_well(minio)
            gold.execute(f"alter database {name} reset default_tablespace")

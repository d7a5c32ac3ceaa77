"""A server that goes while a day uses it: the store, the source, the gold database; and a reply to a commit that is lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from pyspark.sql import SparkSession

from lakehouse.errors import LakehouseError, RightLostError, SourceError, StoreError
from tests.conftest import MinioForTests, running_minio
from tests.faults.proxy import Request
from tests.faults.servers import OwnPostgres, own_postgres
from tests.faults.wire import PostgresProxy
from tests.faults.world import DATA, ENTRIES, Trial, World, once

pytestmark = [pytest.mark.e2e]
# Words of the statement by which gold's rows change, in the transaction that publishes them.
PUBLISH_OF_GOLD = "insert into gold.fact_daily_sales"


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[OwnPostgres, OwnPostgres]]:
    """A source's and a gold's."""
    with ExitStack() as started:
        yield started.enter_context(own_postgres()), started.enter_context(own_postgres())


@pytest.fixture(scope="module")
def own_world(
    servers: tuple[OwnPostgres, OwnPostgres], spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> World:
    source, gold = servers
    return World(source, gold, tmp_path_factory.mktemp("own-world"))


@contextmanager
def by_wire(world: World, minio: MinioForTests) -> Iterator[tuple[Trial, PostgresProxy]]:
    """A trial whose runs reach gold by way of a proxy."""
    with ExitStack() as started:
        proxies: list[PostgresProxy] = []

        def through(dsn: str) -> str:
            proxies.append(started.enter_context(PostgresProxy(dsn)))
            return proxies[0].dsn

        yield started.enter_context(world.trial(minio, through=through)), proxies[0]


@pytest.mark.slow
@pytest.mark.fault("F8")
@pytest.mark.parametrize("key", ["*/bronze/" + DATA, "*/silver/" + DATA, "*/silver/" + ENTRIES])
def test_a_store_that_is_killed_while_it_is_written_to_loses_nothing_once_it_is_back(world: World, key: str) -> None:
    with running_minio() as store, world.trial(store) as trial:
        trial.proxy.before(once(store.kill), "PUT", key)
        assert isinstance(trial.refused(), StoreError)
        store.start()
        trial.proxy.clear()
        trial.run(2)
        trial.ends_well(store)


@pytest.mark.slow
@pytest.mark.fault("F8")
def test_a_store_that_is_back_after_seconds_is_waited_for(world: World) -> None:
    def blink() -> None:
        store.kill()
        store.start()

    with running_minio() as store, world.trial(store) as trial:
        trial.proxy.before(once(blink), "PUT", "*/silver/" + DATA)
        trial.run(2)
        trial.ends_well(store)


@pytest.mark.slow
@pytest.mark.fault("F14")
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_source_that_stops_in_an_extract_fails_the_day_with_4_and_the_next_brings_all_of_it(
    own_world: World, servers: tuple[OwnPostgres, OwnPostgres], minio: MinioForTests, seed: int
) -> None:
    """The seed is the number of data files of bronze that are there by then."""
    source = servers[0]
    own_world.expected(minio)
    with own_world.trial(minio) as trial:
        seen: list[str] = []

        def stop(request: Request) -> None:
            seen.append(request.key)
            if len(seen) == seed:
                source.crash()

        trial.proxy.before(stop, "PUT", "*/bronze/" + DATA)
        try:
            error = trial.refused()
        finally:
            source.embedded.start()
        assert isinstance(error, SourceError), error
        trial.proxy.clear()
        trial.run(2)
        trial.ends_well(minio)


@pytest.mark.slow
@pytest.mark.fault("F15")
def test_a_gold_server_that_is_restarted_while_gold_is_staged_has_it_staged_again(
    own_world: World, servers: tuple[OwnPostgres, OwnPostgres], minio: MinioForTests
) -> None:
    own_world.expected(minio)
    with own_world.trial(minio) as trial:
        staged = "select count(*) from pg_tables where schemaname = 'gold_staging'"

        def restart_once_staging() -> None:
            while not over.wait(0.005):
                if trial.ask(staged) != [(0,)]:
                    servers[1].restart()
                    return

        over = threading.Event()
        other = threading.Thread(target=restart_once_staging)
        other.start()
        try:
            with pytest.raises(LakehouseError) as raised:
                trial.run(2)
        finally:
            over.set()
            other.join(60)
        assert isinstance(raised.value, (StoreError, RightLostError)), raised.value
        assert trial.gold_hashes() == trial.before.gold
        assert trial.ask("select state from ops.runs where layer = 'gold' order by seq desc limit 1") != [
            ("published",)
        ]
        trial.open()
        trial.run(2)
        trial.ends_well(minio)
        assert trial.ask(staged) == [(0,)]


@pytest.mark.slow
@pytest.mark.fault("F15")
def test_a_gold_server_that_is_restarted_at_the_commit_of_a_publish_has_published_nothing(
    own_world: World, servers: tuple[OwnPostgres, OwnPostgres], minio: MinioForTests
) -> None:
    own_world.expected(minio)
    with by_wire(own_world, minio) as (trial, proxy):
        servers[1].is_back.clear()
        rule = proxy.before_commit(PUBLISH_OF_GOLD, servers[1].restart)
        with pytest.raises(LakehouseError) as raised:
            trial.run(2)
        assert rule.hits == 1
        assert servers[1].is_back.wait(60)
        assert isinstance(raised.value, (StoreError, RightLostError)), raised.value
        assert trial.gold_hashes() == trial.before.gold
        assert [p for p in trial.pointers() if p[0] == "gold"] == [p for p in trial.before.pointers if p[0] == "gold"]
        trial.open()
        trial.run(2)
        trial.ends_well(minio)


@pytest.mark.fault("F16")
@pytest.mark.parametrize("of", [PUBLISH_OF_GOLD, pytest.param("'silver', 'order_items'", marks=pytest.mark.slow)])
def test_a_publish_whose_reply_is_lost_is_published_once(world: World, minio: MinioForTests, of: str) -> None:
    with by_wire(world, minio) as (trial, proxy):
        rule = proxy.lose_commit(of)
        assert [o.state for o in trial.run(2)] == ["published"] * 3
        assert rule.hits == 1
        trial.ends_well(minio)
        pointers = trial.pointers()
        assert {o.state for o in trial.run(2)} == {"covered"}, "what is published is not applied a second time"
        assert trial.pointers() == pointers


@pytest.mark.slow
@pytest.mark.fault("F17")
@pytest.mark.parametrize(("layer", "at_work"), [("silver", 2), ("bronze", 3)])
def test_a_run_whose_lease_is_terminated_commits_nothing_after_the_writes_under_way_and_publishes_nothing(
    trial: Trial, minio: MinioForTests, layer: str, at_work: int
) -> None:
    """While a data file is on its way: its commit belongs to the same call of Delta, before and after which a run looks.

    What lands is seen by nobody and is undone by the next run. `at_work`: tables that may be written to at that moment,
    of silver those without parents, of bronze as many as are read at a time.
    """

    def terminate() -> None:
        ended.extend(
            trial.ask(
                "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and database = "
                "(select oid from pg_database where datname = current_database())"
            )
        )
        committed.update(trial.log())

    ended, committed = list[object](), dict[str, str]()
    trial.proxy.before(once(terminate), "PUT", f"*/{layer}/" + DATA)
    with pytest.raises(RightLostError):
        trial.run(2)
    assert ended == [(True,)]
    trial.changed_nothing()
    landed = set(trial.log()) - set(committed)
    assert len(landed) <= at_work, "a commit was begun after the right was lost"
    trial.proxy.clear()
    trial.run(2)
    trial.ends_well(minio)

"""Staging tables are those of one run, on a real Postgres without Spark: a driver that lives on without its lock harms none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import psycopg2
import pytest

from lakehouse.errors import StoreError
from lakehouse.records import Changes
from lakehouse.warehouse.staging import Staging
from tests.tables import CONTRACTS as PROJECT
from tests.warehouse.conftest import CONTRACTS, ROWS, Store

pytestmark = pytest.mark.integration
FIRST, SECOND = "gold-2020-01-02-00000000000a", "gold-2020-01-02-00000000000b"
LANDS = CONTRACTS["dim_lands"]


def own(run_id: str) -> set[str]:
    return {f"{t}_{run_id[-12:]}" for t in CONTRACTS}


def sweep(store: Store, staging: Staging) -> None:
    with store.database.connection() as connection, connection.cursor() as cursor:
        staging.sweep(cursor)


@contextmanager
def writing(store: Store, table: str) -> Iterator[None]:
    """While a driver that sleeps holds a staging table within its transaction."""
    with closing(psycopg2.connect(store.dsn)) as connection, connection.cursor() as cursor:
        cursor.execute(f"insert into {table} values ('Z', 9)")
        yield


@pytest.mark.unit
def test_a_staging_table_is_named_like_its_table_and_the_end_of_its_runs_id(store_of: Callable[..., Store]) -> None:
    staging = store_of(PROJECT["gold"]).gold.staging("gold-2011-12-09-3f2a9c0de417")
    assert staging.table(PROJECT["gold"]["dim_products"]) == "gold_staging.dim_products_3f2a9c0de417"


def test_a_driver_without_its_lock_that_stages_again_does_not_touch_what_the_run_after_it_publishes(
    store: Store,
) -> None:
    store.stage(ROWS, FIRST)
    staging = store.stage(ROWS | {"dim_lands": [("L", 8), ("M", None)]}, SECOND)
    store.stage({}, FIRST)
    assert store.publish(staging) == {t: Changes(len(ROWS[t]), 0, 0) for t in CONTRACTS}
    assert store.ask("select land, area, _run_id from gold.dim_lands order by 1") == [
        ("L", 8, SECOND), ("M", None, SECOND)]  # fmt: skip


def test_a_runs_own_tables_are_gone_afterwards_and_those_of_another_run_stay(store: Store) -> None:
    first, second = store.stage(ROWS, FIRST), store.stage(ROWS, SECOND)
    store.publish(second)
    second.drop()
    assert store.staged() == own(FIRST)
    store.gold.settle(store.publish(first))
    assert store.staged() == own(FIRST), "statistics are all that it settles"
    first.drop()
    first.drop()
    assert store.staged() == set()


def test_what_dead_runs_left_is_dropped_and_nothing_else_in_the_schema(store: Store) -> None:
    """The first releases named a staging table like its gold table."""
    store.stage(ROWS, FIRST)
    store.ask("create table gold_staging.dim_lands (); create table gold_staging.mine (); "
              "create table gold_staging.dim_lands_of_mine ()")  # fmt: skip
    sweep(store, store.stage(ROWS, SECOND))
    assert store.staged() == own(SECOND) | {"mine", "dim_lands_of_mine"}


def test_a_table_that_a_stopped_driver_holds_is_left_to_a_later_run(store: Store) -> None:
    held = store.stage(ROWS, FIRST).table(LANDS)
    second = store.gold.staging(SECOND)
    with writing(store, held):
        sweep(store, second)
        assert store.staged() == {held.removeprefix("gold_staging.")}
    sweep(store, second)
    assert store.staged() == set()


def test_a_table_of_another_role_is_not_ours_to_drop(store: Store) -> None:
    theirs = store.stage({}, FIRST).table(LANDS)
    store.ask("drop role if exists former, night3", "create role former; create role night3; grant all on schema "
              f"gold_staging to night3; alter table {theirs} owner to former")  # fmt: skip
    with store.database.connection() as connection, connection.cursor() as cursor:
        cursor.execute("set local role night3")
        store.gold.staging(SECOND).sweep(cursor)
    assert store.staged() == own(FIRST)
    store.ask("reassign owned by former to postgres; drop owned by former, night3; drop role former, night3")


@pytest.mark.parametrize("statement", ["insert into {} values ('N', 3)", "truncate {}"])
def test_a_staging_that_changed_since_it_was_verified_is_not_published(store: Store, statement: str) -> None:
    """A task of Spark that commits late, and a server that lost its unlogged tables."""
    store.published(ROWS)
    staging = store.stage(ROWS | {"dim_lands": [("L", 8), ("M", None)]}, SECOND)
    store.ask(statement.format(staging.table(LANDS)))
    with pytest.raises(
        StoreError, match=r"^staging of gold\.dim_lands differs from what was sent in rows: nothing was"
    ):
        store.publish(staging)
    assert store.ask("select land, area from gold.dim_lands order by 1") == [("L", 7), ("M", None)]


def test_while_a_staging_is_published_nobody_writes_to_it(store: Store) -> None:
    staging = store.stage(ROWS, FIRST)
    with store.database.connection() as connection, connection.cursor() as cursor:
        store.gold.publish(cursor, staging)
        with pytest.raises(psycopg2.errors.LockNotAvailable):
            store.ask("set lock_timeout = '100ms'", f"insert into {staging.table(LANDS)} values ('N', 3)")

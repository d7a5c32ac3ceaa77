"""What a DBA has made and given is enough; what is missing is said at once, before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg2
import pytest
from psycopg2.extensions import parse_dsn

from lakehouse.database import Database
from lakehouse.database.rights import foreign_ops
from lakehouse.errors import LedgerError, StoreError
from tests.warehouse.conftest import CONTRACTS, ROWS, Store, key, made

pytestmark = pytest.mark.integration
SCHEMAS = ("gold", "gold_staging", "marts")


@pytest.fixture
def night(store_of: Callable[..., Store]) -> Iterator[Store]:
    """A store whose role is an ordinary one without a right but to connect."""
    dba = store_of()
    dba.ask("drop role if exists night", "create role night login password 'pw'", "grant select, insert, update, delete "
            "on all tables in schema ops to night; grant usage, create on schema ops to night")  # fmt: skip
    parts = parse_dsn(dba.dsn)
    store = store_of(CONTRACTS, f"postgresql://night:pw@{parts['host']}:{parts['port']}/{parts['dbname']}")
    store.ask = dba.ask  # type: ignore[method-assign]
    yield store
    store.database.close()
    dba.ask("drop owned by night cascade; drop role night")


@pytest.mark.usefixtures("folder")
def test_schemas_that_a_dba_made_and_gave_are_enough(night: Store) -> None:
    night.ask(*(f"create schema {s}; grant usage, create on schema {s} to night" for s in SCHEMAS))
    assert night.ask("select has_database_privilege('night', current_database(), 'create')") == [(False,)]
    night.gold.prepare()
    night.published(ROWS)
    night.gold.refresh_marts("r1")
    assert night.ask("select count(*) from gold.dim_lands union all select count(*) from marts.areas") == [(2,), (2,)]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "marts", ["create schema marts", "create schema marts; grant usage on schema marts to night", ""]
)
def test_marts_that_the_role_may_not_make_keep_no_gold_from_being_published(night: Store, marts: str) -> None:
    night.ask(*(f"create schema {s}; grant usage, create on schema {s} to night" for s in SCHEMAS if s != "marts"))
    night.ask(marts or "select")
    night.gold.prepare()
    night.published(ROWS)
    with pytest.raises(StoreError, match=r"gold is published, and .*its role lacks rights: grant .*\bmarts\b"):
        night.gold.refresh_marts("r1")
    assert night.ask("select count(*) from gold.dim_lands") == [(2,)]


def test_every_missing_right_is_listed_before_anything_is_written(night: Store) -> None:
    night.ask(
        "create schema gold; create table gold.dim_lands (land text primary key); grant usage on schema gold to night"
    )
    with pytest.raises(LedgerError) as refused:
        night.gold.prepare()
    words = str(refused.value)
    assert "cannot take gold, and nothing was written: its role lacks rights: " in words
    assert "grant usage, create on schema gold to night" in words
    assert "(or create schema gold_staging authorization night)" in words
    assert "grant select, insert, update, delete on gold.dim_lands to night" in words
    assert "alter table gold.dim_lands owner to night" in words
    assert night.ask("select count(*) from pg_tables where schemaname like 'gold%'") == [(1,)]


def test_a_role_that_may_only_read_by_default_writes_gold_all_the_same(night: Store) -> None:
    night.ask(*(f"create schema {s}; grant usage, create on schema {s} to night" for s in SCHEMAS))
    night.ask("alter role night set default_transaction_read_only = on")
    night.gold.prepare()
    night.published(ROWS)
    assert night.ask("select count(*) from gold.agg_pairs") == [(2,)]


def test_a_session_that_may_only_read_is_told_before_anything_is_written(store_of: Callable[..., Store]) -> None:
    """What a standby answers, and a server whose owner keeps it from being written."""
    store = store_of()
    with store.database.connection() as connection, connection.cursor() as cursor:
        cursor.execute("set default_transaction_read_only = on")
    with pytest.raises(
        LedgerError, match="nothing was written: it only lets us read: take default_transaction_read_only"
    ):
        store.gold.prepare()


def test_a_database_that_cannot_hold_every_text_is_refused_at_first_use(store_of: Callable[..., Store]) -> None:
    dsn = store_of().dsn
    with closing(psycopg2.connect(dsn)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("drop database if exists latin")
            cursor.execute("create database latin template template0 encoding 'LATIN1' locale_provider libc locale 'C'")
    latin = store_of(CONTRACTS, dsn.rpartition("/")[0] + "/latin")
    with pytest.raises(LedgerError, match=r"/latin cannot take gold.* its encoding is LATIN1, .* encoding UTF8"):
        latin.gold.prepare()
    assert latin.ask("select to_regnamespace('gold')") == [(None,)]
    with (
        pytest.raises(
            StoreError,
            match=r"has a character that its encoding and UTF-8 do not share \(UntranslatableCharacter 22P05\)",
        ),
        latin.database.connection() as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("select %s", ("日本茶",))


@pytest.mark.parametrize(
    ("statements", "foreign"),
    [
        ("drop schema ops cascade", False),
        ("drop schema ops cascade; create schema ops", False),
        ("select", False),
        ("drop table ops.runs", True),
        ("drop table ops.runs; create table ops.runs (id int)", True),
        ("drop schema ops cascade; create schema ops; create view ops.machines as select 1 as n", True),
    ],
)
def test_a_schema_ops_of_another_application_is_known_from_ours(
    store_of: Callable[..., Store], statements: str, foreign: bool
) -> None:
    store = store_of()
    store.ask(statements)
    with store.database.connection() as connection, connection.cursor() as cursor:
        assert foreign_ops(cursor) is foreign
    if foreign:
        with pytest.raises(LedgerError, match="its schema ops belongs to another application"):
            store.gold.prepare()


def test_a_contract_that_changed_asks_for_the_table_itself_and_one_that_did_not_does_not(
    night: Store, store_of: Callable[..., Store]
) -> None:
    """A DBA may own gold's tables as long as they need not change."""
    night.ask(*(f"create schema {s}; grant usage, create on schema {s} to night" for s in SCHEMAS))
    night.gold.prepare()
    night.ask(*(f"alter table gold.{t} owner to postgres; grant select, insert, update, delete on gold.{t} to night"
                for t in CONTRACTS))  # fmt: skip
    night.gold.prepare()
    more = made("dim_lands", key("land"), {"name": "area", "physicalType": "bigint"},
                {"name": "coast", "physicalType": "boolean"}, indexes=[["area"]])  # fmt: skip
    changed = store_of(CONTRACTS | {"dim_lands": more}, night.dsn)
    with pytest.raises(LedgerError, match=r"its role lacks rights: alter table gold\.dim_lands owner to night$"):
        changed.gold.prepare()


def test_the_source_is_asked_for_nothing(store_of: Callable[..., Store]) -> None:
    """Its role may only read, and stays so."""
    database = Database(store_of().dsn, "source", StoreError)
    with database.connection() as connection, connection.cursor() as cursor:
        cursor.execute("select source from pg_settings where name = 'default_transaction_read_only'")
        assert cursor.fetchone() == ("default",)
    database.close()

"""What dbt's role may do, on the embedded server with its ordinary roles: read gold without personal columns, and make tables
in its own schema."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
import yaml
from psycopg2 import errors

from lakehouse.contracts import load_contracts
from lakehouse.database import Database
from lakehouse.errors import BusyError, LedgerError, StoreError
from lakehouse.ledger import Ledger
from lakehouse.personal.forget import delete_from_analytics
from lakehouse.server.databases import database_url
from lakehouse.server.embedded import EmbeddedPostgres
from lakehouse.settings import Settings
from lakehouse.warehouse.gold import Gold
from tests.conftest import ROOT, passable_folder
from tests.faults.pooler import SessionPooler
from tests.report.conftest import ROWS
from tools.dbt import __main__ as dbt
from tools.dbt.access import as_dbt, let_in

pytestmark = pytest.mark.integration
CONTRACTS = load_contracts()["gold"]
RIGHTS = """select n.nspacl::text, array_agg(relname::text || coalesce(relacl::text, '') order by relname) from pg_namespace n
            left join pg_class c on relnamespace = n.oid where nspname in ('gold', 'marts', 'analytics') group by n.oid, 1 order by 1"""


@pytest.fixture(scope="module")
def settings() -> Iterator[Settings]:
    """A home with a gold of a few rows, filled by SQL."""
    with passable_folder() as home:
        settings = Settings(home=home)
        with closing(Database(database_url(settings, "gold"), "gold", StoreError)) as database:
            Ledger(database).prepare("UTC")
            gold = Gold(database, CONTRACTS)
            gold.prepare()
            with database.connection() as connection, connection.cursor() as cursor:
                cursor.execute(ROWS)
            gold.refresh_marts("gold-1")
        let_in(settings, CONTRACTS.values())
        yield settings
        EmbeddedPostgres(home).stop()


@pytest.fixture(scope="module")
def gold(settings: Settings) -> Iterator[Database]:
    with closing(Database(database_url(settings, "gold"), "gold", StoreError)) as database:
        yield database


def ask(database: Database, statement: str) -> list[tuple[object, ...]]:
    with database.connection() as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


def test_dbt_reads_every_table_of_gold_without_the_columns_that_name_somebody(gold: Database) -> None:
    with as_dbt(gold) as cursor:
        for table in CONTRACTS:
            cursor.execute(f"select count(*) from gold.{table}")
        cursor.execute("select customer_id, city from gold.dim_customers order by 1 limit 1")
        assert cursor.fetchall() == [("C1", "Paris")]


@pytest.mark.parametrize(
    "statement",
    [
        "select full_name from gold.dim_customers",
        "select email from gold.dim_customers",
        "select * from gold.dim_customers",
        "update gold.fact_daily_sales set net_sales = 0",
        "insert into gold.dim_products select * from gold.dim_products",
        "delete from gold.dim_products",
        "drop table gold.fact_daily_sales",
        "create table gold.made (n integer)",
        "create table marts.made (n integer)",
        "create table public.made (n integer)",
        "create schema made",
        "drop materialized view marts.customer_cohorts",
        "refresh materialized view marts.customer_cohorts",
        "select * from ops.runs",
        "drop schema analytics cascade",
    ],
)
def test_dbt_may_do_nothing_else(gold: Database, statement: str) -> None:
    with closing(psycopg2.connect(database_of(gold))) as connection, connection.cursor() as cursor:
        cursor.execute("set role lakehouse_dbt")
        with pytest.raises(errors.InsufficientPrivilege):
            cursor.execute(statement)


def database_of(database: Database) -> str:
    return database._dsn


def test_who_reads_marts_reads_what_dbt_makes(settings: Settings, gold: Database) -> None:
    with as_dbt(gold) as cursor:
        cursor.execute("create table analytics.cups (n integer)")
    with closing(psycopg2.connect(database_url(settings, "reader"))) as connection, connection.cursor() as cursor:
        cursor.execute("select count(*) from analytics.cups")
        assert cursor.fetchone() == (0,)
        with pytest.raises(errors.InsufficientPrivilege):
            cursor.execute("drop table analytics.cups")
    with as_dbt(gold) as cursor:
        cursor.execute("drop table analytics.cups")


def test_who_may_not_read_marts_any_more_reads_nothing_that_dbt_makes(settings: Settings, gold: Database) -> None:
    [(reader,)] = ask_as(database_url(settings, "reader"), "select quote_ident(current_user)")
    with as_dbt(gold) as cursor:
        cursor.execute("create table analytics.cups (n integer)")
    ask(gold, f"revoke usage on schema marts from {reader}; select 1")
    let_in(settings, CONTRACTS.values())
    with as_dbt(gold) as cursor:
        cursor.execute("create table analytics.mugs (n integer)")
    for table in ("cups", "mugs"):
        with pytest.raises(errors.InsufficientPrivilege):
            ask_as(database_url(settings, "reader"), f"select count(*) from analytics.{table}")
    assert ask(gold, f"select has_table_privilege('{reader}', 'analytics.cups', 'select')") == [(False,)]
    ask(gold, f"grant usage on schema marts to {reader}; select 1")
    let_in(settings, CONTRACTS.values())
    assert ask_as(database_url(settings, "reader"), "select count(*) from analytics.mugs") == [(0,)]
    with as_dbt(gold) as cursor:
        cursor.execute("drop table analytics.cups, analytics.mugs")


def ask_as(dsn: str, statement: str) -> list[tuple[object, ...]]:
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


def test_a_session_as_dbt_begins_it_has_its_role_and_its_limits_behind_a_pooler_too(gold: Database) -> None:
    """By the statement that dbt makes of the profile's role: connections.py of dbt-postgres."""
    profile = yaml.safe_load((ROOT / "transform" / "profiles.yml").read_text(encoding="utf-8"))
    role = profile["lakehouse"]["outputs"]["gold"]["role"]
    with SessionPooler(database_of(gold)) as pooler:
        with closing(psycopg2.connect(pooler.dsn)) as connection, connection.cursor() as cursor:
            cursor.execute(f"set role {role}")
            cursor.execute("select current_user, current_setting('statement_timeout'), current_setting('lock_timeout')")
            assert cursor.fetchall() == [("lakehouse_dbt", "10min", "30s")]
        with pytest.raises(psycopg2.OperationalError, match="unsupported startup parameter: options"):
            psycopg2.connect(pooler.dsn, options="-c statement_timeout=10min")


def test_letting_in_again_changes_nothing(settings: Settings, gold: Database) -> None:
    before = ask(gold, RIGHTS)
    let_in(settings, CONTRACTS.values())
    assert ask(gold, RIGHTS) == before


def test_a_column_that_becomes_personal_is_taken_from_dbt(settings: Settings, gold: Database) -> None:
    customers = CONTRACTS["dim_customers"]
    columns = [
        c.model_copy(update={"classification": "personal"}) if c.name == "city" else c for c in customers.columns
    ]
    changed = {**CONTRACTS, "dim_customers": customers.model_copy(update={"columns": columns})}
    let_in(settings, changed.values())
    with closing(psycopg2.connect(database_of(gold))) as connection, connection.cursor() as cursor:
        cursor.execute("set role lakehouse_dbt")
        with pytest.raises(errors.InsufficientPrivilege):
            cursor.execute("select city from gold.dim_customers")
    let_in(settings, CONTRACTS.values())


def test_a_table_of_gold_that_is_made_again_is_read_again(settings: Settings, gold: Database) -> None:
    with gold.connection() as connection, connection.cursor() as cursor:
        cursor.execute("revoke all on gold.dim_products from lakehouse_dbt")
    let_in(settings, CONTRACTS.values())
    with as_dbt(gold) as cursor:
        cursor.execute("select count(*) from gold.dim_products")
        assert cursor.fetchone() == (2,)


def test_a_customer_whom_gold_has_no_more_leaves_what_dbt_has_made_too(settings: Settings, gold: Database) -> None:
    with as_dbt(gold) as cursor:
        cursor.execute("create table analytics.customer_rfm (customer_id text, r integer)")
        cursor.execute("insert into analytics.customer_rfm values ('C1', 5), ('forgotten', 4)")
        cursor.execute("create table analytics.of_no_customer (n integer)")
    with gold.connection() as connection, connection.cursor() as cursor:
        cursor.execute("create table analytics.leads as select 7 as customer_id")
    assert delete_from_analytics(gold) == {"customer_rfm": 1}
    assert ask(gold, "select customer_id from analytics.customer_rfm") == [("C1",)]
    assert ask(gold, "select customer_id from analytics.leads") == [(7,)], "which dbt has not made"
    with gold.connection() as connection, connection.cursor() as cursor:
        cursor.execute("drop table analytics.leads")
    with as_dbt(gold) as cursor:
        cursor.execute("drop table analytics.customer_rfm, analytics.of_no_customer")


def test_a_schema_of_somebody_else_is_left_alone(settings: Settings, gold: Database) -> None:
    with gold.connection() as connection, connection.cursor() as cursor:
        cursor.execute("select obj_description('analytics'::regnamespace, 'pg_namespace')")
        [(purpose,)] = cursor.fetchall()
        cursor.execute("comment on schema analytics is 'Ours'")
    with pytest.raises(LedgerError, match="there is a schema analytics in the gold database that is not ours"):
        let_in(settings, CONTRACTS.values())
    with gold.connection() as connection, connection.cursor() as cursor:
        cursor.execute("comment on schema analytics is %s", (purpose,))


def test_one_build_at_a_time(settings: Settings, gold: Database) -> None:
    with (
        dbt._alone(gold),
        pytest.raises(BusyError, match=r"another build of dbt is at work on gold at .*: wait for it"),
    ):
        dbt.build(settings)
    with pytest.raises(LedgerError, match="has not published anything yet"):
        dbt.build(settings)


def test_where_there_is_no_lakehouse_or_no_gold_that_is_said(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=r"there is no lakehouse in .* yet: run a day, or `make demo`"):
        dbt.build(Settings(home=tmp_path / "nowhere"))
    assert not (tmp_path / "nowhere").exists(), "looking makes nothing"
    with pytest.raises(LedgerError, match="has not published anything yet: run a day, or `make demo`, then `make dbt`"):
        dbt.build(settings)

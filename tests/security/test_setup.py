"""`lakehouse setup`: after it a run's role makes nothing but staging, and readers see what contracts let them see."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from psycopg2 import errors
from psycopg2.extensions import parse_dsn
from typer.testing import CliRunner

from lakehouse.cli import app
from lakehouse.contracts import load_contracts
from lakehouse.database import Database
from lakehouse.errors import LedgerError, StoreError
from lakehouse.ledger.migrations import migrate
from lakehouse.upkeep.setup import setup
from lakehouse.warehouse import ddl
from lakehouse.warehouse.gold import Gold

pytestmark = pytest.mark.integration
CONTRACTS = load_contracts()["gold"]
NAMES = ("gold_owner", "gold_loader", "gold_reader", "gold_pii_reader")


class Server:
    """A database of gold and a URL for each role, of which only the owner is there."""

    tried: Any
    done: Any
    traces: Any

    def __init__(self, dsn: str, suffix: str) -> None:
        self.admin, parts = dsn, parse_dsn(dsn)
        self.names = tuple(name + suffix for name in NAMES)
        self.where = f"{parts['host']}:{parts['port']}/{parts['dbname']}"
        self.urls = {name: f"postgresql://{name}{suffix}:pw-{name}@{self.where}" for name in NAMES}
        self.roles = {"loader": self.urls["gold_loader"], "reader": self.urls["gold_reader"],
                      "pii_reader": self.urls["gold_pii_reader"]}  # fmt: skip

    def ask(self, statement: str, role: str = "") -> Any:
        with closing(psycopg2.connect(self.urls[role] if role else self.admin)) as connection, connection, connection.cursor() as cursor:  # fmt: skip
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else None

    def setup(self, *, keeps: bool = True) -> Any:
        return setup(self.urls["gold_owner"], self.roles, CONTRACTS, keeps=keeps)


def new_server(postgres: Any, suffix: str = "") -> Iterator[Server]:
    found = Server(postgres.create_database(f"gold_of_roles{suffix}"), suffix)
    drop_roles(found)
    found.ask(f"create role gold_owner{suffix} login createrole password 'pw-gold_owner'")
    found.ask(f"alter database gold_of_roles{suffix} owner to gold_owner{suffix}")
    yield found
    drop_roles(found)


@pytest.fixture(scope="module")
def server(postgres: Any) -> Iterator[Server]:
    """One that was tried first, and then set up."""
    for found in new_server(postgres):
        found.tried = found.setup(keeps=False)
        found.traces = found.ask("select (select count(*) from pg_namespace where nspname in ('gold', 'ops', 'marts')), "
                                 "(select count(*) from pg_roles where rolname = 'gold_loader')")  # fmt: skip
        found.done = found.setup()
        yield found


@pytest.fixture
def fresh(postgres: Any) -> Iterator[Server]:
    """One of which nothing is there yet."""
    yield from new_server(postgres, "_2")


def drop_roles(server: Server) -> None:
    """Takes the roles away, with all they own in this database."""
    for (name,) in server.ask(f"select rolname from pg_roles where rolname in {server.names}"):
        server.ask(f"reassign owned by {name} to postgres")
        server.ask(f"drop owned by {name} cascade")
    for (name,) in server.ask(
        f"select rolname from pg_roles where rolname in {server.names} order by rolname like 'gold_owner%'"
    ):
        server.ask(f"drop role {name}")


def published(database: Database) -> None:
    """A publish of one row of customers, by the code of a run but for Spark."""
    gold = Gold(database, CONTRACTS)
    gold.prepare()
    staging = gold.staging("run-0123456789ab")
    with database.connection() as connection, connection.cursor() as cursor:
        for table, contract in CONTRACTS.items():
            cursor.execute(ddl.staging_ddl(contract, staging.table(contract)))
            staging.rows[table] = 0
        cursor.execute(
            f"insert into {staging.table(CONTRACTS['dim_customers'])} (customer_id, full_name, email, lifetime_orders) "
            "values ('c1', 'Ann Canary', 'ann@canary.example', 0)"
        )
        staging.rows["dim_customers"] = 1
        gold.publish(cursor, staging)
    gold.settle(dict.fromkeys(CONTRACTS, type("Many", (), {"inserted": 9999, "updated": 0, "deleted": 0})()))
    gold.refresh_marts("run-0123456789ab")
    staging.drop()


def test_a_run_needs_no_ddl_but_for_staging_once_the_owner_has_set_up(server: Server) -> None:
    loader = Database(server.urls["gold_loader"], "gold", StoreError)
    migrate(loader)
    published(loader)
    published(loader)
    loader.close()
    assert server.ask("select count(*) from gold.dim_customers") == [(1,)]
    assert server.ask("select tableowner from pg_tables where schemaname in ('gold', 'ops') group by 1") == [
        ("gold_owner",)
    ]


def test_setting_up_again_changes_nothing(server: Server) -> None:
    rights = "select oid::regclass::text, relacl::text from pg_class where relnamespace = any('{gold,marts,ops}'::regnamespace[]) order by 1"
    before = server.ask(rights)
    again = server.setup()
    assert server.ask(rights) == before
    assert not [s for s in again.statements if not s.startswith(("alter role", "alter default", "grant", "revoke"))]


def test_a_dry_run_prints_what_a_run_would_do_and_leaves_no_trace(server: Server) -> None:
    assert server.traces == [(0, 0)]
    assert server.tried.statements == server.done.statements


def test_no_password_is_among_the_statements(server: Server) -> None:
    words = "\n".join(server.done.statements)
    assert "create role gold_loader login password '…'" in words
    assert "pw-" not in words
    assert "SCRAM" not in words


def test_a_reader_sees_no_personal_column_and_a_pii_reader_does(server: Server) -> None:
    loader = Database(server.urls["gold_loader"], "gold", StoreError)
    published(loader)
    loader.close()
    assert server.ask("select customer_id, lifetime_orders from gold.dim_customers", "gold_reader") == [("c1", 0)]
    for column in ("full_name", "email", "*"):
        with pytest.raises(errors.InsufficientPrivilege):
            server.ask(f"select {column} from gold.dim_customers", "gold_reader")
    assert server.ask("select full_name from gold.dim_customers", "gold_pii_reader") == [("Ann Canary",)]
    for role in ("gold_reader", "gold_pii_reader"):
        assert server.ask("select count(*) from marts.customer_cohorts", role) == [(0,)]
        assert server.ask("show statement_timeout", role) == [("5min",)]
        assert server.ask("show lock_timeout", role) == [("5s",)]


def test_nobody_who_reads_sees_a_working_column_though_an_earlier_release_granted_the_whole_table(
    server: Server,
) -> None:
    table = "gold.fact_customer_orders"
    server.ask(f"grant select on {table} to gold_reader, gold_pii_reader", "gold_owner")
    server.setup()
    for role in ("gold_reader", "gold_pii_reader"):
        assert server.ask(f"select count(*), max(net_amount), max(_run_id) from {table}", role) == [(0, None, None)]
        for column in ("_is_counted", "_cost_of_goods", "*"):
            with pytest.raises(errors.InsufficientPrivilege):
                server.ask(f"select {column} from {table}", role)


def test_a_view_of_marts_that_shows_a_personal_column_is_no_readers(server: Server) -> None:
    server.ask(
        "create materialized view marts.letters as select customer_id, 'To ' || full_name as line from gold.dim_customers",
        "gold_owner",
    )
    server.setup()
    with pytest.raises(errors.InsufficientPrivilege):
        server.ask("select customer_id from marts.letters", "gold_reader")
    assert server.ask("select * from marts.letters", "gold_pii_reader") == [("c1", "To Ann Canary")]


def test_what_a_run_of_one_role_made_is_handed_to_the_owner(fresh: Server) -> None:
    fresh.ask(
        "create role gold_loader_2 login password 'pw-gold_loader'; grant create on database gold_of_roles_2 to gold_loader_2"
    )
    loader = Database(fresh.urls["gold_loader"], "gold", StoreError)
    migrate(loader)
    published(loader)
    fresh.ask("grant gold_loader_2 to gold_owner_2 with admin true")
    fresh.ask("revoke create on database gold_of_roles_2 from gold_loader_2")
    fresh.setup()
    published(loader)
    loader.close()
    assert fresh.ask("select count(*) from pg_class where relowner = 'gold_loader_2'::regrole") == [(0,)]


def test_a_ledger_that_must_change_is_the_owners_to_change(server: Server) -> None:
    server.ask("update ops.migrations set number = -number where number = (select max(number) from ops.migrations)")
    loader = Database(server.urls["gold_loader"], "gold", StoreError)
    with pytest.raises(LedgerError, match="our role may not change it: run lakehouse setup"):
        migrate(loader)
    server.ask("update ops.migrations set number = -number where number < 0")
    loader.close()


def test_a_table_that_must_change_is_the_owners_to_change(server: Server) -> None:
    server.ask("alter table gold.agg_inventory_status drop column as_of_date")
    loader = Database(server.urls["gold_loader"], "gold", StoreError)
    with pytest.raises(LedgerError, match=r"alter table gold\.agg_inventory_status owner to gold_loader"):
        Gold(loader, CONTRACTS).prepare()
    loader.close()


def test_the_command_prints_sql_or_json_and_one_dsn_alone_is_enough(fresh: Server) -> None:
    environment = {name: "" for name in os.environ if name.startswith("LAKEHOUSE_")}
    run = CliRunner(env={**environment, "LAKEHOUSE_GOLD_DSN": fresh.urls["gold_owner"]})
    tried = run.invoke(app, ["setup", "--dry-run"])
    assert tried.exit_code == 0, tried.output
    assert "create schema gold;" in tried.output
    done = run.invoke(app, ["setup", "--json"])
    assert json.loads(done.output[done.output.index("{\n") :])["left"] == []
    owner = Database(fresh.urls["gold_owner"], "gold", StoreError)
    published(owner)
    owner.close()


def test_a_server_too_old_for_a_loader_is_refused(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lakehouse.upkeep.setup.MAINTAINING", 990_000)
    with pytest.raises(LedgerError, match="needs PostgreSQL 17"):
        server.setup()

"""`lakehouse live …` on a real source that is followed: what its owner makes for it, and what each command refuses."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from pyspark.sql import SparkSession
from typer.testing import CliRunner

from lakehouse.cli import app
from lakehouse.contracts import load_contracts
from lakehouse.database import Database
from lakehouse.errors import ConfigError, LakehouseError, LedgerError, SourceError, StoreError, UsageError
from lakehouse.ledger import Ledger
from lakehouse.live.settings import LiveSettings
from lakehouse.live.source import prepare, refuse_lost
from lakehouse.records import Run, TableRun
from lakehouse.server.embedded import FOLLOWED, EmbeddedPostgres
from lakehouse.source.cdc.slot import Standing, find
from tests.conftest import ROOT, PostgresForTests, copy_database, passable_folder
from tests.live.conftest import LiveTable, event
from tests.tables import contract

pytestmark = pytest.mark.integration

CONTRACTS = load_contracts()["bronze"]
LIVE = LiveSettings.model_construct()
PUBLISHED = "select tablename from pg_publication_tables where pubname = 'lakehouse' order by 1"
SEEN, SNAPSHOT = 700, "705:710:705|server|16384"


@pytest.fixture(scope="module")
def followed() -> Iterator[EmbeddedPostgres]:
    """A server whose log can be followed, with an empty shop in it."""
    with passable_folder() as home:
        server = EmbeddedPostgres(home, FOLLOWED)
        ask(server.dsn("empty"), (ROOT / "samples" / "schema.sql").read_text(encoding="utf-8"))
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture
def shop(followed: EmbeddedPostgres) -> str:
    return copy_database(followed, "shop", "empty")


def ask(dsn: str, sql: str) -> list[tuple[Any, ...]]:
    with closing(psycopg2.connect(dsn)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall()) if cursor.description else []


def source(dsn: str) -> Database:
    return Database(dsn, "source", SourceError)


def make_ready(dsn: str, password: str = "correct horse") -> None:  # noqa: S107
    with closing(source(dsn)) as database:
        prepare(database, LIVE, CONTRACTS, "lakehouse_live", password)


def test_the_owner_makes_the_publication_and_a_role_that_can_log_in_and_read(
    shop: str, followed: EmbeddedPostgres
) -> None:
    make_ready(shop)
    make_ready(shop, "battery staple")  # again, with another password
    assert [t for (t,) in ask(shop, PUBLISHED)] == sorted(CONTRACTS)
    parts = psycopg2.extensions.parse_dsn(shop)
    theirs = f"postgresql://lakehouse_live:battery%20staple@{parts['host']}:{parts['port']}/shop"
    assert ask(theirs, "select count(*), (select rolreplication from pg_roles where rolname = current_user) from orders") \
        == [(0, True)]  # fmt: skip


def test_a_password_is_sent_as_a_verifier_and_so_is_in_no_log_of_the_server(
    shop: str, followed: EmbeddedPostgres
) -> None:
    ask(shop, "alter database shop set log_min_duration_statement = 0")
    make_ready(shop, "correct horse battery")
    log = followed.log.read_text(encoding="utf-8", errors="replace")
    assert "login replication password 'SCRAM-SHA-256$" in log
    assert "correct horse" not in log


def test_a_partitioned_table_is_followed_under_its_own_name(shop: str) -> None:
    ask(shop, "create table parts (like campaigns including all) partition by list (campaign_id); "
              "create table one partition of parts default; drop table campaigns; alter table parts rename to campaigns")  # fmt: skip
    make_ready(shop)
    assert [t for (t,) in ask(shop, PUBLISHED)] == sorted(CONTRACTS)


def test_what_no_publication_takes_is_named_and_nothing_is_made(shop: str) -> None:
    ask(shop, "alter table orders rename to their_orders; create view orders as select * from their_orders; "
              "alter table inventory set unlogged")  # fmt: skip
    with pytest.raises(SourceError, match=r"and inventory, orders in schema public of the source is none, but a view"):
        make_ready(shop)
    assert ask(shop, PUBLISHED) == []


def test_a_server_whose_log_cannot_be_followed_is_refused(postgres: PostgresForTests) -> None:
    with pytest.raises(
        SourceError, match=r"the wal_level of the source at .* is replica: set it to logical"
    ) as refused:
        make_ready(postgres.create_database("not_followed"))
    assert refused.value.exit_code == 4


def test_a_role_that_may_not_is_told_so_in_a_sentence(shop: str) -> None:
    ask(shop, "drop role if exists mere_reader; create role mere_reader login password 'p1'")
    parts = psycopg2.extensions.parse_dsn(shop)
    theirs = f"postgresql://mere_reader:p1@{parts['host']}:{parts['port']}/shop"
    with pytest.raises(SourceError, match=r"the source database at .* does not give the role the right to do that"):
        make_ready(theirs)


def test_an_owner_needs_to_make_roles_and_replicate_and_create_in_the_database(
    shop: str, followed: EmbeddedPostgres
) -> None:
    ask(shop, "drop role if exists lakehouse_live; drop role if exists shops_owner; "
              "create role shops_owner login password 'p1' createrole replication; "
              "grant create on database shop to shops_owner; "
              + "; ".join(f"alter table {table} owner to shops_owner" for table in CONTRACTS))  # fmt: skip
    parts = psycopg2.extensions.parse_dsn(shop)
    theirs = f"postgresql://shops_owner:p1@{parts['host']}:{parts['port']}/shop"
    for _ in range(2):
        make_ready(theirs)
    assert len(ask(shop, PUBLISHED)) == len(CONTRACTS)
    ask(followed.dsn("postgres"), "drop database shop with (force)")
    ask(followed.dsn("postgres"), "drop role lakehouse_live; drop role shops_owner")


def test_a_source_that_is_away_is_told_in_a_sentence() -> None:
    with pytest.raises(SourceError, match=r"does not let us in: .*; check LAKEHOUSE_SOURCE_DSN"):
        make_ready("postgresql://nobody:nothing@127.0.0.1:1/shop")


def test_a_slot_is_looked_at_and_a_lost_one_is_refused(shop: str) -> None:
    with closing(source(shop)) as database:
        assert find(database, "lakehouse_live") is None
        refuse_lost(None, "lakehouse_live")
        ask(shop, "select pg_create_logical_replication_slot('lakehouse_live', 'pgoutput')")
        try:
            found = find(database, "lakehouse_live")
        finally:
            ask(shop, "select pg_drop_replication_slot('lakehouse_live')")
    assert found
    assert (found.active, found.status) == (False, "reserved")
    assert 0 <= found.retained_bytes < 10_000_000
    refuse_lost(found, "lakehouse_live")
    with pytest.raises(SourceError, match="slot lakehouse_live is lost"):
        refuse_lost(Standing(False, "lost", 0, 0, None), "lakehouse_live")


class Commands:
    """The command line in a home of its own, on a shop and a gold database."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def __call__(self, *words: str) -> Any:
        return CliRunner().invoke(app, ["live", *words])

    def json(self, *words: str) -> Any:
        done = self(*words, "--json")
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    def refusal(self, *words: str) -> BaseException | None:
        return self(*words).exception


@pytest.fixture
def live(
    shop: str, postgres: PostgresForTests, tmp_path: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> Commands:
    for name in ("LAKEHOUSE_LAKE", "LAKEHOUSE_SECRETS_DIR", "LAKEHOUSE_LIVE_SLOT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LAKEHOUSE_SOURCE_DSN", shop)
    monkeypatch.setenv("LAKEHOUSE_GOLD_DSN", postgres.create_database("live_gold"))
    monkeypatch.setenv("LAKEHOUSE_LIVE_CONNECT", "http://127.0.0.1:1")
    # The tests' session stands for that of the commands, which has Kafka's jars and ends with its process.
    monkeypatch.setattr("lakehouse.session.spark_session", lambda *_, **__: spark)
    monkeypatch.setattr(import_module("lakehouse.cli.live.live"), "spark_options", lambda _: {})
    return Commands(tmp_path / "home")


def test_setup_shows_what_it_does_and_a_dry_run_leaves_nothing(live: Commands, shop: str, tmp_path: Path) -> None:
    file = tmp_path / "password"
    tried = live("setup", "--password-file", str(file), "--dry-run")
    assert tried.exit_code == 0, tried.output
    assert "password '…'" in tried.stdout
    assert (ask(shop, PUBLISHED), file.exists()) == ([], False)
    done = live.json("setup", "--password-file", str(file))
    assert [s.split()[0] for s in done["statements"]] in (
        ["create", verb, "grant", "grant", "grant"] for verb in ("create", "alter")
    )
    assert (len(ask(shop, PUBLISHED)), file.stat().st_mode & 0o777) == (len(CONTRACTS), 0o600)
    kept = file.read_text(encoding="utf-8")
    live.json("setup", "--password-file", str(file))
    assert file.read_text(encoding="utf-8") == kept
    assert kept not in done["statements"]


@pytest.mark.parametrize(
    ("content", "mode", "error", "said"),
    [
        (None, 0o600, UsageError, "which is no folder"),
        ("secret", 0o644, ConfigError, "other accounts can read password"),
        ("", 0o600, ConfigError, "is empty"),
        ("\udcff", 0o600, ConfigError, "cannot be read or written"),
    ],
)
def test_a_password_file_that_is_no_secret_is_refused(
    live: Commands, content: str | None, mode: int, error: type[LakehouseError], said: str
) -> None:
    with passable_folder() as folder:
        file = folder / ("password" if content is not None else "missing/password")
        if content is not None:
            file.write_text(content, encoding="utf-8", errors="surrogateescape")
            file.chmod(mode)
        refused = live.refusal("setup", "--password-file", str(file))
    assert isinstance(refused, error)
    assert said in str(refused)


def test_status_and_today_of_a_live_layer_that_was_never_started_make_nothing(live: Commands) -> None:
    facts = live.json("status")
    assert [row["changed"] for row in facts.pop("tables")] == [0] * len(CONTRACTS)
    assert facts == {
        "connector": "UNREACHABLE",
        "slot": "none",
        "retained_mb": None,
        "batch": None,
        "seconds_ago": None,
    }
    assert live.json("today") == {"lines": 0, "units": 0, "net": "0", "lines_deleted": 0}
    assert not live.home.exists()


def test_a_reset_without_a_night_is_refused_and_makes_none(live: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAKEHOUSE_GOLD_DSN")
    assert isinstance(live.refusal("reset"), LedgerError)
    assert not live.home.exists()


def test_a_reset_deletes_what_the_night_of_the_ledger_has_brought(live: Commands, spark: SparkSession) -> None:
    table = LiveTable(spark, live.home / "lake" / "live" / "order_items", contract("bronze.order_items"))
    table.brings(event("c", "1", 20, tx=SEEN), event("c", "2", 21, tx=SEEN + 20), event("d", "3", 22, tx=SEEN))
    with closing(Database(os.environ["LAKEHOUSE_GOLD_DSN"], "gold", StoreError)) as database:
        ledger = Ledger(database)
        ledger.prepare("UTC")
        with ledger.alone("bronze") as lease, lease.transaction() as cursor:
            opened = ledger.open(cursor, "bronze", date(2026, 3, 1))
            run = Run(opened.run_id, "bronze", date(2026, 3, 1), opened.started_at)
            done = TableRun("order_items", 1, 2, 2, window_end=datetime(2026, 3, 2, tzinfo=UTC), snapshot=SNAPSHOT)
            ledger.publish(cursor, run, {"bronze": [done]}, {"bronze": {"order_items": {"order_item_id": "text"}}})
    assert live.json("reset", "--dry-run") == [{"table": "order_items", "rows": 1}]
    assert live.json("reset") == [{"table": "order_items", "rows": 1}]
    assert (live.json("today")["lines"], table.rows(gone=True)) == (1, {("3", None)})


def test_a_reset_of_all_asks_first_and_says_what_it_deleted(live: Commands, spark: SparkSession) -> None:
    table = LiveTable(spark, live.home / "lake" / "live" / "order_items", contract("bronze.order_items"))
    (live.home / "live" / "checkpoint-1").mkdir(parents=True)
    plan = [row["table"] for row in live.json("reset", "--all", "--dry-run")]
    assert plan == [*(f"live.{t}" for t in CONTRACTS), "checkpoint"]
    refused = live.refusal("reset", "--all")
    assert isinstance(refused, UsageError)
    assert "--yes" in str(refused)
    assert Path(table.path).exists()
    assert live.json("reset", "--all", "--yes") == {"deleted": plan}
    assert (Path(table.path).exists(), list((live.home / "live").glob("*checkpoint*"))) == (False, [])

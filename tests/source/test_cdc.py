"""A replication slot of a real server, drained up to a snapshot: which keys were written, which are gone, what comes again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import parse_dsn
from typer.testing import CliRunner, Result

from lakehouse.cli import app
from lakehouse.contracts import load_contracts
from lakehouse.database import Database
from lakehouse.errors import SourceError
from lakehouse.live.settings import LiveSettings
from lakehouse.live.source import prepare
from lakehouse.server.embedded import FOLLOWED, EmbeddedPostgres
from lakehouse.source.cdc import slot
from lakehouse.source.cdc.pgoutput import MOST_WRITTEN
from lakehouse.source.cdc.slot import Drained, sees
from lakehouse.source.position import Position
from lakehouse.source.postgres import Source
from tests.conftest import ROOT, PostgresForTests, copy_database, passable_folder

pytestmark = pytest.mark.integration

CONTRACTS = load_contracts()["bronze"]
NAMES = {table: CONTRACTS[table].key for table in ("customers", "products", "order_items")}
SLOT = "nightly"
SCHEMA = (ROOT / "samples" / "schema.sql").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    """A server whose log can be followed, with an empty shop in it."""
    with passable_folder() as home:
        made = EmbeddedPostgres(home, FOLLOWED)
        with closing(psycopg2.connect(made.dsn("empty"))) as connection, connection, connection.cursor() as cursor:
            cursor.execute(SCHEMA)
        try:
            yield made
        finally:
            made.stop()


class Shop:
    """A shop with a publication and a slot."""

    def __init__(self, dsn: str) -> None:
        self.dsn, self.database = dsn, Database(dsn, "source", SourceError)
        prepare(self.database, LiveSettings.model_construct(), CONTRACTS, "lakehouse_live", "correct horse")
        slot.make(self.database, SLOT)

    def do(self, *statements: str) -> None:
        """Each in a transaction of its own."""
        with closing(psycopg2.connect(self.dsn)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)

    def ask(self, query: str) -> Any:
        with closing(psycopg2.connect(self.dsn)) as connection, connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()

    def drain(self) -> Drained:
        with Source(self.database).snapshot() as snapshot:
            return slot.drain(self.database, SLOT, snapshot, NAMES)

    def confirm(self, drained: Drained) -> None:
        slot.confirm(self.database, SLOT, drained.end)


@pytest.fixture
def shop(server: EmbeddedPostgres) -> Iterator[Shop]:
    made = Shop(copy_database(server, "shop", "empty"))
    yield made
    slot.drop(made.database, SLOT)
    made.database.close()


def customer(key: str, name: str = "Ada") -> str:
    return f"insert into customers (customer_id, first_name, created_at, updated_at) values ('{key}', '{name}', now(), now())"


def keys(drained: Drained, table: str = "customers") -> tuple[set[str], set[str]]:
    """Keys of one part that were written, and that are gone."""
    found = drained.keys[table]
    assert found.is_known
    return {k for (k,) in found.written}, {k for (k,) in found.gone}


def test_what_is_last_said_of_a_key_counts(shop: Shop) -> None:
    shop.do(
        *(customer(k) for k in ("C1", "C2", "C3", "C4")),
        "update customers set first_name = 'Eva' where customer_id = 'C2'",
        "delete from customers where customer_id in ('C1', 'C3')",
        customer("C3"),
        "update customers set customer_id = 'C5' where customer_id = 'C4'",
    )
    assert keys(shop.drain()) == ({"C1", "C2", "C3", "C4", "C5"}, {"C1", "C4"})


def test_it_comes_again_until_it_is_confirmed(shop: Shop) -> None:
    shop.do(customer("C1"))
    first = shop.drain()
    assert keys(first) == keys(shop.drain()) == ({"C1"}, set())
    shop.confirm(first)
    shop.do(customer("C2"))
    assert keys(shop.drain()) == ({"C2"}, set())


def test_what_a_snapshot_does_not_see_is_for_the_next_one(shop: Shop) -> None:
    with closing(psycopg2.connect(shop.dsn)) as other, other.cursor() as cursor:
        cursor.execute(customer("OPEN"))
        shop.do(customer("SEEN"))
        with Source(shop.database).snapshot() as snapshot:
            shop.do(customer("LATER"))
            other.commit()
            drained = slot.drain(shop.database, SLOT, snapshot, NAMES)
    assert keys(drained) == ({"SEEN"}, set())
    shop.confirm(drained)
    assert keys(shop.drain()) == ({"LATER", "OPEN"}, set())


def test_nothing_of_a_transaction_that_was_taken_back_is_told(shop: Shop) -> None:
    with closing(psycopg2.connect(shop.dsn)) as other, other.cursor() as cursor:
        cursor.execute(customer("C1"))
        cursor.execute("savepoint s")
        cursor.execute(customer("C2"))
        cursor.execute("rollback to s")
        other.commit()
        cursor.execute(customer("C3"))
        other.rollback()
    assert keys(shop.drain()) == ({"C1"}, set())


def test_after_truncate_nothing_is_known_of_the_table_and_all_of_the_others(shop: Shop) -> None:
    shop.do(customer("C1"), "truncate products, order_items, inventory, orders, campaigns, customers", customer("C2"),
            "insert into products (product_id, product_name, created_at, updated_at) values ('P1', 'Tea', now(), now())")  # fmt: skip
    found = shop.drain().keys
    assert {t: k.is_known for t, k in found.items()} == dict.fromkeys(NAMES, False)


def test_columns_that_come_and_go_between_changes_do_not_shift_the_key(shop: Shop) -> None:
    shop.do("alter table customers add column before_all text", customer("C1"), "alter table customers drop column first_name",
            "insert into customers (customer_id, created_at, updated_at) values ('C2', now(), now())",
            "delete from customers where customer_id = 'C1'")  # fmt: skip
    assert keys(shop.drain()) == ({"C1", "C2"}, {"C1"})


@pytest.mark.parametrize("identity", ["default", "full"])
def test_a_wide_text_that_did_not_change_is_no_part_of_the_key(shop: Shop, identity: str) -> None:
    wide = "(select string_agg(md5(n::text), '') from generate_series(1, 4000) n)"
    shop.do(f"alter table customers replica identity {identity}", customer("C1"), f"update customers set first_name = {wide}",
            "update customers set updated_at = now()", "delete from customers")  # fmt: skip
    assert keys(shop.drain()) == ({"C1"}, {"C1"})


def test_a_row_whose_identity_lacks_the_key_is_not_guessed(shop: Shop) -> None:
    shop.do("alter table customers add column n int generated always as identity; create unique index by_n on customers (n)",
            "alter table customers replica identity using index by_n", customer("C1"), "update customers set customer_id = 'C2'")  # fmt: skip
    assert not shop.drain().keys["customers"].is_known
    with pytest.raises(SourceError, match=r"deletes of public\.customers at .* would not tell their key"):
        slot.require_identified(shop.database, {t: CONTRACTS[t].key for t in CONTRACTS})


def test_a_quiet_shop_lets_the_server_s_log_go(shop: Shop) -> None:
    shop.do("create table others (n int)", "insert into others select generate_series(1, 20000)")
    before = slot.standing(shop.database, SLOT)
    drained = shop.drain()
    assert keys(drained) == (set(), set())
    shop.confirm(drained)
    assert slot.standing(shop.database, SLOT).confirmed == drained.end > before.confirmed


def test_what_other_tables_write_meanwhile_makes_no_gap(shop: Shop) -> None:
    shop.do("create table others (n int)")
    shop.confirm(shop.drain())
    with Source(shop.database).snapshot() as snapshot:
        shop.do("insert into others select generate_series(1, 50000)")
        drained = slot.drain(shop.database, SLOT, snapshot, NAMES)
    assert slot.standing(shop.database, SLOT).confirmed <= drained.end


def test_a_log_that_ends_just_behind_the_header_of_a_page_is_no_reason_to_wait(shop: Shop) -> None:
    shop.do("select pg_switch_wal()")
    assert keys(shop.drain()) == (set(), set())


def test_two_hundred_thousand_changes_are_drained_as_keys_alone(shop: Shop) -> None:
    shop.do("insert into customers (customer_id, created_at, updated_at) select 'C' || n, now(), now() "
            "from generate_series(1, 200000) n", "delete from customers where customer_id < 'C2'")  # fmt: skip
    written, gone = keys(shop.drain())
    assert (len(written), len(gone)) == (MOST_WRITTEN + 1, 111_111)


def test_without_a_slot_a_sentence_says_how_to_make_one(shop: Shop) -> None:
    slot.drop(shop.database, SLOT)
    with pytest.raises(
        SourceError, match=r"has no replication slot nightly, .* make it with `lakehouse cdc start`"
    ) as e:
        shop.drain()
    assert e.value.exit_code == 4


def test_a_slot_that_lost_changes_is_refused() -> None:
    with passable_folder() as home:
        server = EmbeddedPostgres(home, {**FOLLOWED, "max_slot_wal_keep_size": "1MB"})
        try:
            with closing(psycopg2.connect(server.dsn("shop"))) as connection, connection, connection.cursor() as cursor:
                cursor.execute(SCHEMA)
            shop = Shop(server.dsn("shop"))
            shop.do(*["select pg_logical_emit_message(false, 'x', 'x'), pg_switch_wal()"] * 6, "checkpoint")
            with pytest.raises(SourceError, match=r"replication slot nightly at .* is lost: .*cdc start --again"):
                shop.drain()
            slot.drop(shop.database, SLOT)
            slot.make(shop.database, SLOT)
            shop.do(customer("C1"))
            assert keys(shop.drain()) == ({"C1"}, set())
            shop.database.close()
        finally:
            server.stop()


def test_a_slot_in_another_s_hands_is_waited_for_and_then_named(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slot, "SLOT_WAIT_S", 1)
    monkeypatch.setattr(slot, "SLOT_PAUSE_S", 0.3)
    with closing(shop.database.replication("UTF8")) as other, other.cursor() as cursor:
        cursor.start_replication(SLOT, options={"proto_version": "1", "publication_names": slot.PUBLICATION})
        with pytest.raises(SourceError, match=r"replication slot nightly at .* is read by somebody else"):
            shop.drain()
    monkeypatch.setattr(slot, "SLOT_WAIT_S", 30)
    assert keys(shop.drain()) == (set(), set())


def test_a_publication_that_leaves_something_out_is_refused(shop: Shop) -> None:
    shop.do("alter publication lakehouse set table customers where (customer_id <> 'C1'), products")
    with pytest.raises(SourceError, match=r"does not tell every change of public\.customers, public\.order_items:"):
        shop.drain()
    shop.do("alter publication lakehouse set table customers, products, order_items",
            "alter publication lakehouse set (publish = 'insert, update')")  # fmt: skip
    with pytest.raises(SourceError, match="does not tell every change of"):
        shop.drain()


def test_a_table_with_heirs_is_refused(shop: Shop) -> None:
    shop.do("create table heirs () inherits (customers)")
    with pytest.raises(SourceError, match=r"does not tell every change of public\.customers:"):
        shop.drain()


def test_a_role_that_may_only_read_is_told_so(shop: Shop) -> None:
    shop.do("drop role if exists mere_reader", "create role mere_reader login password 'p1'")
    parts = parse_dsn(shop.dsn)
    theirs = f"postgresql://mere_reader:p1@{parts['host']}:{parts['port']}/shop"
    with (
        closing(Database(theirs, "source", SourceError)) as reader,
        pytest.raises(SourceError, match=r"(?i)replication"),
    ):
        slot.make(reader, "theirs")


def test_a_server_whose_log_cannot_be_followed_is_refused(postgres: PostgresForTests) -> None:
    with (
        closing(Database(postgres.create_database("no_log"), "source", SourceError)) as database,
        pytest.raises(SourceError, match=r"wal_level of the source at .* is replica: set it to logical"),
    ):
        slot.make(database, SLOT)


@pytest.mark.parametrize(
    ("xid", "is_seen"),
    [(99, True), (100, False), (105, True), (107, False), (110, False), (2**32 - 1, True)],
    ids=["older", "open", "ended", "open too", "next", "of the round before"],
)
@pytest.mark.parametrize("rounds", [1, 5])
def test_a_snapshot_sees_what_had_ended(xid: int, is_seen: bool, rounds: int) -> None:
    past = rounds * 2**32
    assert sees(Position(f"{past + 100}:{past + 110}:{past + 100},{past + 107}"), xid) is is_seen


def test_numbers_near_the_end_of_a_round_are_of_the_right_one() -> None:
    assert sees(Position(f"{2**32 - 10}:{2**32 - 5}:"), 2**32 - 6)
    assert not sees(Position(f"{2**32 - 10}:{2**32 - 5}:"), 3)


@pytest.fixture
def command(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """`lakehouse cdc …` on this shop's source."""
    for name in [n for n in os.environ if n.startswith(("LAKEHOUSE_", "AWS_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path))
    monkeypatch.setenv("LAKEHOUSE_SOURCE_DSN", shop.dsn)
    monkeypatch.setenv("LAKEHOUSE_CDC_SLOT", "by_command")
    return lambda *words: CliRunner().invoke(app, ["cdc", *words])


def test_the_commands_make_show_and_drop_the_slot(shop: Shop, command: Callable[..., Result]) -> None:
    def state() -> str:
        return str(json.loads(command("status", "--json").stdout)[0]["state"])

    assert state() == "none"
    assert json.loads(command("start", "--dry-run", "--json").stdout)["state"] == "made"
    assert state() == "none", "it was only tried"
    assert json.loads(command("start", "--json").stdout)["state"] == "made"
    assert json.loads(command("start", "--again", "--json").stdout)["state"] == "there"
    assert state() == "kept"
    assert json.loads(command("stop", "--yes", "--json").stdout) == {"dropped": "by_command"}
    assert state() == "none"
    assert isinstance(command("stop", "--yes").exception, SourceError)


def test_no_slot_is_made_that_would_not_tell_every_delete(shop: Shop, command: Callable[..., Result]) -> None:
    shop.do("alter table customers replica identity nothing")
    refused = command("start").exception
    assert isinstance(refused, SourceError)
    assert "deletes of public.customers" in str(refused)
    assert slot.find(shop.database, "by_command") is None

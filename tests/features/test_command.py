"""`lakehouse features`, from the plan to the grants; looking makes nothing, and a run's role need own nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from psycopg2.extensions import parse_dsn
from typer.testing import CliRunner

from lakehouse.cli import app
from lakehouse.errors import BusyError, LedgerError, UsageError
from lakehouse.features.days import alone
from lakehouse.features.tables import ONLINE, without_forgotten
from lakehouse.settings import load_settings
from tests.features.conftest import Features
from tools.features.__main__ import make_schema

pytestmark = pytest.mark.integration
LOADER, READER, PASSWORD = "features_loader", "features_reader", "of-a-test"


@pytest.fixture
def shop_of_settings(features: Features, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Features:
    """The shop that the settings name, in which nobody has made features yet."""
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path))
    monkeypatch.setenv("LAKEHOUSE_GOLD_DSN", url(features))
    features.ask("drop schema features cascade")
    return features


def url(shop: Features, user: str = "", password: str = "") -> str:
    parts = parse_dsn(shop.dsn)
    return "postgresql://{user}:{password}@{host}:{port}/{dbname}".format(
        **{**parts, **({"user": user, "password": password} if user else {})}
    )


def run(*words: str) -> Any:
    done = CliRunner().invoke(app, ["features", *words])
    if done.exception:
        raise done.exception
    return json.loads(done.stdout) if "--json" in words else done.stdout


def test_looking_makes_nothing(shop_of_settings: Features) -> None:
    assert run("--dry-run", "--json") == [{"day": "2026-06-01", "would": "make", "gold_date": None}]
    assert shop_of_settings.ask("select to_regnamespace('features') is null") == [(True,)]


def test_two_commands_do_not_make_days_at_once(shop_of_settings: Features) -> None:
    run("--date", "2026-01-25")
    before = shop_of_settings.hashes()
    with (
        alone(shop_of_settings.database),
        pytest.raises(BusyError, match=r"features are being made in gold at .* already: wait for it to end"),
    ):
        run("--date", "2026-01-26")
    assert shop_of_settings.hashes() == before
    assert run("--date", "2026-01-26", "--json")[0]["did"] == "made", "the lock is free again"


def test_days_are_made_and_said_with_their_rows_and_then_nothing_is_due(shop_of_settings: Features) -> None:
    done = run("--from", "2026-01-25", "--to", "2026-01-26", "--json")
    assert [{k: v for k, v in day.items() if k != "seconds"} for day in done] == [
        {"day": "2026-01-25", "did": "made", "features_customer_daily": 1, "features_product_daily": 1},
        {"day": "2026-01-26", "did": "made", "features_customer_daily": 2, "features_product_daily": 1},
    ]
    assert run("--date", "2026-01-26", "--dry-run", "--json") == [
        {"day": "2026-01-26", "would": "replace", "gold_date": "2026-06-01"}
    ]
    assert run("--date", "2026-01-26", "--json")[0]["did"] == "replaced"
    run("--date", "2026-06-01")
    assert "up to date" in run()
    assert run("--json") == []


@pytest.mark.parametrize("words", [("--from", "2026-01-01"), ("--date", "2026-01-01", "--from", "2026-01-01"),
                                   ("--from", "2026-01-02", "--to", "2026-01-01"), ("--date", "tomorrow")])  # fmt: skip
def test_a_request_that_makes_no_sense_is_refused(shop_of_settings: Features, words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        run(*words)


def test_a_role_of_runs_makes_days_in_what_the_owner_made_once_and_readers_read_them(
    shop_of_settings: Features, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = shop_of_settings
    shop.ask(
        f"drop role if exists {LOADER}, {READER}",
        f"create role {LOADER} login password '{PASSWORD}'",
        f"create role {READER} login password '{PASSWORD}'",
        "create schema if not exists marts",
        f"grant usage on schema gold, ops, marts to {LOADER}",
        f"grant usage on schema marts to {READER}",
        f"grant select on all tables in schema gold, ops to {LOADER}",
    )
    try:
        monkeypatch.setenv("LAKEHOUSE_GOLD_DSN", url(shop, LOADER, PASSWORD))
        with pytest.raises(LedgerError, match="run `lakehouse features` once with gold's owner in LAKEHOUSE_OWNER_DSN"):
            run("--date", "2026-01-25")
        monkeypatch.setenv("LAKEHOUSE_OWNER_DSN", url(shop))
        assert run("--date", "2026-01-25", "--json")[0]["did"] == "made"
        monkeypatch.delenv("LAKEHOUSE_OWNER_DSN")
        assert run("--date", "2026-01-26", "--json")[0]["features_customer_daily"] == 2
        owners = "select distinct relowner::regrole::text from pg_class where relnamespace = 'features'::regnamespace"
        assert shop.ask(owners) == [(parse_dsn(shop.dsn)["user"],)]
        rights = "select has_table_privilege('{0}', 'features.features_customer_daily', 'select'), has_table_privilege('{0}', 'features.days', 'insert')"
        assert shop.ask(rights.format(READER)) == [(True, False)]
    finally:
        for role in (LOADER, READER):
            shop.ask(f"drop owned by {role}", f"drop role {role}")


def test_a_forgotten_customer_leaves_every_day(shop_of_settings: Features) -> None:
    shop = shop_of_settings
    assert without_forgotten(shop.database) == {}
    run("--from", "2026-01-26", "--to", "2026-01-28")
    shop.ask(
        "delete from gold.fact_customer_orders where customer_id = 'C1'",
        "delete from gold.dim_customers where customer_id = 'C1'",
    )
    assert without_forgotten(shop.database) == {"features_customer_daily": 3}
    assert shop.ask("select distinct customer_id from features.features_customer_daily") == [("C2",)]
    assert without_forgotten(shop.database) == {"features_customer_daily": 0}


def test_feasts_schema_is_made_once_and_one_that_is_not_ours_is_left_alone(shop_of_settings: Features) -> None:
    shop_of_settings.ask(f"drop schema if exists {ONLINE} cascade")
    loader = parse_dsn(shop_of_settings.dsn)["user"]
    for _ in range(2):
        make_schema(load_settings(), loader)
    assert shop_of_settings.ask(f"select has_schema_privilege('{loader}', '{ONLINE}', 'create')") == [(True,)]
    shop_of_settings.ask(f"comment on schema {ONLINE} is 'somebody else''s'")
    with pytest.raises(LedgerError, match=f"there is a schema {ONLINE} in the gold database that is not ours"):
        make_schema(load_settings(), loader)
    shop_of_settings.ask(f"drop schema {ONLINE} cascade")

"""`lakehouse backup` and `lakehouse restore` as a person or a program gives them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lakehouse import cli
from lakehouse.errors import LakehouseError
from tests.recovery.shop import Shop

pytestmark = pytest.mark.integration
Call = Callable[..., Result]


@pytest.fixture
def call(kept: Shop, monkeypatch: pytest.MonkeyPatch) -> Call:
    monkeypatch.setenv("LAKEHOUSE_HOME", str(kept.settings.home))
    return lambda *words: CliRunner().invoke(cli.app, list(words))


def refusal(result: Result) -> str:
    assert isinstance(result.exception, LakehouseError), result.output
    return str(result.exception)


def test_where_there_is_no_lakehouse_none_is_made(kept: Shop, call: Call) -> None:
    assert "there is no lakehouse in" in refusal(call("backup"))
    assert "there is no backup at" in refusal(call("restore", "--latest", "--dry-run"))
    assert "there is no backup yet" in refusal(call("backup", "verify"))
    assert not list(kept.settings.home.parent.glob("home-backup"))


def test_a_backup_is_made_listed_tried_and_kept(kept: Shop, call: Call) -> None:
    kept.publish()
    (told,) = json.loads(call("backup", "--dry-run", "--json").stdout)
    assert (told["kind"], told["published"]) == ("full", 2)
    assert json.loads(call("backup", "list", "--json").stdout) == []
    (made,) = json.loads(call("backup", "--json").stdout)
    assert made["kind"] == "full"
    assert [m["id"] for m in json.loads(call("backup", "list", "--json").stdout)] == [made["id"]]
    checks = json.loads(call("backup", "verify", "--json").stdout)
    assert {c["holds"] for c in checks} == {"yes"}
    assert "nothing to do" in call("backup", "prune", "--keep", "1", "--dry-run").output


def test_a_plan_is_printed_and_nothing_is_done(kept: Shop, call: Call) -> None:
    then = kept.look()
    (made,) = json.loads(call("backup", "list", "--json").stdout)
    rows = json.loads(call("restore", "--backup", made["id"], "--dry-run", "--json").stdout)
    assert rows[1]["from_"].startswith(f"backup {made['id']}: ")
    assert json.loads(call("restore", "--objects", "--dry-run", "--json").stdout) == []
    assert kept.look() == then


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--latest"], "say why, with --reason"),
        (["--to", "yesterday", "--reason", "x"], "yesterday is no time"),
        (["--reason", "x"], "say to which moment"),
        (["--objects", "--latest", "--reason", "x"], "it takes no moment"),
        (["--latest", "--reason", "x"], "add --yes"),
        (["--latest", "--reason", "x", "--yes"], "--force replaces it"),
    ],
)
def test_what_is_not_clear_is_refused(call: Call, words: list[str], said: str) -> None:
    assert said in refusal(call("restore", *words))


def test_a_file_that_is_gone_from_the_lake_is_brought_back(kept: Shop, call: Call) -> None:
    then = kept.look()
    lost = next((Path(kept.settings.home) / "lake" / "silver" / "orders").glob("*.parquet"))
    lost.unlink()
    (row,) = json.loads(call("restore", "--objects", "--reason", "a slip", "--yes", "--json").stdout)
    assert (row["table"], row["file"], row["from_"]) == ("silver.orders", lost.name, "the backups")
    assert kept.look() == then

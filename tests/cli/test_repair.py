"""What commands of repair refuse before anything is looked at, and what they say where there is nothing to do."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from lakehouse.cli import app
from lakehouse.cli.personal.forget import _read
from lakehouse.cli.repair import agreed, because
from lakehouse.errors import LakehouseError, LedgerError, UsageError

pytestmark = pytest.mark.unit
CHANGES = (
    ["rewind", "--to", "2020-01-01"],
    ["rerun", "--date", "2020-01-01"],
    ["rebuild", "silver"],
    ["adopt"],
    ["maintain"],
    ["pin", "silver.orders", "3"],
    ["unpin", "silver.orders", "3"],
    ["forget", "--customer", "C1"],
    ["quarantine", "replay"],
    ["quarantine", "waive", "--table", "orders", "--rule", "order_in_the_future"],
)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home in which there is no lakehouse."""
    for name in ("LAKEHOUSE_GOLD_DSN", "LAKEHOUSE_SOURCE_DSN", "LAKEHOUSE_LAKE", "LAKEHOUSE_SECRETS_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path / "home"))
    return tmp_path


def failure(arguments: list[str]) -> BaseException | None:
    return CliRunner().invoke(app, arguments).exception


@pytest.mark.parametrize("arguments", CHANGES, ids=lambda a: " ".join(a[:2]))
def test_what_changes_something_wants_a_reason(arguments: list[str], elsewhere: Path) -> None:
    refused = failure(arguments)
    assert isinstance(refused, UsageError)
    assert "--reason" in str(refused)
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("arguments", [["verify"], *([*c, "--dry-run"] for c in CHANGES)],
                         ids=lambda a: " ".join(a[:2]))  # fmt: skip
def test_looking_at_what_is_not_there_is_refused_and_makes_nothing(arguments: list[str], elsewhere: Path) -> None:
    assert isinstance(failure(arguments), LedgerError)
    assert not (elsewhere / "home" / "postgres").exists()


def test_forgetting_nobody_is_a_usage_error_and_no_words_name_anyone(elsewhere: Path) -> None:
    (elsewhere / "empty.txt").write_text(" \n\n")
    for arguments, words in (
        ([], "say whom to forget"),
        (["--customer-file", str(elsewhere / "empty.txt")], "holds no id"),
        (["--customer-file", str(elsewhere / "none.txt")], "cannot be read"),
    ):
        refused = failure(["forget", "--reason", "a test", *arguments])
        assert isinstance(refused, UsageError)
        assert words in str(refused)


def test_the_first_id_of_a_file_is_read_without_the_mark_that_programs_put_before_it(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("C1\r\n\r\nC\u20282\r\n", encoding="utf-8-sig")
    assert _read(tmp_path / "ids.txt") == ["C1", "C\u20282"]


def test_an_unknown_option_is_a_usage_error(elsewhere: Path) -> None:
    assert CliRunner().invoke(app, ["rewind", "--till", "2020-01-01"]).exit_code == 2


def test_a_day_that_is_not_over_is_refused(elsewhere: Path) -> None:
    assert isinstance(failure(["rewind", "--to", "2999-01-01", "--reason", "why"]), UsageError)


def test_only_silver_and_gold_are_rebuilt(elsewhere: Path) -> None:
    assert isinstance(failure(["rebuild", "bronze", "--reason", "why"]), UsageError)


def test_a_plan_of_nothing_is_not_asked_about(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*_: Any, **__: Any) -> None:
        raise AssertionError("asked")

    monkeypatch.setattr("typer.confirm", asked)
    assert agreed([], ("a",), "Go?", yes=False, dry_run=False, as_json=False) is False
    assert "nothing to do" in capsys.readouterr().out
    assert agreed([{"a": 1}], ("a",), "Go?", yes=True, dry_run=False, as_json=False) is True
    assert agreed([{"a": 1}], ("a",), "Go?", yes=True, dry_run=True, as_json=False) is False


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 130), ("", 1)])
def test_a_no_is_an_interruption_and_nobody_to_ask_a_usage_error(answer: str, code: int) -> None:
    program = typer.Typer()

    @program.command()
    def go() -> None:
        if agreed([{"a": 1}], ("a",), "Go?", yes=False, dry_run=False, as_json=False):
            typer.echo("went on")

    done = CliRunner().invoke(program, input=answer)
    assert done.exit_code == code
    assert ("went on" in done.stdout) is (code == 0)
    if not answer:
        assert isinstance(done.exception, UsageError)
        assert "--yes" in str(done.exception)


def test_a_reason_of_blanks_is_none() -> None:
    with pytest.raises(UsageError):
        because("  ")
    assert because(" a full disk ") == "a full disk"
    with pytest.raises(UsageError, match="--reason is not in the encoding of the terminal"):
        because("gr\udcfcn")
    assert because("", dry_run=True) == ""


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (["--table", "orders", "--rule", "customer_missing"], UsageError),
        (["--table", "order", "--rule", "quantity_zero"], UsageError),
        (["--table", "order_items", "--rule", "quantity_zero"], LedgerError),
        (["--table", "products", "--rule", "price_negative", "--end"], LedgerError),
    ],
    ids=["of the contract", "no table", "waived already", "not waived"],
)
def test_a_waiver_that_cannot_be_is_refused_before_its_plan_is_shown(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], kind: type[LakehouseError]
) -> None:
    waived = {"order_items": ["quantity_zero"]}
    ledger = SimpleNamespace(quarantined=list, waived=lambda: waived)
    monkeypatch.setattr(sys.modules["lakehouse.cli.quarantine"], "ledger_of", lambda _: ledger)
    done = CliRunner().invoke(app, ["quarantine", "waive", *words, "--dry-run"])
    assert isinstance(done.exception, kind)
    assert done.stdout == ""

"""What a scheduler and a person get from a run that is refused: one sentence and the code of the error's own meaning.

By the command and by the job, which must not differ; on fakes, each error raised where it comes from.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lakehouse import cli, job, log
from lakehouse.errors import (
    BusyError,
    ConfigError,
    DriftError,
    GateError,
    LakehouseError,
    LedgerError,
    NotYetError,
    RightLostError,
    SetupError,
    SourceError,
    StoreError,
    UsageError,
)
from tests.fakes import fake_lakehouse, replace_bodies

pytestmark = pytest.mark.unit
DATE = ["--date", "2020-01-02"]
WORDS = "what happened, where, and what to do"
# Where each kind of refusal comes from, and what it means to a scheduler.
REFUSALS = [
    ("source", SourceError, 4),
    ("clock", UsageError, 2),
    ("snapshot", DriftError, 5),
    ("write bronze.orders", StoreError, 7),
    ("publish", StoreError, 7),
    ("identity", LedgerError, 8),
    ("prepare", LedgerError, 8),
    ("prepare gold", SetupError, 9),
    ("lock", BusyError, 10),
    ("write silver.orders", RightLostError, 11),
    ("plan", ConfigError, 3),
    ("snapshot closed", GateError, 6),
]


@pytest.fixture
def lakehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    replace_bodies(monkeypatch)
    made = fake_lakehouse(tmp_path)
    monkeypatch.setattr("lakehouse.wiring.Lakehouse", lambda *_, **__: made)
    monkeypatch.setattr(job, "Lakehouse", lambda *_, **__: made)
    for name in ("gold_of", "source_of"):
        # A dry run asks for databases that are there, of which fakes have none.
        monkeypatch.setattr(f"lakehouse.cli.runs.{name}", lambda _: None, raising=False)
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LAKEHOUSE_TIMEZONE", "UTC")
    yield made
    log.unlisten()


def by_command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["lakehouse", "run", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def by_job(monkeypatch: pytest.MonkeyPatch, layer: str, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", [f"{layer}.py", *arguments])
    try:
        job.main(layer, "a layer")
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def lines(capfd: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capfd.readouterr().err.splitlines() if line.startswith("{")]


@pytest.mark.parametrize(("step", "error", "code"), REFUSALS, ids=[f"{e.__name__} at {s}" for s, e, _ in REFUSALS])
def test_command_job_and_ledger_say_the_same_code_and_sentence(
    lakehouse: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
    step: str, error: type[LakehouseError], code: int,
) -> None:  # fmt: skip
    lakehouse.steps.breaks[step] = error(WORDS)
    for ask in (by_command, by_job):
        assert ask(monkeypatch, "day", *DATE) == code
        assert lines(capfd)[-1] | {"timestamp": ""} == {
            "event": "command.failed" if ask is by_command else "run.refused",
            "code": code, "message": WORDS, "level": "info", "timestamp": "",
        }  # fmt: skip
        failed = list(lakehouse.ledger.runs.values())[-1]
        assert (failed.state, failed.code, failed.message) == ("failed", code, WORDS)


def test_a_layer_before_its_turn_has_a_code_that_is_worth_waiting_for(
    lakehouse: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert by_command(monkeypatch, "silver", *DATE) == by_job(monkeypatch, "gold", *DATE) == NotYetError.exit_code == 12


def test_what_nobody_foresaw_is_code_1_without_its_words(
    lakehouse: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    lakehouse.steps.breaks["write bronze.orders"] = KeyError("secret-tea")
    for ask in (by_command, by_job):
        assert ask(monkeypatch, "day", *DATE) == 1
        said = lines(capfd)
        assert said[-1]["message"].startswith("KeyError")
        assert "secret-tea" not in str(said)
        assert list(lakehouse.ledger.runs.values())[-1].message == "KeyError"


@pytest.mark.parametrize("step", ["findings", "front page", "mark bronze", "marts", "statistics", "unstamp"])
def test_a_published_day_is_0_whatever_fails_afterwards(
    lakehouse: Any, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    lakehouse.steps.breaks[step] = StoreError("the store is away")
    assert by_job(monkeypatch, "day", *DATE) == 0
    assert [r.state for r in lakehouse.ledger.runs.values()] == ["published"] * 3


def test_a_covered_day_is_0_and_says_so(lakehouse: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert by_job(monkeypatch, "day", *DATE) == 0
    done = CliRunner().invoke(cli.app, ["run", "day", *DATE, "--json"])
    assert (done.exit_code, [o["state"] for o in json.loads(done.stdout)]) == (0, ["covered"] * 3)


def test_a_dry_run_is_0_and_asks_for_nothing_but_the_ledger(lakehouse: Any) -> None:
    done = CliRunner().invoke(cli.app, ["run", "day", *DATE, "--dry-run", "--json"])
    assert (done.exit_code, [r["would"] for r in json.loads(done.stdout)]) == (0, ["run"] * 3)
    assert lakehouse.ledger.runs == {}
    assert not {"lock", "source", "identity", "prepare"} & set(lakehouse.steps)


def test_a_replacement_of_what_is_not_there_is_8(lakehouse: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert by_command(monkeypatch, "bronze", *DATE, "--replace") == 8
    assert by_job(monkeypatch, "bronze", *DATE, "--replace") == 8
    assert by_command(monkeypatch, "silver", *DATE, "--replace") == 2


def test_an_unknown_option_is_2_and_nothing_is_touched(lakehouse: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert by_command(monkeypatch, "day", *DATE, "--forse") == 2
    assert by_job(monkeypatch, "day", *DATE, "--forse") == 2
    # An option cut short is none: --rep must not read a published day again.
    assert by_command(monkeypatch, "bronze", *DATE, "--rep") == 2
    assert by_job(monkeypatch, "bronze", *DATE, "--rep") == 2
    assert by_job(monkeypatch, "day", "--date", "2020-13-01") == 2
    assert lakehouse.steps == []

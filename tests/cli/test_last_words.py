"""What a command says when it fails, and that no name from data reaches a terminal as an order to it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lakehouse.cli.console import _Console, printable
from lakehouse.cli.quarantine import shown_key
from lakehouse.contracts import load_contracts
from lakehouse.errors import GateError, frames
from lakehouse.settings import Settings
from tests.conftest import ROOT
from tools import tool
from tools.setup.machine import SetupError

pytestmark = pytest.mark.unit
# A fault that nobody foresaw, deep in a library, whose own words and whose line of code quote a row.
UNFORESEEN = """
import sys
from lakehouse import cli, job
from lakehouse.cli import runs
def settings():
    try:
        int("s3cret row")
    except ValueError as e:
        raise TypeError("s3cret words") from e
runs.load_settings = job.load_settings = settings
if sys.argv[1] == "tool":
    from tools import tool
    tool.run(lambda _: settings())
if sys.argv[1] == "cli":
    sys.argv = ["lakehouse", "run", "day", "--date", "2020-01-01"]
    cli.main()
sys.argv = ["job", "--date", "2020-01-01"]
job.main("day", "A day.")
"""


def fails(how: str, file: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    file.write_text(UNFORESEEN)
    given = {k: v for k, v in os.environ.items() if k != "LAKEHOUSE_DEBUG"} | environment
    given["PYTHONPATH"] = os.pathsep.join(filter(None, [given.get("PYTHONPATH"), str(ROOT)]))
    return subprocess.run(
        [sys.executable, file, how], env=given, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("how", ["cli", "job", "tool"])
@pytest.mark.parametrize("said", ["", "0", "false"])
def test_an_unforeseen_error_says_where_it_came_from_and_no_word_of_its_own(
    tmp_path: Path, how: str, said: str
) -> None:
    done = fails(how, tmp_path / "fault.py", LAKEHOUSE_DEBUG=said)
    assert done.returncode == 1
    assert "ValueError" in done.stderr
    assert "fault.py:7 settings" in done.stderr
    assert "fault.py:9 settings" in done.stderr
    assert {"cli": "lakehouse/cli/runs.py:", "job": "lakehouse/job.py:", "tool": "tool.py:"}[how] in done.stderr
    assert "s3cret" not in done.stderr + done.stdout
    if how == "job":
        assert json.loads(done.stderr.splitlines()[-1])["frames"][-1] == "fault.py:9 settings"


@pytest.mark.parametrize("how", ["cli", "job", "tool"])
def test_its_own_words_are_said_where_they_are_asked_for(tmp_path: Path, how: str) -> None:
    done = fails(how, tmp_path / "fault.py", LAKEHOUSE_DEBUG="1")
    assert done.returncode == 1
    assert "TypeError: s3cret words" in done.stderr


@pytest.mark.parametrize(
    ("ends_by", "code", "said"),
    [
        (KeyboardInterrupt(), 130, ""),
        (GateError("a test failed"), 6, "a test failed\n"),
        (SetupError("there is no Java"), 9, "there is no Java\n"),
    ],
)
def test_a_tool_of_make_ends_as_a_command_does(
    ends_by: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def work(_: Settings) -> None:
        raise ends_by

    with pytest.raises(SystemExit) as ended:
        tool.run(work)
    assert (ended.value.code, capsys.readouterr().err) == (code, said)


def test_frames_are_in_the_order_of_calls() -> None:
    def inner() -> None:
        raise KeyError("s3cret")

    try:
        inner()
    except KeyError as e:
        found = frames(e)
    assert [f.split(" ")[-1] for f in found] == ["KeyError", "test_frames_are_in_the_order_of_calls", "inner"]


@pytest.mark.parametrize("terminal", [True, False])
def test_a_name_from_data_gives_no_order_to_a_terminal(terminal: bool) -> None:
    stream = io.StringIO()
    console = _Console(markup=False, file=stream, force_terminal=terminal, width=80)
    console.print("table \x1b]0;owned\x07\x1b[2J\u202eedoc")
    shown = stream.getvalue()
    assert "owned" in shown
    assert not {"\x1b]", "\x1b[2J", "\x07", "\u202e"} & {shown[i : i + n] for n in (1, 2, 4) for i in range(len(shown))}


def test_what_is_printable_stays() -> None:
    text = "Café 日本茶 [/] a\tb\nc €"
    assert printable(text) == text


def test_a_key_that_is_personal_is_not_shown() -> None:
    contract = load_contracts()["bronze"]["customers"]
    assert shown_key(contract) == contract.key
    columns = [c.model_copy(update={"classification": "personal"}) if c.primary_key else c for c in contract.columns]
    assert shown_key(contract.model_copy(update={"columns": columns})) == ()

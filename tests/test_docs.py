"""What the pages say exists: links, targets, commands, settings, exit codes, and the worked examples of the README."""

from __future__ import annotations

import ast
import inspect
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import AliasChoices

from lakehouse import errors
from lakehouse.cli import app
from lakehouse.contracts import load_contracts
from lakehouse.judging.suites import load_suites
from lakehouse.settings import Settings
from tests.test_house import LINES

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
DECISIONS = sorted((ROOT / "docs" / "adr").glob("*.md"))
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
each_decision = pytest.mark.parametrize("page", DECISIONS, ids=lambda p: p.stem)

COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)|\bsrc=\"([^\"]+)\"")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
LAKEHOUSE = re.compile(r"(?:(?<![\w/.@-])|(?<=\.venv/bin/))lakehouse((?: +[\w<>=./…-]+)+)")
SHELL = ("", "sh")
NO_WORD = re.compile(r"[^\w-]")


def text_of(page: Path) -> str:
    return COMMENT.sub("", page.read_text(encoding="utf-8"))


def prose_of(page: Path) -> str:
    return FENCE.sub("", text_of(page))


def commands_of(page: Path) -> list[str]:
    """Everything a reader could type: lines of shell blocks, and code between single backticks in the prose."""
    blocks = [body.replace("\\\n", " ") for language, body in FENCE.findall(text_of(page)) if language in SHELL]
    lines = [line.partition(" #")[0] for block in blocks for line in block.splitlines()]
    return [*lines, *SPAN.findall(prose_of(page))]


def anchors_of(page: Path) -> set[str]:
    """The names by which the headings of a page can be linked to."""
    titles = (re.sub(r"[`*]", "", title).strip().lower() for title in HEADING.findall(prose_of(page)))
    return {NO_WORD.sub("", title.replace(" ", "-")) for title in titles}


@each_page
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    links = [a or b for a, b in LINK.findall(SPAN.sub("", prose_of(page)))]
    lost = []
    for link in (link for link in links if not link.startswith(("https:", "http:", "mailto:"))):
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            lost.append(link)
    assert lost == []


@each_page
def test_every_make_target_named_is_in_the_makefile(page: Path) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {target for code in commands_of(page) for target in re.findall(r"(?:^|&& |; )make ([a-z0-9-]+)", code)}
    assert named - targets == set()


@each_page
def test_every_command_named_is_one_of_the_program(page: Path) -> None:
    unknown = [f for code in commands_of(page) for words in LAKEHOUSE.findall(code) for f in faults_of(words.split())]
    assert unknown == []


def faults_of(words: list[str]) -> Iterator[str]:
    """The words of a command line that the program would not know: sub-commands, choices and options."""
    command: Any = typer.main.get_command(app)
    path = ["lakehouse"]
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        path.append(words.pop(0))
        if path[-1] == "…":
            return
        if path[-1] not in command.commands:
            yield " ".join(path)
            return
        command = command.commands[path[-1]]
    try:
        command.make_context(path[-1], [*words])
    except Exception as e:  # noqa: BLE001 - the family of errors is hidden inside typer
        # A page may leave out what a command needs, but not give it what it does not know.
        if type(e).__name__ not in ("MissingParameter", "BadOptionUsage", "NoArgsIsHelpError", "Exit"):
            yield " ".join([*path, *words])


def test_a_command_that_is_not_there_would_be_found() -> None:
    assert list(faults_of(["run", "day", "--date", "2011-12-09"])) == []
    assert list(faults_of(["run", "night"])) == ["lakehouse run night"]
    assert list(faults_of(["sample", "unload"])) == ["lakehouse sample unload"]
    assert list(faults_of(["tables", "--yaml"])) == ["lakehouse tables --yaml"]


def example_settings() -> set[str]:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8")
    return set(re.findall(r"^#?([A-Z][A-Z0-9_]+)=", lines, re.MULTILINE))


@each_page
def test_every_setting_named_is_in_the_example(page: Path) -> None:
    named = set(re.findall(r"\b(?:LAKEHOUSE|AWS)_[A-Z_]+\b", text_of(page)))
    assert named - example_settings() == set()


def test_every_setting_there_is_is_in_the_example() -> None:
    aliases = {name: f.validation_alias or f"LAKEHOUSE_{name.upper()}" for name, f in Settings.model_fields.items()}
    fields = {str(n) for a in aliases.values() for n in (a.choices if isinstance(a, AliasChoices) else (a,))}
    read_beside = set(re.findall(r"\"(LAKEHOUSE_[A-Z_]+[A-Z])\"", inspect.getsource(inspect.getmodule(Settings))))
    assert (fields | read_beside) - example_settings() == set()
    assert "LAKEHOUSE_SECRETS_DIR" in read_beside


def test_every_setting_of_the_example_is_explained() -> None:
    explained = "".join(text_of(ROOT / page) for page in ("README.md", "docs/stack.md", "docs/live.md"))
    assert {s for s in example_settings() if f"`{s}`" not in explained} == set()


def test_the_runbook_has_every_exit_code() -> None:
    codes = {e.exit_code: e.__name__ for e in vars(errors).values() if inspect.isclass(e) and hasattr(e, "exit_code")}
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \|", text_of(ROOT / "docs" / "operations.md"), re.MULTILINE)
    assert {int(code): name for code, name in rows} == codes


@each_decision
def test_a_decision_has_the_short_form_and_is_listed(page: Path) -> None:
    number = page.name[:4]
    titles = HEADING.findall(prose_of(page))
    assert titles[0].startswith(f"{number} ")
    assert titles[1:4] == ["Context", "Decision", "Consequences"]
    assert f"(adr/{page.name})" in text_of(ROOT / "docs" / "architecture.md")


def test_decisions_are_numbered_without_a_gap() -> None:
    assert [p.name[:4] for p in DECISIONS] == [f"{n:04d}" for n in range(1, len(DECISIONS) + 1)]


@dataclass(frozen=True)
class Example:
    """A table that the README adds: its files by path."""

    files: dict[str, str]


def example_of(heading: str) -> Example:
    """The files shown below a heading: a line that begins with the path, and the next block is what is in it."""
    files, path, block = {}, "", None
    for line in text_of(ROOT / "README.md").partition(f"### {heading}\n")[2].splitlines():
        if block is None and line.startswith("#"):
            break
        if block is not None and line == "```":
            files[path], block = "\n".join(block) + "\n", None
        elif block is not None:
            block.append(line)
        elif line.startswith("```"):
            block = []
        elif named := re.match(r"`([\w/]+/[\w.]+)`", line):
            path = named[1]
    return Example(files)


GOLD, SOURCE = example_of("A gold table: four new files"), example_of("A source table: six new files")


def test_the_examples_show_every_file_that_a_table_needs() -> None:
    assert sorted(GOLD.files) == [
        "conf/contracts/gold/agg_monthly_sales.yml",
        "expectations/gold/agg_monthly_sales.json",
        "lib/lakehouse/gold/agg_monthly_sales.py",
        "tests/gold/test_agg_monthly_sales.py",
    ]
    assert sorted(SOURCE.files) == [
        "conf/contracts/bronze/warehouses.yml",
        "conf/contracts/silver/warehouses.yml",
        "expectations/bronze/warehouses.json",
        "expectations/silver/warehouses.json",
        "lib/lakehouse/silver/warehouses.py",
        "tests/silver/test_warehouses.py",
    ]


@pytest.mark.parametrize("example", [GOLD, SOURCE], ids=["gold", "source"])
def test_the_examples_are_contracts_suites_and_modules_that_load(example: Example, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "conf" / "contracts", tmp_path / "conf" / "contracts")
    shutil.copytree(ROOT / "expectations", tmp_path / "expectations")
    for path, body in example.files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(body, encoding="utf-8")
    contracts = load_contracts(tmp_path / "conf" / "contracts")
    suites = load_suites(contracts, tmp_path / "expectations")
    for path, body in example.files.items():
        if path.endswith(".py"):
            ast.parse(body, path)
        if path.startswith("lib/"):
            layer, table = Path(path).parts[2], Path(path).stem
            assert suites[layer][table].expectations
            known = {table} if layer == "silver" else {*contracts["silver"], *contracts["gold"], "business_date"}
            assert arguments_of(body) <= known


def arguments_of(module: str) -> set[str]:
    functions = [n for n in ast.parse(module).body if isinstance(n, ast.FunctionDef) and n.name == "transform"]
    return {a.arg for a in functions[0].args.args}


def test_the_page_draws_the_rooms_in_the_order_that_imports_keep() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    drawn = [line.split() for line in page.partition("```text\n")[2].partition("```")[0].splitlines()]
    assert drawn[1:] == [list(line) for line in reversed(LINES)]
    doors = {p.stem for p in (ROOT / "lib" / "lakehouse").iterdir()} - {"__init__", "__pycache__", "silver", "gold"}
    assert {room for line in drawn for room in line} == doors, "every room of the package is drawn"

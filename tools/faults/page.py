"""docs/faults.md: the rows, their tests, and what the last run of each came to."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tools.faults.rows import INJECTORS, NUMBERS, PROMISES, ROWS
from tools.setup.machine import ROOT

PAGE = ROOT / "docs" / "faults.md"
RESULTS = ROOT / "tests" / "faults" / "results.json"
MARK = re.compile(r"mark\.fault\(([^)]*)\)")
TEST = re.compile(r"^def (test_\w+)", re.MULTILINE)
NOT_RUN = "not run"

Result = dict[str, Any]


def tests_of() -> dict[str, list[str]]:
    """The tests of each row, as `file::test`, by the marks in the files of tests."""
    found: dict[str, list[str]] = {number: [] for number in NUMBERS}
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        text = file.read_text(encoding="utf-8")
        for mark in MARK.finditer(text):
            test = TEST.search(text, mark.end())
            if test:
                for number in re.findall(r'"(F\d+)"', mark.group(1)):
                    found.setdefault(number, []).append(f"{file.relative_to(ROOT)}::{test.group(1)}")
    return found


def results() -> dict[str, Result]:
    """What each test came to when it was last run, by `file::test`."""
    return json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}


def remember(found: Iterable[Result], on: str) -> None:
    """Takes in the results of a run: cases of one test are counted together, `of` all that were to be run."""
    known = results()
    tests: dict[str, Result] = {}
    for case in found:
        test = tests.setdefault(case["test"], {"cases": 0, "of": 0, "held": 0, "seconds": 0.0, "on": on})
        test["of"] += 1
        test["cases"] += case["held"] is not None
        test["held"] += bool(case["held"])
        test["seconds"] = round(test["seconds"] + case["seconds"], 1)
    marked = {test for tests in tests_of().values() for test in tests}
    ran = {name: result for name, result in tests.items() if result["cases"]}
    kept = {name: result for name, result in {**known, **ran}.items() if name in marked}
    RESULTS.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def page() -> str:
    """The whole page."""
    found, known = tests_of(), results()
    lines = [
        "# Faults", "",
        "`make faults` injects each fault for real, on a real Postgres, a real MinIO and where it says so a real Airflow, holds",
        "what comes of it against the promises, and writes this page (`make faults ROWS=F5,F6` for some rows). It needs root,",
        "for a small file system and a limit of memory, and a C compiler for the shifted clock. Tests that need none of these",
        "and no minutes are in `make test` too.", "",
        "## Promises", "", "| # | Promise | What it says |", "|---|---|---|",
        *(f"| {number} | {name} | {words} |" for number, (name, words) in PROMISES.items()), "",
        "Tests of whole days check P1 to P4 once the day has ended, P3 and P5 while it has failed, P6 in the ledger and P7 in",
        "all that was written. The one alert of P6 is Airflow's, and is held by the tests of alerts.", "",
        "## Injectors", "", "| Name | What it does | Where |", "|---|---|---|",
        *(f"| {name} | {words} | [{Path(file).name}](../{file}) |" for name, (words, file) in INJECTORS.items()), "",
        "## Rows", "", "Cases are the values that a test is run with: moments of the kill, layers, classes of call. Seconds are of",
        "tests alone and count a test with every row it belongs to.", "",
        "| # | Fault | When | Injector | Expected | Cases | Held | Seconds | Last run |", "|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for row in ROWS:
        came_to = " | ".join(_sum([known[t] for t in found[row.number] if t in known], len(found[row.number])))
        lines.append(f"| {row.number} | {row.fault} | {row.when} | {row.injector} | {row.expected} | {came_to} |")
    lines += ["", "## Tests", "", "| # | Test | Cases | Held | Seconds | Last run |", "|---|---|---|---|---|---|"]
    for row in ROWS:
        for test in found[row.number]:
            file, _, name = test.partition("::")
            came_to = " | ".join(_sum([known[test]] if test in known else [], 1))
            words = name.removeprefix("test_").replace("_", " ")
            lines.append(f"| {row.number} | [{words}](../{file}) | {came_to} |")
    return "\n".join(lines) + "\n"


def _sum(tests: list[Result], of: int) -> tuple[str, str, str, str]:
    """Cases, held, seconds and date of the tests that were run, of so many."""
    if not tests:
        return "–", NOT_RUN, "–", "–"
    cases, held = sum(t["cases"] for t in tests), sum(t["held"] for t in tests)
    all_cases = sum(t["of"] for t in tests)
    whole = "yes" if cases == all_cases else f"yes, in {cases} of {all_cases} cases"
    verdict = whole if cases == held else f"NO: {cases - held} did not"
    if len(tests) < of:
        verdict += f"; {of - len(tests)} of {of} tests {NOT_RUN}"
    return (
        str(cases) if cases == all_cases else f"{cases} of {all_cases}",
        verdict,
        f"{sum(t['seconds'] for t in tests):.0f}",
        min(t["on"] for t in tests),
    )

"""A plugin of pytest: runs the tests that inject given faults, and writes down which held and how long they took.

python -m pytest -p tools.faults.plugin -m fault --faults FILE [--rows F1,F2] …     in either environment
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """The two options."""
    parser.addoption("--faults", metavar="FILE", default="", help="where the results are written")
    parser.addoption("--rows", metavar="F1,F2", default="", help="the faults whose tests are run; all without it")


def pytest_configure(config: pytest.Config) -> None:
    """Nothing happens without a file to write to."""
    if config.getoption("--faults"):
        rows = [row for row in config.getoption("--rows").split(",") if row]
        config.pluginmanager.register(Results(Path(config.getoption("--faults")), rows), "faults-results")


class Results:
    """What each test of a fault came to."""

    def __init__(self, file: Path, rows: list[str]) -> None:
        self._file, self._rows = file, rows
        self._found: dict[str, dict[str, Any]] = {}
        self._skipped = set[str]()

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Keeps the tests of the chosen rows."""
        of = {item: faults_of(item) for item in items}
        wanted = [item for item in items if of[item] and (not self._rows or set(of[item]) & set(self._rows))]
        config.hook.pytest_deselected(items=[item for item in items if item not in set(wanted)])
        items[:] = wanted
        for item in items:
            place = item.path.relative_to(Path.cwd()).as_posix()
            self._found[item.nodeid] = {"test": f"{place}::{getattr(item, 'originalname', item.name)}", "rows": of[item],
                                        "seconds": 0.0, "held": None}  # fmt: skip

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test has held where set-up, call and tear-down have passed. One that was skipped was not run."""
        found = self._found[report.nodeid]
        found["seconds"] += report.duration
        if report.skipped:
            self._skipped.add(report.nodeid)
        elif report.nodeid not in self._skipped:
            found["held"] = report.passed and found["held"] is not False
        if report.when == "teardown":  # at once, so that a run that is cut short leaves what it found
            self._file.write_text(json.dumps(list(self._found.values())), encoding="utf-8")


def faults_of(item: pytest.Item) -> list[str]:
    """The rows that a test is marked with."""
    return sorted({str(row) for mark in item.iter_markers("fault") for row in mark.args}, key=lambda row: int(row[1:]))

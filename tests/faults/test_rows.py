"""The table of faults: every row is injected by some test, and the page is what rows and results say."""

from __future__ import annotations

import pytest

from tools.faults import page as pages
from tools.faults.rows import NUMBERS

pytestmark = pytest.mark.unit


def test_every_fault_is_injected_by_a_test_and_no_test_names_another() -> None:
    assert [f"F{n}" for n in range(1, 29)] == NUMBERS
    assert {number for number, tests in pages.tests_of().items() if tests} == set(NUMBERS)


def test_results_are_of_tests_that_there_are() -> None:
    assert set(pages.results()) - {test for tests in pages.tests_of().values() for test in tests} == set()


def test_the_page_says_what_was_run() -> None:
    assert pages.PAGE.read_text(encoding="utf-8") == pages.page(), "run: make faults"
    assert pages.NOT_RUN not in {result["on"] for result in pages.results().values()}

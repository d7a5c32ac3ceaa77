"""One gate for all tests of the room: Great Expectations takes seconds to import."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse.gate.gate import Gate


@pytest.fixture(scope="session")
def session_gate(tmp_path_factory: pytest.TempPathFactory) -> Gate:
    """For tests that look at findings; its pages are nobody's."""
    gate = Gate(tmp_path_factory.mktemp("data-docs"))
    gate.warm()
    return gate


@pytest.fixture
def gate(session_gate: Gate, tmp_path: Path) -> Gate:
    """A gate of the test's own, whose pages go to `tmp_path`; Great Expectations is shared."""
    gate = Gate(tmp_path)
    gate._great_expectations = session_gate._great_expectations
    return gate

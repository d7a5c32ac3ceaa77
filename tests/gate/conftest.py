"""One gate for all tests of the room: Great Expectations takes seconds to import."""

from __future__ import annotations

import pytest

from lakehouse.gate.gate import Gate


@pytest.fixture(scope="session")
def session_gate() -> Gate:
    """For tests that look at findings; its pages are nobody's."""
    gate = Gate()
    gate.warm()
    return gate


@pytest.fixture
def gate(session_gate: Gate) -> Gate:
    """A gate of the test's own, whose findings are its own; Great Expectations is shared."""
    gate = Gate()
    gate._great_expectations = session_gate._great_expectations
    return gate

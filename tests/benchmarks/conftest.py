"""A place for a benchmark: a folder and a Postgres of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.place import Place
from tests.conftest import passable_folder


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with passable_folder() as folder:
        found = Place(folder / "home")
        found.start()
        try:
            yield found
        finally:
            found.stop()

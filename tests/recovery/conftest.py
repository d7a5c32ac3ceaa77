"""Small lakehouses with a server of their own, which ends with the test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import passable_folder
from tests.recovery.shop import Shop


@pytest.fixture(scope="module")
def kept() -> Iterator[Shop]:
    """Three days, and a backup after the first; tests of a file share it, in their order."""
    with passable_folder() as folder:
        shop = Shop(home=folder / "home")
        try:
            yield shop
        finally:
            shop.server.stop()

"""Small lakehouses with a server of their own, which ends with the test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.recovery.shop import Shop, own_shop


@pytest.fixture(scope="module")
def kept() -> Iterator[Shop]:
    """Three days, and a backup after the first; tests of a file share it, in their order."""
    with own_shop() as shop:
        yield shop

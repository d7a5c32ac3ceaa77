"""How a tool of `make` that works on a lakehouse ends: as `lakehouse` does."""

from __future__ import annotations

import sys
from collections.abc import Callable

from lakehouse.errors import LakehouseError
from lakehouse.home import close_files_to_others
from lakehouse.settings import Settings, load_settings


def run(work: Callable[[Settings], None]) -> None:
    """Does the work; a refusal or failure is one sentence and its exit code."""
    close_files_to_others()
    try:
        work(load_settings())
    except LakehouseError as e:
        print(e, file=sys.stderr)
        sys.exit(e.exit_code)

"""How a tool of `make` that works on a lakehouse ends: as `lakehouse` does."""

from __future__ import annotations

import sys
from collections.abc import Callable

from lakehouse.errors import LakehouseError, frames, may_quote, safe_words
from lakehouse.home import close_files_to_others
from lakehouse.settings import Settings, load_settings
from tools.setup.machine import EXIT_CODE, SetupError


def run(work: Callable[[Settings], None]) -> None:
    """Does the work; a refusal or failure is one sentence and its exit code, and no word of an unforeseen error is said."""
    close_files_to_others()
    try:
        work(load_settings())
    except (SetupError, LakehouseError) as e:
        print(e, file=sys.stderr)
        sys.exit(getattr(e, "exit_code", EXIT_CODE))
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as e:
        print(*(f"  {frame}" for frame in frames(e)), sep="\n", file=sys.stderr)
        print(f"{safe_words(e)}; LAKEHOUSE_DEBUG=1 shows its own words, which may quote a row", file=sys.stderr)
        if may_quote():
            raise
        sys.exit(1)

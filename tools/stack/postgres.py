"""Keeps the embedded Postgres up, for the supervisor: starts it, starts it again should it die, stops it on SIGTERM.

With the word `followed` after its folder its changes can be followed, as the live layer does.
The server leaves the process that starts it, so the supervisor cannot watch it as its own child; it watches this one.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from threading import Event

from lakehouse.errors import LakehouseError
from lakehouse.server.embedded import FOLLOWED, EmbeddedPostgres

LOOK_SECONDS = 2


def main() -> None:
    home, *followed = sys.argv[1:]
    server, asked_to_end = EmbeddedPostgres(Path(home), FOLLOWED if followed else None), Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked_to_end.set())
    try:
        while not asked_to_end.is_set():
            if not server.running():
                print("starting Postgres", flush=True)
                server.start()
            asked_to_end.wait(LOOK_SECONDS)
        print("stopping Postgres", flush=True)
        server.stop()
    except LakehouseError as e:
        sys.exit(str(e))


if __name__ == "__main__":
    main()

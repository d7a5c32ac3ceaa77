"""`make atlas`: an Apache Atlas on this machine with the catalogue of what is published, until it is interrupted.

Ends with 0 when a person ends it, else with one of the exit codes of `lakehouse`.
"""

from __future__ import annotations

import argparse
import sys
import time

from pydantic import SecretStr

from lakehouse.catalogue.atlas import export_catalogue
from lakehouse.database import Database
from lakehouse.errors import LedgerError, StoreError
from lakehouse.server.databases import database_url
from lakehouse.settings import Settings
from lakehouse.wiring import Lakehouse
from tools.atlas.home import USER, AtlasHome
from tools.atlas.server import PORT, running
from tools.setup.machine import SetupError
from tools.tool import run

AGAIN = "`lakehouse catalogue export --to atlas` exports again"


def main() -> None:
    """Starts, exports and waits, as it is asked to."""
    parser = argparse.ArgumentParser(prog="python -m tools.atlas", description=__doc__.split("\n")[0])
    parser.add_argument("--port", type=int, default=PORT, help="the port of 127.0.0.1")
    parser.add_argument(
        "--open", action="store_true", help="start it where it cannot be kept in a network namespace too"
    )
    given = parser.parse_args()

    def work(settings: Settings) -> None:
        try:
            serve(settings, given.port, is_open=given.open)
        except KeyboardInterrupt:
            print("Atlas has ended; its data are gone with it.", file=sys.stderr)

    run(work)


def serve(settings: Settings, port: int, *, is_open: bool) -> None:
    """Runs an Atlas until it ends or is interrupted."""
    began = time.monotonic()
    print("Starting Atlas, which takes some minutes", flush=True)
    with running(settings.home, port, is_open=is_open) as (url, password, process):
        home = AtlasHome(settings.home)
        print(f"Atlas answers at {url} ({time.monotonic() - began:.0f} s); log in as {USER} with the password in "
              f"{home.secrets / 'LAKEHOUSE_ATLAS_PASSWORD'}", flush=True)  # fmt: skip
        own = {"atlas_url": SecretStr(url), "atlas_user": USER, "atlas_password": SecretStr(password)}
        try:
            print(_exported(settings.model_copy(update=own)), flush=True)
        except LedgerError as e:
            print(f"Nothing was exported yet: {e}", flush=True)
        print(f"{AGAIN}; Ctrl-C ends Atlas, and its data with it", flush=True)
        if process.wait():
            raise SetupError(f"Atlas ended by itself: see {home.log} and {home.said}.")


def _exported(settings: Settings) -> str:
    began = time.monotonic()
    database = Database(database_url(settings, "gold", create=False), "gold", StoreError)
    lakehouse = Lakehouse(settings, gold_database=database)
    _, done = export_catalogue(settings, lakehouse.catalogue(), lakehouse.ledger)
    return f"The catalogue is in it: {done} ({time.monotonic() - began:.0f} s)"


if __name__ == "__main__":
    main()

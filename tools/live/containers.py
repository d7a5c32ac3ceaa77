"""Becomes the broker or Connect in a container: `python -m tools.live.containers kafka`, or `connect`; `well` asks of the
stream there what `make up` does, whether it has brought a batch.

Addresses are the names of docker-compose.yml. Where the source is comes from LAKEHOUSE_SOURCE_DSN, as everywhere; the live
layer reads it by a role and a password of its own.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from lakehouse.live.place import folder, last_batch
from lakehouse.live.settings import live_settings
from lakehouse.settings import load_settings
from tools.live.programs import Place, Shop
from tools.setup.machine import SetupError, exit_with_sentence
from tools.stack.access.secrets import write

FOLDER = Path("/var/lib/kafka")
PASSWORD = Path("/run/secrets/live_password")
KAFKA, CONTROLLER, CONNECT = 9092, 9093, 8083
WHICH = ("kafka", "connect", "well")


def main() -> None:
    if len(sys.argv) != 2 or sys.argv[1] not in WHICH:
        raise SetupError("Say which program: kafka, or connect; or well.")
    if sys.argv[1] == "well":
        sys.exit(last_batch(folder(load_settings().home))[0] < 0)
    chosen = live_settings()
    names = (chosen.topics, chosen.slot, chosen.publication)
    # Its network has no other members than the live layer's.
    place = Place(FOLDER, KAFKA, CONTROLLER, CONNECT, *names, listens="0.0.0.0", host="kafka")  # noqa: S104
    if sys.argv[1] == "kafka":
        place.write_broker()
        command = place.kafka()
    else:
        place.write_connect(_shop())
        command = place.connect_worker()
    os.execv(command[0], command)  # noqa: S606 - our own program


def _shop() -> Shop:
    settings = load_settings()
    if settings.source_dsn is None:
        raise SetupError("LAKEHOUSE_SOURCE_DSN is not set: the live layer follows the source that it names.")
    # Alone in a folder: Connect reads the whole of it, and the secrets beside it are not its business.
    write(FOLDER / "secrets" / "password", PASSWORD.read_text(encoding="utf-8").strip())
    return Shop.at(settings.source_dsn.get_secret_value(), FOLDER / "secrets", str(settings.ca_file or ""))


if __name__ == "__main__":
    exit_with_sentence(main)

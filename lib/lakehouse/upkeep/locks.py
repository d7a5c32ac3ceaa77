"""The locks of several layers, for as long as a repair plans and works; and who asked for it."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from lakehouse.contracts import LAYERS
from lakehouse.ledger.lease import Lease
from lakehouse.parts import Lakehouse


@contextmanager
def locked(lakehouse: Lakehouse) -> Iterator[Mapping[str, Lease]]:
    """The lock of every layer, taken in their order. Raises BusyError where a run of any is at work."""
    with ExitStack() as held:
        yield {layer: held.enter_context(lakehouse.ledger.alone(layer)) for layer in LAYERS}


def who() -> str:
    """The account and the machine that a command was given on, as ops.actions keeps them."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # an account without a name, as containers have them
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"

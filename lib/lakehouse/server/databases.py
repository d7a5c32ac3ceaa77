"""Where the two databases are: as the settings name them, or in the embedded server, which is started where it is down."""

from __future__ import annotations

from typing import Literal

from lakehouse.errors import UsageError
from lakehouse.server.embedded import EmbeddedPostgres
from lakehouse.server.roles import GOLD, OWNER, READER, shop_url
from lakehouse.settings import Settings


def database_url(settings: Settings, role: Literal["source", "gold", "reader"], *, create: bool = True) -> str:
    """The libpq URL of source or gold, password included; `reader` is gold for one who may only read.

    Looking never creates: without `create` it raises LedgerError where there is nothing yet. A server that is there and down
    is started either way. Raises UsageError for the reader of a server that the settings name.
    """
    named = {"source": settings.source_dsn, "gold": settings.gold_dsn, "reader": settings.gold_dsn}[role]
    if named is None:
        database = "ecommerce_source" if role == "source" else GOLD
        server = EmbeddedPostgres(settings.home)
        return shop_url(server, database, READER if role == "reader" else OWNER, create=create)
    if role == "reader":
        raise UsageError(
            "reader is a role of the embedded server, and LAKEHOUSE_GOLD_DSN names one of your own: ask for gold"
        )
    return named.get_secret_value()

"""Where the two databases are: as the settings name them, or in the embedded server, which is started where it is down."""

from __future__ import annotations

from typing import Literal

from lakehouse.server.embedded import EmbeddedPostgres
from lakehouse.settings import Settings


def database_url(settings: Settings, role: Literal["source", "gold"]) -> str:
    """The libpq URL of source or gold, password included."""
    named = {"source": settings.source_dsn, "gold": settings.gold_dsn}[role]
    if named is not None:
        return named.get_secret_value()
    server = EmbeddedPostgres(settings.home)
    server.start()
    return server.dsn(f"ecommerce_{role}")

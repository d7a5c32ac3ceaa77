"""Where the two databases are: as the settings name them, or in the embedded server, which is started where it is down."""

from __future__ import annotations

from typing import Literal

from lakehouse.errors import UsageError
from lakehouse.server.embedded import EmbeddedPostgres
from lakehouse.server.roles import GOLD, OWNER, PII_READER, READER, shop_url
from lakehouse.settings import Settings
from lakehouse.tls import checked_dsn

Role = Literal["source", "gold", "owner", "reader", "pii_reader"]
OF_THE_EMBEDDED: dict[Role, str] = {"reader": READER, "pii_reader": PII_READER}


def database_url(settings: Settings, role: Role, *, create: bool = True) -> str:
    """The libpq URL of source or gold, password included; `reader` is gold for one who may only read, `owner` for its owner.

    Looking never creates: without `create` it raises LedgerError where there is nothing yet. A server that is there and down
    is started either way. Raises UsageError for a reader that the settings do not name.
    """
    named = {"source": settings.source_dsn, "gold": settings.gold_dsn, "owner": settings.owner_dsn or settings.gold_dsn,
             "reader": settings.reader_dsn, "pii_reader": settings.pii_reader_dsn}[role]  # fmt: skip
    if named is not None:
        return checked_dsn(named.get_secret_value(), settings)
    if role != "source" and settings.gold_dsn is not None:
        raise UsageError(f"LAKEHOUSE_{role.upper()}_DSN is not set, and LAKEHOUSE_GOLD_DSN names a server of your own: set it, "
                         f"or ask for gold")  # fmt: skip
    database = "ecommerce_source" if role == "source" else GOLD
    return shop_url(EmbeddedPostgres(settings.home), database, OF_THE_EMBEDDED.get(role, OWNER), create=create)

"""What tables are called in OpenLineage: a namespace, which is the store, and a name, which is the place in it.

By OpenLineage's naming conventions (https://openlineage.io/docs/spec/naming), so that what others tell of the same table
meets. A server is host and port: users, passwords and parameters are no part of a name.
"""

from __future__ import annotations

from dataclasses import dataclass

from lakehouse import address

SCHEMAS = {"source": "public", "gold": "gold"}


@dataclass(frozen=True)
class Names:
    """Names by the root of the lake, and by host, port and database of the two servers (host:port/database)."""

    lake_root: str
    gold: str
    source: str = ""

    def of(self, table: str) -> tuple[str, str]:
        """Namespace and name of a table by its full name, for example `silver.orders`; `source.orders` is the shop's."""
        layer, _, name = table.partition(".")
        if layer in SCHEMAS:
            server, _, database = (self.source if layer == "source" else self.gold).rpartition("/")
            host, _, port = server.rpartition(":")
            return f"postgres://{f'[{host}]' if ':' in host else host}:{port}", f"{database}.{SCHEMAS[layer]}.{name}"
        place = address.table(self.lake_root, layer, name)
        if place.startswith("file://"):
            return "file", place.removeprefix("file://")
        bucket, _, key = place.partition("://")[2].partition("/")
        return f"s3://{bucket}", key

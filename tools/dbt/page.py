"""dbt's own page of models, columns, tests and lineage, fit for the Data Docs: no other host is named in it.

As dbt makes it, the page is whole in itself, but its texts link to dbt's makers, and its script holds the addresses of a
counter of visitors, which is switched on where the page is served by them. All of these are taken out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from lakehouse.errors import StoreError

NAME = "dbt/index.html"
HOST = r"(?:[a-z0-9-]+\.)+[a-z]{2,}"
# With a scheme or without one; up to what ends an address in a text, a string of JavaScript or of JSON, or an attribute.
ADDRESS = re.compile(
    rf"""(?:https?:|wss?:)?//(?!www\.w3\.org/){HOST}(?::\d+)?(?:[/?#][^\s"'`<>\\)]*)?""", re.IGNORECASE
)
# A string that is a host and nothing else, or the end of one.
ALONE = re.compile(r"""(["'])\.?(?:[a-z0-9-]+\.)+(?:com|dev|io|net|org)\1""", re.IGNORECASE)
# A host with a path, as notices in comments have it.
UNSCHEMED = re.compile(r"(?<![\w.$/@-])(?:[a-z0-9-]+\.)+(?:com|dev|io|net|org)/[\w./-]*", re.IGNORECASE)
# What stands in their place: no address, and no part of any host, so nobody takes a page for one of theirs.
NOTHING = "#"
SHORTEST_SECRET = 8


def cleaned(page: str, folder: Path, secrets: Iterable[str] = ()) -> str:
    """The page without the address of any host, and without `folder`, where dbt worked, before its files.

    Raises StoreError for one that holds a secret or still names a host.
    """
    for written in (str(folder), json.dumps(str(folder))[1:-1]):
        page = page.replace(f"{written}/", "")
    page = ALONE.sub(rf"\1{NOTHING}\1", UNSCHEMED.sub(NOTHING, ADDRESS.sub(NOTHING, page)))
    if hosts := foreign_hosts(page):
        raise StoreError(f"dbt's page names other hosts, so it was not published: {', '.join(sorted(hosts)[:5])}")
    if any(secret in page for secret in secrets if len(secret) >= SHORTEST_SECRET):
        raise StoreError("dbt's page holds a password, so it was not published")
    return page


def foreign_hosts(page: str) -> set[str]:
    """Hosts that a page names by an address, also by a number or a name without a dot.

    Namespaces of XML look like addresses and are none: nothing fetches them.
    """
    schemed = re.findall(r"(?:https?|wss?|ftp)://([a-z0-9][a-z0-9.-]*)", page, re.IGNORECASE)
    loaded = re.findall(rf"(?:src|href|url)\s*[=(]\s*[\"']?//({HOST})", page, re.IGNORECASE)
    return {*schemed, *loaded} - {"www.w3.org"}

"""The war of Atlas: fetched once a version into the user's cache, and known again by its SHA-256 at each start."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

from tools.setup.jars import Jar, cached, jars, spark_jars
from tools.setup.machine import ROOT, VENV, SetupError

LIST = ROOT / "conf" / "atlas" / "war.txt"
# The jar in it that holds what the embedded Solr wants to find beside it, and where.
SOLR_JAR, SOLR = "WEB-INF/lib/atlas-testtools-{}.jar", "solr/"
# Unpacked, with what it writes while it runs.
NEEDED_MB = 700


def war() -> Jar:
    """The war that is pinned."""
    [pinned] = jars(LIST)
    return pinned


def unpack(into: Path) -> None:
    """Unpacks the war into the folder war of `into`, and what Solr wants into its folder solr. Raises SetupError."""
    pinned = war()
    if (free := shutil.disk_usage(into).free / 1e6) < NEEDED_MB:
        raise SetupError(
            f"Atlas needs {NEEDED_MB} MB in {into}, and there are {free:.0f}: free some, or set LAKEHOUSE_HOME."
        )
    cache, _ = cached([pinned], spark_jars(VENV))
    with zipfile.ZipFile(cache / pinned.file) as archive:
        archive.extractall(into / "war")
    with zipfile.ZipFile(into / "war" / SOLR_JAR.format(pinned.version)) as archive:
        archive.extractall(into, [name for name in archive.namelist() if name.startswith(SOLR)])

"""The folder of an Atlas that `make atlas` starts, `atlas/` in the home: made again by each start.

Its index is lost with its process, so nothing of an earlier start is kept; the export brings back all that was in it.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from pathlib import Path
from string import Template

from lakehouse.catalogue.atlas import FOLDER
from lakehouse.home import make_home
from tools.atlas.environment import java
from tools.atlas.war import unpack
from tools.setup.machine import ROOT

CONF = ROOT / "conf" / "atlas"
USER = "admin"
# Of the caller's environment Java needs these, and is to see no more.
INHERITED = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ")


class AtlasHome:
    """Where an Atlas has its files, and by which files it is found."""

    def __init__(self, home: Path) -> None:
        self.shop = home
        self.folder = home / FOLDER
        self.secrets = self.folder / "secrets"
        self.log = self.folder / "logs" / "application.log"
        self.said = self.folder / "logs" / "start.log"

    def make(self, ports: dict[str, int]) -> str:
        """Makes it new for a server inside whose ports are `port`, `zookeeper` and `kafka`; the password of its one user."""
        make_home(self.shop)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(mode=0o700)
        for name in ("data", "logs", "secrets", "tmp"):
            (self.folder / name).mkdir()
        unpack(self.folder)
        conf = self.folder / "conf"
        shutil.copytree(CONF, conf, ignore=shutil.ignore_patterns("models", "war.txt"))
        shutil.copytree(CONF / "models", self.folder / "models")
        settings = conf / "atlas-application.properties"
        values = {"home": str(self.folder), **{name: str(number) for name, number in ports.items()}}
        settings.write_text(Template(settings.read_text(encoding="utf-8")).substitute(values), encoding="utf-8")
        password = secrets.token_urlsafe(24)
        digest = hashlib.sha256(password.encode()).hexdigest()
        _write(conf / "users-credentials.properties", f"{USER}=ADMIN::{digest}\n")
        return password

    def leave(self, url: str, password: str) -> None:
        """Leaves files, named like the settings, by which an export of the same home finds it."""
        _write(self.secrets / "LAKEHOUSE_ATLAS_PASSWORD", password)
        _write(self.secrets / "LAKEHOUSE_ATLAS_USER", USER)
        _write(self.secrets / "LAKEHOUSE_ATLAS_URL", url)

    def forget(self) -> None:
        """Takes them away: nobody answers there any more."""
        shutil.rmtree(self.secrets, ignore_errors=True)

    def command(self, port: int) -> list[str]:
        """What starts the server."""
        here, war = self.folder, self.folder / "war"
        places = {"home": here, "conf": here / "conf", "data": here / "data", "log.dir": here / "logs"}
        return [
            str(java()),
            "-Xmx1g",
            *(f"-Datlas.{name}={place}" for name, place in places.items()),
            f"-Dlog4j.configuration=file:{here / 'conf' / 'atlas-log4j.xml'}",
            f"-Dembedded.solr.directory={here}",
            f"-Djava.io.tmpdir={here / 'tmp'}",
            "-Djava.net.preferIPv4Stack=true",
            *("-cp", f"{here / 'conf'}:{war / 'WEB-INF' / 'classes'}:{war / 'WEB-INF' / 'lib'}/*"),
            *("org.apache.atlas.Atlas", "-app", str(war), "--port", str(port)),
        ]

    @staticmethod
    def environment() -> dict[str, str]:
        """What the server is told of the caller's environment."""
        return {name: os.environ[name] for name in INHERITED if name in os.environ}


def _write(file: Path, text: str) -> None:
    file.touch(mode=0o600)
    file.write_text(text, encoding="utf-8")

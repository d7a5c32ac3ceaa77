"""The folder of a Superset, `superset/` in the home: its metadata, its log, and in files closed to others its secrets."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from lakehouse.home import make_home
from tools.setup.machine import ROOT
from tools.superset.environment import SUPERSET

CONF = ROOT / "conf" / "superset"

USER = "admin"
HOST = "127.0.0.1"
PORT = 8088
# By this in its environment a process is known as that of one home.
MARK = "LAKEHOUSE_SUPERSET"
# Of the caller's environment Superset needs these, and is to see no more.
INHERITED = ("HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR")


class SupersetHome:
    """Where the Superset of a home has its files."""

    def __init__(self, home: Path) -> None:
        self.shop = home.absolute()
        self.folder = self.shop / "superset"
        self.secrets = self.folder / "secrets"
        self.password_file = self.secrets / "admin_password"
        self.log = self.folder / "superset.log"
        self.noted = self.folder / "process.json"
        self.lock = self.folder / "lock"

    def make(self) -> None:
        """Makes the folder, and the secrets that are missing: those that are there stay, as the metadata need them."""
        make_home(self.shop)
        for folder in (self.folder, self.secrets):
            folder.mkdir(mode=0o700, exist_ok=True)
        for name in ("secret_key", "admin_password"):
            file = self.secrets / name
            if not file.is_file() or not file.read_text(encoding="utf-8"):
                file.touch(mode=0o600)
                file.write_text(secrets.token_urlsafe(42), encoding="utf-8")

    @property
    def password(self) -> str:
        """That of the one user, made by `make`."""
        return self.password_file.read_text(encoding="utf-8")

    def environment(self) -> dict[str, str]:
        """What its programs are told: where its files are, and no secret."""
        given = {name: os.environ[name] for name in INHERITED if name in os.environ}
        return {
            **given,
            MARK: str(self.folder),
            "PATH": f"{SUPERSET.folder / 'bin'}:/usr/bin:/bin",
            "NO_PROXY": "*",  # nothing that it asks is elsewhere but gold
            "SUPERSET_CONFIG_PATH": str(self.config),
            "SUPERSET_HOME": str(self.folder),
            "SUPERSET_SECRETS": str(self.secrets),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
            "SCARF_ANALYTICS": "false",
            "DO_NOT_TRACK": "1",
        }

    @property
    def config(self) -> Path:
        """Its settings, the same for every home."""
        return CONF / "superset_config.py"

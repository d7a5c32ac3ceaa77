"""What is asked of a Superset that runs: a session of its user, and the import of conf/superset, over what is there."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
import yaml

from tools.setup.machine import SetupError
from tools.superset.gold import Reader
from tools.superset.home import CONF, USER

DATABASE = "databases/gold.yaml"
ROOT = "lakehouse"
# In the place of a password in a URL that Superset is to take from elsewhere.
MASK = "XXXXXXXXXX"
SECONDS = 120


class Superset:
    """A session of one user."""

    def __init__(self, url: str, session: requests.Session) -> None:
        self.url, self._session = url, session

    def ask(self, method: str, path: str, **given: Any) -> requests.Response:
        """An answer, whatever its code."""
        try:
            return self._session.request(method, f"{self.url}/api/v1/{path}", timeout=SECONDS, **given)
        except requests.RequestException as e:
            raise SetupError(f"Superset does not answer at {self.url} ({type(e).__name__}).") from None

    def expect(self, method: str, path: str, **given: Any) -> Any:
        """The JSON of an answer that is good; raises SetupError otherwise, without its words, which may quote a row."""
        answer = self.ask(method, path, **given)
        if not answer.ok:
            raise SetupError(f"Superset answered {answer.status_code} to {method} {path.split('?')[0]}: see its log.")
        return answer.json()

    def bring(self, reader: Reader) -> dict[str, int]:
        """Imports database, datasets, charts and dashboards; how many of each. Again it changes nothing but what a file has."""
        files = bundle(reader.address(MASK))
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            for name, text in files.items():
                archive.writestr(f"{ROOT}/{name}", text)
        self.expect(
            "POST",
            "assets/import/",
            files={"bundle": ("bundle.zip", content.getvalue(), "application/zip")},
            data={"passwords": json.dumps({DATABASE: reader.password})},
        )
        kinds = ("datasets", "charts", "dashboards")
        return {kind: sum(name.startswith(f"{kind}/") for name in files) for kind in kinds}


def bundle(address: str) -> dict[str, str]:
    """The files of conf/superset by their path, with the address of gold put into the database's."""
    files = {f.relative_to(CONF).as_posix(): f.read_text(encoding="utf-8") for f in sorted(CONF.rglob("*.yaml"))}
    files[DATABASE] = yaml.safe_dump({**yaml.safe_load(files[DATABASE]), "sqlalchemy_uri": address}, sort_keys=False)
    return files


@contextmanager
def logged_in(url: str, password: str) -> Iterator[Superset]:
    """A session of the one user. Raises SetupError where it is refused."""
    with requests.Session() as session:
        session.trust_env = False  # no proxy stands before this machine
        superset = Superset(url, session)
        given = {"username": USER, "password": password, "provider": "db"}
        token = superset.expect("POST", "security/login", json=given)["access_token"]
        session.headers["Authorization"] = f"Bearer {token}"
        session.headers["X-CSRFToken"] = superset.expect("GET", "security/csrf_token/")["result"]
        session.headers["Referer"] = url
        yield superset

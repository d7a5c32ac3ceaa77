"""The one who asks Atlas. It waits for no answer longer than is said here, and never says password, user or answer.

httpx and not Atlas's own client: that waits for ever, brings another library for HTTP, and its constants are no longer read
as they were meant by the Pythons that we run on.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from lakehouse.errors import ConfigError, StoreError
from lakehouse.secret_files import unproxied
from lakehouse.settings import Settings

# Where `make atlas` leaves, below the home, what it is found by: files named like the settings.
FOLDER = "atlas"
CONNECT_SECONDS = 5.0
# A table with its columns is one request; the first ones of a server that has just started take some seconds each.
ANSWER_SECONDS = 120.0
# Its own number of an error, as ATLAS-404-00-001: nothing of ours is in it.
ERROR_CODE = re.compile(r'"errorCode"\s*:\s*"(ATLAS-[0-9A-Z-]{1,20})"')
Answer = Any


class Atlas:
    """An Atlas, by its address, user and password."""

    def __init__(
        self, url: str, user: str, password: str, *, ca_file: str | None = None, seconds: float = ANSWER_SECONDS
    ):
        parts = urlsplit(url)
        self.where = parts.netloc.rpartition("@")[2]
        self._client = httpx.Client(
            # Without what may stand before an @: user and password are settings of their own.
            base_url=f"{parts._replace(netloc=self.where, query='', fragment='').geturl().rstrip('/')}/api/atlas/v2/",
            auth=(user, password),
            timeout=httpx.Timeout(seconds, connect=CONNECT_SECONDS),
            mounts=unproxied(url),
            verify=ssl.create_default_context(cafile=ca_file) if ca_file else True,
        )

    def __enter__(self) -> Atlas:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Answer:
        """What lies there; None where Atlas knows nothing of it."""
        return self._ask("GET", path, params=params)

    def send(self, method: str, path: str, body: Any = None, params: Mapping[str, Any] | None = None) -> Answer:
        """What a change was answered."""
        return self._ask(method, path, params=params, json=body)

    def _ask(self, method: str, path: str, **more: Any) -> Answer:
        try:
            answer = self._client.request(method, path, **more)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as e:
            # Other words than ours may hold the address as it was given, and with it a password.
            raise StoreError(
                f"Atlas at {self.where} does not answer ({type(e).__name__}): check LAKEHOUSE_ATLAS_URL and that it runs, then "
                "export again"
            ) from None
        if answer.status_code in (401, 403) or answer.is_redirect:  # to its page for logging in
            raise ConfigError(
                f"Atlas at {self.where} refuses our user (it answered {answer.status_code}): check LAKEHOUSE_ATLAS_USER, "
                "LAKEHOUSE_ATLAS_PASSWORD and what that user may do"
            )
        if answer.status_code == 404 and method == "GET":
            return None
        if not answer.is_success:
            code = ERROR_CODE.search(answer.text)
            words = f"{answer.status_code}, {code[1]}" if code else answer.status_code
            raise StoreError(
                f"Atlas at {self.where} answered {words} to {method} {path}: look into its log, then export again"
            )
        if not answer.content:
            return {}
        try:
            return answer.json()
        except ValueError:
            raise StoreError(
                f"what answers at {self.where} is no Atlas: its answer to {method} {path} is no JSON; check LAKEHOUSE_ATLAS_URL"
            ) from None


def atlas_of(settings: Settings) -> Atlas:
    """The Atlas of the settings, else the one that `make atlas` has started for this home. Raises ConfigError."""
    if settings.atlas_url:
        url, user = settings.atlas_url.get_secret_value(), settings.atlas_user
        password = settings.atlas_password.get_secret_value() if settings.atlas_password else ""
    else:  # user and password of the settings belong to another Atlas
        url, user, password = (_left(settings, f"LAKEHOUSE_ATLAS_{word}") for word in ("URL", "USER", "PASSWORD"))
    if not url:
        raise ConfigError("LAKEHOUSE_ATLAS_URL is not set: name an Atlas, or start one by `make atlas`")
    if not password:
        raise ConfigError(f"LAKEHOUSE_ATLAS_PASSWORD is not set: the password of {user} at Atlas")
    return Atlas(url, user, password, ca_file=str(settings.ca_file) if settings.ca_file else None)


def _left(settings: Settings, name: str) -> str:
    file = settings.home / FOLDER / "secrets" / name
    return file.read_text(encoding="utf-8").strip() if file.is_file() else ""

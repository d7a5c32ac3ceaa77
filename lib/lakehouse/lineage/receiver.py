"""Where events go: a file per run in the home, or an address by HTTP. Beside the run: it waits for no receiver.

One thread makes and delivers the events, in the order of the runs. What it cannot deliver is a warning of a few words;
nothing is lost by that, as the ledger can tell of every run again.
"""

from __future__ import annotations

import atexit
import os
import time
from collections.abc import Callable, Sequence
from queue import Queue
from threading import Thread
from urllib.parse import urlsplit

from lakehouse import log
from lakehouse.errors import safe_words
from lakehouse.home import make_home
from lakehouse.secret_files import unproxied
from lakehouse.settings import Settings

FOLDER = "lineage"
# Where OpenLineage's own servers listen, at an address that names no path.
ENDPOINT = "/api/v1/lineage"
TIMEOUT_SECONDS = 3.0
# How long the end of a process waits, in all, for what has not been delivered yet.
LINGER_SECONDS = 3.0


class NotReceivedError(Exception):
    """Events that were not taken, in words that may be logged: neither the address nor its answer is in them."""


def deliver(settings: Settings, run_id: str, lines: Sequence[str]) -> None:
    """Hands the events of a run to the receiver that is set. Raises NotReceivedError."""
    if settings.lineage == "off":
        return
    if settings.lineage == "file":
        _write(settings, run_id, lines)
    else:
        token = settings.lineage_token.get_secret_value() if settings.lineage_token else ""
        _post(settings.lineage.get_secret_value(), token, lines)


def _write(settings: Settings, run_id: str, lines: Sequence[str]) -> None:
    """A file per run, whole or not at all; those that are older than what is superseded is kept go."""
    folder = settings.home / FOLDER
    try:
        make_home(settings.home)
        folder.mkdir(mode=0o700, exist_ok=True)
        draft = folder / f".{run_id}.{os.getpid()}"
        draft.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        draft.replace(folder / f"{run_id}.jsonl")
        oldest = time.time() - settings.retention.total_seconds()
        for file in folder.glob("*.jsonl"):
            if file.stat().st_mtime < oldest:
                file.unlink(missing_ok=True)
    except OSError as e:
        raise NotReceivedError(f"{folder}: {e.strerror}") from None


def _post(url: str, token: str, lines: Sequence[str]) -> None:
    """One request per event; the first that is not taken is the last that is tried."""
    import httpx  # late: who tells nobody does without it

    parts = urlsplit(url)
    target = parts._replace(path=ENDPOINT).geturl() if parts.path in ("", "/") else url
    try:
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        with httpx.Client(timeout=TIMEOUT_SECONDS, headers=headers, mounts=unproxied(target)) as client:
            for n, line in enumerate(lines):
                answer = client.post(target, content=line)
                if not answer.is_success:  # a redirect has taken nothing either
                    raise NotReceivedError(f"it answered {answer.status_code} to event {n + 1} of {len(lines)}")
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as e:
        # Other words than ours may hold the address, and with it a password.
        raise NotReceivedError(type(e).__name__) from None


class Teller:
    """Tells a receiver of runs, on a thread of its own that is started for the first one."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell, self._queue = tell, Queue[str | None]()
        self._thread: Thread | None = None

    def tell(self, run_id: str) -> None:
        """Returns at once."""
        if self._thread is None:
            self._thread = Thread(target=self._work, name="lineage", daemon=True)
            self._thread.start()
            atexit.register(self.finish)
        self._queue.put(run_id)

    def finish(self, seconds: float = LINGER_SECONDS) -> None:
        """Waits for what is left, so long at most: no receiver keeps a process from its end."""
        if self._thread is None:
            return
        self._queue.put(None)
        self._thread.join(seconds)
        if self._thread.is_alive():
            log.warning("lineage.not_sent", message="the receiver had not taken every event when the process ended")
        self._thread = None
        atexit.unregister(self.finish)

    def _work(self) -> None:
        while (run_id := self._queue.get()) is not None:
            try:
                self._tell(run_id)
            except NotReceivedError as e:
                log.warning("lineage.not_sent", run_id=run_id, message=str(e))
            except Exception as e:  # noqa: BLE001 - the run has ended; what is told of it changes nothing of that
                log.warning("lineage.not_sent", run_id=run_id, message=safe_words(e))

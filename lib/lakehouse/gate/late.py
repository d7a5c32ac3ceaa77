"""Great Expectations from another thread: its import takes seconds that the first check need not wait for."""

from __future__ import annotations

import threading

from lakehouse.gate.great_expectations import GreatExpectations
from lakehouse.session import quiet_pyspark


class Late:
    """Great Expectations when it is needed, imported in the background from the moment `start` is called."""

    def __init__(self) -> None:
        self._thread = threading.Thread(target=self._load, name="great-expectations", daemon=True)
        self._loaded: GreatExpectations | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begins the import, once; does not wait for it."""
        with self._lock:
            if self._thread.ident is None:
                quiet_pyspark()  # before there is a second thread: see there
                self._thread.start()

    def get(self) -> GreatExpectations:
        """Waits until the import is done. Raises what the import raises."""
        self.start()
        self._thread.join()
        with self._lock:
            return self._loaded or self._load()  # a second try raises here what the thread could not

    def _load(self) -> GreatExpectations:
        self._loaded = GreatExpectations()
        return self._loaded

"""What a run of any peer keeps of itself: the seconds of each phase, and checks that end it."""

from __future__ import annotations

import time
from collections import defaultdict


class Phases:
    """Seconds by phase; what is not a phase's own is the next one's."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._mark = time.monotonic()

    def finished(self, phase: str) -> None:
        """Counts the time since the last phase ended as this one's."""
        now = time.monotonic()
        self.seconds[phase] = round(self.seconds[phase] + now - self._mark, 3)
        self._mark = now


def require(holds: bool, words: str) -> None:
    """Ends the run, nothing published, where a check does not hold."""
    if not holds:
        raise SystemExit(f"check failed: {words}")

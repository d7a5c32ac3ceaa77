"""JSON log lines of counts and ids, never values: one event a line, on standard error.

On a terminal a person watches instead: the command line listens to the same events and draws progress from them.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

import structlog

Listener = Callable[[str, dict[str, object]], None]
_listeners: list[Listener] = []


def listen(listener: Listener) -> None:
    """Hands every event to the listener instead of writing JSON lines."""
    _listeners.append(listener)


def unlisten() -> None:
    """Back to JSON lines."""
    _listeners.clear()


def event(name: str, **facts: object) -> None:
    """Says that something happened. Facts are counts, seconds, names of tables and ids of runs."""
    _tell("info", name, facts)


def warning(name: str, **facts: object) -> None:
    """Says that something went wrong that does not stop the run."""
    _tell("warning", name, facts)


def _tell(level: str, name: str, facts: dict[str, object]) -> None:
    for listener in _listeners:
        listener(name, facts)
    if not _listeners:
        structlog.get_logger().log(logging.getLevelNamesMapping()[level.upper()], name, **facts)


def is_json() -> bool:
    """Whether the process speaks in JSON lines now."""
    return structlog.is_configured() and not _listeners


def to_json_lines() -> None:
    """Sets JSON lines on standard error up; libraries speak only from warnings on."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )

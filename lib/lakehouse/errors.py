"""One family of errors. Each says what happened, where, and what to do; never a data value, never a secret.

Exit codes are part of the interface: schedulers tell a refused day (do not retry) from a broken server (retry) by them.
A number is never given a second meaning.
"""

from __future__ import annotations

import os
from traceback import walk_tb


class LakehouseError(Exception):
    """Anything the lakehouse refuses or fails to do, in one sentence a person can act on."""

    exit_code = 1


class UsageError(LakehouseError):
    """The request itself is wrong: a malformed date, a day that is not over, an unknown table."""

    exit_code = 2


class ConfigError(LakehouseError):
    """A setting, contract or suite is wrong; names the file and the key."""

    exit_code = 3


class SourceError(LakehouseError):
    """The source cannot be read: down, wrong password, missing table."""

    exit_code = 4


class DriftError(LakehouseError):
    """The source's schema is not what the contract says, and its policy does not allow the difference."""

    exit_code = 5


class GateError(LakehouseError):
    """A critical rule failed: nothing was published. Retrying without a change gives the same answer."""

    exit_code = 6


class StoreError(LakehouseError):
    """The lake or the gold database cannot be reached, or answers what it should not."""

    exit_code = 7


class LedgerError(LakehouseError):
    """The ledger forbids it until a person changes something: a contract, the zone, the lake or the ledger itself."""

    exit_code = 8


class SetupError(LakehouseError):
    """The environment lacks something `make setup` installs."""

    exit_code = 9


class BusyError(LakehouseError):
    """Another run of the layer is at work: wait for it to end, then run again."""

    exit_code = 10


class RightLostError(LakehouseError):
    """The run lost its lock while it worked: another may have taken over, so nothing more was written."""

    exit_code = 11


class NotYetError(LakehouseError):
    """An earlier layer has not published the day yet."""

    exit_code = 12


def may_quote() -> bool:
    """Whether a person wants the own words of an unforeseen error, which may quote a row: LAKEHOUSE_DEBUG is 1."""
    return os.environ.get("LAKEHOUSE_DEBUG") == "1"


def frames(error: BaseException) -> list[str]:
    """Where an error came from, outermost call first, as `file:line function`: no message, no source line, no value.

    The stacks of its causes come before its own, as Python prints them.
    """
    chain: list[BaseException] = []
    step: BaseException | None = error
    while step is not None and step not in chain:
        chain.append(step)
        step = step.__cause__ or (None if step.__suppress_context__ else step.__context__)
    found: list[str] = []
    for each in reversed(chain):
        found.append(type(each).__name__)
        found += [f"{_short(f.f_code.co_filename)}:{n} {f.f_code.co_name}" for f, n in walk_tb(each.__traceback__)]
    return found


def _short(path: str) -> str:
    """A file from its package on: which folder of which person it lies in says nothing."""
    for top in ("/site-packages/", "/lib/lakehouse/"):
        if top in path:
            return path.rpartition(top)[2] if top == "/site-packages/" else f"lakehouse/{path.rpartition(top)[2]}"
    return path.rpartition("/")[2]


def safe_words(error: BaseException) -> str:
    """An error in words that may be logged: our own sentences, and of any other error its kind and condition.

    Messages of Spark, Postgres and Python may quote a row; ours never do.
    """
    if isinstance(error, LakehouseError):
        return str(error)
    condition = getattr(error, "getCondition", lambda: None)() or getattr(error, "pgcode", None)
    java = getattr(error, "java_exception", None)
    kinds = [type(error).__name__, *([java.getClass().getName()] if java is not None else [])]
    return " ".join([*kinds, *([str(condition)] if condition else [])])

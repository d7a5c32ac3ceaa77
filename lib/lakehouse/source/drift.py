"""Drift: every difference between a table of the source and its contract, named at once."""

from __future__ import annotations

from dataclasses import dataclass

from lakehouse.contracts import NAME, Contract
from lakehouse.contracts.types import EVOLVABLE, MOST_DIGITS, NUMERIC, bare_type, holds

# Bronze's own partition columns, whose names no column of the source may take.
PARTITION = ("year", "month", "day")


@dataclass(frozen=True)
class Drift:
    """One difference between a source table and its contract: a column missing, retyped or new."""

    kind: str
    column: str
    type: str
    words: str


def drifts(contract: Contract, found: dict[str, str]) -> list[Drift]:
    """Every difference between a table of the source and its contract. A renamed column is one missing and one new."""
    missing = [Drift("missing", c.name, "", "is missing") for c in contract.columns if c.name not in found]
    retyped = [
        Drift("retyped", c.name, found[c.name], f"is {found[c.name]}, not {c.type}")
        for c in contract.columns
        if c.name in found and not holds(c.type, found[c.name])
    ]
    new = [Drift("new", n, kind, f"is new ({kind})") for n, kind in found.items() if n not in contract.names]
    return missing + retyped + new


def evolvable(name: str, source_type: str) -> str | None:
    """The type in which a new column of the source is carried; None where the lake has no room for its name or type."""
    if not NAME.fullmatch(name) or name in PARTITION:
        return None
    if numeric := NUMERIC.fullmatch(source_type):
        return source_type if int(numeric[1]) <= MOST_DIGITS else None
    return EVOLVABLE.get(bare_type(source_type))

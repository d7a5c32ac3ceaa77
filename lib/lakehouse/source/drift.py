"""Drift: every difference between a table of the source and its contract, named at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lakehouse.contracts import NAME, Contract
from lakehouse.contracts.types import EVOLVABLE, MOST_DIGITS, NUMERIC, SPARK_TYPES, bare_type, holds
from lakehouse.database.meanings import printable
from lakehouse.records import PARTITION

# Postgres allows more decimals than digits, and fewer than none.
SOURCE_NUMERIC = re.compile(r"numeric\((\d+),(-?\d+)\)")
CONTRACT_TYPES = {spark: ours for ours, spark in SPARK_TYPES.items()}
INTEGERS = ("integer", "bigint")


@dataclass(frozen=True)
class Drift:
    """One difference between a source table and its contract: a column missing, retyped or new."""

    kind: str
    column: str
    type: str
    words: str

    @property
    def shown(self) -> str:
        """The column's name as it may stand on a terminal or a page."""
        return printable(self.column)


@dataclass(frozen=True)
class Brought:
    """What a table brings: columns beyond the contract, those that bronze holds too narrow, and what is forbidden.

    `extra` and `widened` have types in the contract's words; `serious` is the part of the drift that the policy forbids.
    """

    drift: list[Drift]
    serious: list[Drift]
    extra: dict[str, str]
    widened: dict[str, str]
    forbidden: list[str]


def brought(contract: Contract, found: dict[str, str], held: Mapping[str, str]) -> Brought:
    """Holds what the source has of a table against its contract and its policy.

    `held`: what bronze holds of it, names and types in the contract's words.
    """
    drift = drifts(contract, found)
    new = [d for d in drift if d.kind == "new"]
    serious = drift if contract.drift_policy == "fail" else [d for d in drift if d.kind != "new"]
    evolves = contract.drift_policy == "evolve"
    extra = {d.column: kind for d in new if evolves and (kind := evolvable(d.column, d.type))}
    types = {**{c.name: c.type for c in contract.columns}, **extra}
    fit = {n: widened(held[n], kind) for n, kind in types.items() if n in held}
    forbidden = [f"{d.shown} {d.words}" for d in serious]
    forbidden += [f"{n} is {types[n]} now, and bronze holds it as {held[n]}" for n, kind in fit.items() if kind is None]
    return Brought(
        drift,
        serious,
        {n: fit.get(n) or kind for n, kind in extra.items()},
        {n: kind for n, kind in fit.items() if kind is not None and kind != held[n]},
        forbidden,
    )


def drifts(contract: Contract, found: dict[str, str]) -> list[Drift]:
    """Every difference between a table of the source and its contract. A renamed column is one missing and one new."""
    missing = [Drift("missing", c.name, "", "is missing") for c in contract.columns if c.name not in found]
    retyped = [
        Drift("retyped", c.name, found[c.name], f"is {printable(found[c.name])}, not {c.type}")
        for c in contract.columns
        if c.name in found and not holds(c.type, found[c.name])
    ]
    new = [Drift("new", n, kind, f"is new ({printable(kind)})") for n, kind in found.items() if n not in contract.names]
    return missing + retyped + new


def evolvable(name: str, source_type: str) -> str | None:
    """The type in which a new column of the source is carried; None where the lake has no room for its name or type."""
    # Bronze's own folders have their names.
    if not NAME.fullmatch(name) or name in PARTITION:
        return None
    if numeric := SOURCE_NUMERIC.fullmatch(source_type):
        digits, scale = int(numeric[1]), int(numeric[2])
        return _numeric(digits - scale, scale)
    return EVOLVABLE.get(bare_type(source_type))


def widened(held: str, now: str) -> str | None:
    """The type that holds what bronze holds of a column and what the source has now; None where none does."""
    if held == now:
        return held
    if held in INTEGERS and now in INTEGERS:
        return "bigint"
    if (a := NUMERIC.fullmatch(held)) and (b := NUMERIC.fullmatch(now)):
        whole = max(int(n[1]) - int(n[2]) for n in (a, b))
        return _numeric(whole, max(int(a[2]), int(b[2])))
    return None


def contract_type(spark_type: str) -> str:
    """A column's type in the lake, in the contract's words."""
    return CONTRACT_TYPES.get(spark_type, spark_type.replace("decimal", "numeric"))


def _numeric(whole: int, scale: int) -> str | None:
    """The type with so many digits before and behind the point, or None where Spark has no room for them."""
    whole, scale = max(whole, 0), max(scale, 0)
    digits = max(whole + scale, 1)
    return f"numeric({digits},{scale})" if digits <= MOST_DIGITS else None

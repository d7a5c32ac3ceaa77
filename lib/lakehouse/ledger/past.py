"""Values of repairs: places in the order of runs, runs that were set aside, runs that only the lake still knows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any


@dataclass(frozen=True)
class Cut:
    """A place in the order of a layer's published runs, the greatest business date up to it, and its run's inputs."""

    seq: int
    run_id: str
    as_of: date
    inputs: dict[str, Any]


@dataclass(frozen=True)
class Aside:
    """One table of a bronze run that a rewind set aside, and the version that still holds its rows."""

    run_id: str
    business_date: date
    table: str
    version: int
    rows: int


@dataclass(frozen=True)
class AdoptedTable:
    """One table of a bronze run, as its commit and its rows tell of it; `rows` are images and tombstones."""

    table: str
    version: int
    rows: int
    window_start: datetime | None
    window_end: datetime
    snapshot: str | None
    tombstones: int = 0


@dataclass(frozen=True)
class Adopted:
    """A bronze run that only the lake still knows."""

    run_id: str
    business_date: date
    started_at: datetime
    tables: tuple[AdoptedTable, ...]


@dataclass(frozen=True)
class Undone:
    """A bronze run that nobody knows to have been published: what it left in the lake is restored away."""

    run_id: str
    business_date: date
    at: datetime
    tables: tuple[str, ...]
    rows: int

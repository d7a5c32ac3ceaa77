"""The values that travel between rooms: one of each, without behaviour beyond what they hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Literal, get_args

Severity = Literal["critical", "warning"]
# Folders of a table of the lake by a date, from the widest on.
Grain = Literal["year", "month", "day"]
PARTITION: tuple[str, ...] = get_args(Grain)
# The layers of the lake, and the layer whose runs write each, under its lock.
RUNS_OF = {"bronze": "bronze", "silver": "silver", "quarantine": "silver"}


@dataclass(frozen=True)
class Run:
    """A run of one layer for one business date, at work since `started_at`."""

    run_id: str
    layer: str
    business_date: date
    started_at: datetime
    rebuilds: bool = False


@dataclass
class TableRun:
    """What a run did to one table; `version` None where it wrote none."""

    table: str
    version: int | None = None
    rows_read: int = 0
    rows_kept: int = 0
    rows_deduplicated: int = 0
    rows_quarantined: int = 0
    rows_displaced: int = 0
    # Of bronze: tombstones, a key each. Of silver: images that one voids.
    rows_removed: int = 0
    # Images judged before that are judged once more: rows of silver, and deduplicated ones.
    rows_recalled: int = 0
    rows_reopened: int = 0
    has_ties: bool = False  # of silver: whether an image lost to another of the same key and updated_at
    bytes_written: int = 0
    window_start: datetime | None = None
    window_end: datetime | None = None
    snapshot: str | None = None
    keys_seen: str | None = None
    reasons: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What a run of a layer came to. `covered`: an earlier run had done it, and nothing changed."""

    layer: str
    business_date: date
    run_id: str
    state: str
    message: str
    seconds: float
    tables: list[TableRun] = field(default_factory=list)


@dataclass(frozen=True)
class Published:
    """The version of a table that readers see.

    `keys_seen`: of bronze, the source's keys when those held were last compared with them, as `Seen` writes them.
    """

    table: str
    version: int
    run_id: str
    business_date: date
    shape: dict[str, str]
    keys_seen: str | None = None


@dataclass(frozen=True)
class Version:
    """The state in which a table was published for a business date."""

    business_date: date
    version: int
    run_id: str
    published_at: datetime


@dataclass(frozen=True)
class Last:
    """The newest published run of a layer, and `as_of`, the greatest business date the layer ever published."""

    run_id: str
    business_date: date
    as_of: date
    inputs: dict[str, Any]


@dataclass(frozen=True)
class Totals:
    """Rows of one table since its last rebuild: read, gone (deduplicated or displaced), held, open in quarantine, removed.

    Of bronze `read` are images, `removed` tombstones, and `held` both. `has_ties`: as of a run's table.
    """

    read: int = 0
    gone: int = 0
    held: int = 0
    open: int = 0
    removed: int = 0
    has_ties: bool = False


@dataclass(frozen=True)
class Extracted:
    """A bronze run's part in one table: its window and the source's snapshot then; images that it brought, and tombstones."""

    run_id: str
    table: str
    business_date: date
    window_start: datetime | None
    window_end: datetime
    snapshot: str
    rows: int
    tombstones: int = 0


@dataclass(frozen=True)
class Window:
    """What a run brings of a table: mark <= updated_at < end, and what committed late below the mark.

    `mark` None: everything below the end. `snapshot`: the source's position when the window below the mark was read.
    `again`: the position of this very window, where it was read before; nothing below it is looked for then.
    `touched_since`: also what was made before the end and stamped at or after it, as its window is the newest that is over.
    """

    mark: datetime | None
    end: datetime
    snapshot: str | None = None
    lookback: timedelta = timedelta(0)
    again: str | None = None
    touched_since: bool = False


@dataclass(frozen=True)
class Counts:
    """Rows of a window by the source's own count, in the snapshot that is extracted; `late` ones lie below it."""

    rows: int
    late: int
    outside: int


@dataclass(frozen=True)
class Commit:
    """One version of a lake table and what its commit wrote: rows of its new files, of them new and changed ones; and those deleted."""

    version: int
    rows: int
    bytes: int
    inserted: int = 0
    updated: int = 0
    deleted: int = 0


@dataclass(frozen=True)
class Stamp:
    """Who commits to the lake: a run of a layer for a business date, and the ledger that knows the run."""

    ledger: str
    run: str
    layer: str
    business_date: date


@dataclass(frozen=True)
class Stamped:
    """A commit of a lake table and the stamp it bears; ledger and run are None where somebody else committed.

    `facts`: what its run kept with it, such as bronze's window.
    """

    version: int
    operation: str
    ledger: str | None
    run: str | None
    layer: str | None
    facts: Mapping[str, Any]
    rows: int
    timestamp: datetime
    business_date: date | None = None


@dataclass(frozen=True)
class Marks:
    """The lake's own copy of a layer's pointers: the ledger, the run that published them, a version per table."""

    ledger: str
    run: str
    versions: Mapping[str, int]


@dataclass(frozen=True)
class Cleaned:
    """What a clean-up deleted of a lake table, or would: files, and the bytes of all files of that kind before and after."""

    layer: str
    table: str
    files: int
    bytes_before: int
    bytes_after: int


@dataclass(frozen=True)
class Changes:
    """Rows that a publish of gold changed in one table."""

    inserted: int
    updated: int
    deleted: int


@dataclass(frozen=True)
class KeptTotals:
    """What was counted of a gold table in a published version; `meaning` changes when what is counted may."""

    version: int
    meaning: int
    totals: Mapping[str, str]


@dataclass(frozen=True)
class Finding:
    """One rule on one table: whether it was met, on how many rows (null: not counted), and how many broke it."""

    layer: str
    table: str
    rule: str
    severity: Severity
    success: bool
    unexpected: int | None
    rows: int | None

    def __str__(self) -> str:
        if self.unexpected and self.rows:
            counts = f" ({self.unexpected:,} of {self.rows:,} rows)"
        elif self.unexpected:
            counts = f" ({self.unexpected:,})"
        else:
            counts = f" ({self.rows:,} rows)" if self.rows is not None else ""
        return f"{self.layer}.{self.table} {self.rule}{counts}"


@dataclass(frozen=True)
class BrokenRule:
    """A critical rule that a table did not meet: how many rows broke it, of how many (null: not counted)."""

    table: str
    rule: str
    unexpected: int | None
    rows: int | None


@dataclass(frozen=True)
class Failure:
    """A run that failed, in its own words."""

    run_id: str
    error_code: int | None
    message: str
    rules: tuple[BrokenRule, ...]


@dataclass(frozen=True)
class ListedRun:
    """A run as the ledger has it: how it stands, in whose words it failed, and its rules by outcome."""

    run_id: str
    layer: str
    business_date: date
    state: str
    started_at: datetime
    finished_at: datetime | None = None
    message: str | None = None
    rules: int = 0
    critical: int = 0
    warnings: int = 0

    @property
    def needs_a_look(self) -> bool:
        return self.state in ("failed", "abandoned") or self.critical + self.warnings > 0


Shapes = Mapping[str, Mapping[str, Mapping[str, str]]]
Tables = Mapping[str, list[TableRun]]
Inputs = Mapping[str, int] | None
Row = dict[str, Any]

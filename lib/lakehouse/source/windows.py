"""Which rows of a table a run brings, as SQL: those of its window, and late ones below it.

Late commits. A transaction may stamp a row before a window's end and commit after the window's snapshot. The next run
looks back over the indexed `updated_at` for rows whose writing transaction the last snapshot could not see: the row's
`xmin`, widened by the epoch of now, is not below the snapshot's own xmin. Rows between the snapshot's xmin and xmax that
it does not list are either old (seen already) or of a subtransaction, which snapshots do not list. Both kinds are
*late* rows, and dropped where bronze holds an equal image: a replaced day may have brought them already.

Numbers of another server say nothing, so there the whole look-back is late, and so it is where the last window's position
is not known, as of one that was taken in from the lake after its commit was cleaned up. What DDL made visible (a
partition that was attached, a table swapped in by rename or restored) may be of any age: of a relation that the last
window did not have, everything below the mark is late. A view has no xmin and no relation of its own: late commits are
not found through it, and where a relation below it is new, all that it shows below the mark is late.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from lakehouse.contracts import Contract
from lakehouse.records import Window
from lakehouse.source.position import TWO_32, Position, oid

CREATED = "created_at"
NONE = "false"


@dataclass(frozen=True)
class Conditions:
    """Two conditions on the rows of a table, and how far back the late ones reach (None: to the first)."""

    within: str
    late: str = NONE
    since: datetime | None = None


def conditions(
    contract: Contract, window: Window, now: Position, *, has_xmin: bool, is_written: str | None = None
) -> Conditions:
    """What a window brings at the position `now`; `has_xmin`: whether rows tell their transaction and relation.

    `is_written`: the condition of rows that are known to have been written since the last window, of any age.
    """
    column = f'"{mark_column(contract)}"'
    within = _within(contract, window)
    if window.mark is None or window.again is not None:
        return Conditions(within)
    mark, since = instant(window.mark), window.mark - window.lookback
    looked_back = f"({column} >= {instant(since)} and {column} < {mark}"
    if not window.snapshot:
        return Conditions(within, f"{looked_back})", since)
    before = Position.parse(window.snapshot)
    gained = sorted({oid(r) for r in before.gained(now)}, key=int)
    below, late = f"{column} > '-infinity' and {column} < {mark}", list[str]()
    if has_xmin:
        late.append(f"{looked_back}{_unseen(before, now)})")
    if is_written:
        late.append(f"({below} and {is_written})")
    if gained:
        theirs = f" and tableoid in ({', '.join(gained)})" if has_xmin else ""
        late.append(f"({below}{theirs})")
    return Conditions(within, f"({' or '.join(late)})" if late else NONE, None if gained or is_written else since)


def bears_key(contract: Contract, keys: Collection[tuple[str, ...]], types: Mapping[str, str]) -> str:
    """The condition of rows that bear one of some keys, as these are written; `types`: of the source's columns."""
    columns = ", ".join(f'"{k}"' for k in contract.key)
    typed = ", ".join(f'"{k}"::{types[k]}' for k in contract.key)
    arrays = ", ".join(f"array[{', '.join(map(_literal, parts))}]" for parts in zip(*keys, strict=True))
    return f"({columns}) in (select {typed} from unnest({arrays}) k ({columns}))"


def _literal(text: str) -> str:
    quoted = text.replace("'", "''")
    return "E'" + quoted.replace("\\", "\\\\") + "'" if "\\" in text else f"'{quoted}'"


def mark_column(contract: Contract) -> str:
    """The column by which a table's changes are found."""
    assert contract.extraction is not None, "bronze contracts say how they are extracted"  # noqa: S101
    return contract.extraction.column


def instant(moment: datetime) -> str:
    """A moment as SQL."""
    return f"'{moment.isoformat()}'::timestamptz"


def _within(contract: Contract, window: Window) -> str:
    column, end = f'"{mark_column(contract)}"', instant(window.end)
    begin = f"{column} > '-infinity'" if window.mark is None else f"{column} >= {instant(window.mark)}"
    within = f"({begin} and {column} < {end})"
    if not window.touched_since or CREATED not in contract.names:
        return within
    # Made before the end and stamped again since: by its own day it may have been stamped again, night after night.
    return f"({within} or ({column} >= {end} and {column} < 'infinity' and \"{CREATED}\" < {end}))"


def _unseen(before: Position, now: Position) -> str:
    """Of rows that tell their transaction: those whose transaction the position before did not see, or may not have seen."""
    if not before.is_of(now):
        return ""
    age = f"mod(mod({now.next} - xmin::text::bigint, {TWO_32}) + {TWO_32}, {TWO_32})"
    # From the oldest on a number was unseen, or may be of a subtransaction; whatever is below it, the snapshot saw.
    return f" and ({now.next} - {age}) >= {before.oldest}"

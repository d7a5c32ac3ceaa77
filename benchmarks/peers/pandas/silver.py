"""Silver: the latest valid row of each key. What breaks a rule waits in quarantine, as the source wrote it, with reasons."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from benchmarks.peers.pandas.bronze import write
from benchmarks.peers.pandas.frames import TEXT, frame_of, holds, table_of
from benchmarks.peers.pandas.rules import RULES, kept_out
from benchmarks.peers.phases import Phases, require
from benchmarks.peers.source import KEYS

KINDS = {
    **dict.fromkeys(("price", "cost", "profit_margin", "unit_price", "discount", "unit_cost"), "numeric"),
    **dict.fromkeys(("gross_amount", "net_amount", "budget"), "numeric"),
    **dict.fromkeys(("quantity", "quantity_on_hand", "quantity_reserved", "reorder_point", "available"), "bigint"),
    **dict.fromkeys(("ordered_at", "created_at", "updated_at"), "timestamptz"),
    **dict.fromkeys(("start_date", "end_date", "order_date"), "date"),
    "is_active": "boolean",
}
Silver = dict[str, Any]


class Judged(NamedTuple):
    """What became of rows that came in: the latest valid one of each key, the bad ones with reasons, and how many went."""

    kept: Any
    bad: Any
    reasons: Any
    deduplicated: int


def bring(
    extracted: Mapping[str, Any], lake: Path, counts: dict[str, dict[str, int]], phases: Phases, *, is_day: bool
) -> Silver:
    """Makes every table, of the history or by upserting a day, and writes those that changed; returns all of silver."""
    silver: Silver = {}
    for table, rows in extracted.items():
        waiting, file = lake / "quarantine" / f"{table}.parquet", lake / "silver" / f"{table}.parquet"
        came_in = rows
        if is_day:
            back = pyarrow.parquet.read_table(waiting).select(rows.column_names)
            came_in = pa.concat_tables([rows, back.cast(rows.schema)])
            came_in = came_in.group_by(came_in.column_names).aggregate([])
            silver[table] = frame_of(pyarrow.parquet.read_table(file))
        judged = _judged(table, came_in, silver)
        held = _upserted(silver[table], judged.kept) if is_day else judged.kept
        if not is_day:
            lost = came_in.num_rows - len(held) - len(judged.bad) - judged.deduplicated
            require(lost == 0, f"silver {table}: rows in are not rows out")
        silver[table] = held
        open_rows = _not_overtaken(judged.bad, held)
        _write_quarantine(came_in, judged, open_rows, waiting)
        if not is_day or len(judged.kept):
            write(table_of(held.drop(columns="_key"), _kinds(held)), file)
        counts[table] = {"read": rows.num_rows, "kept": len(held), "quarantined": int(open_rows.sum())}
    phases.finished("P2 silver")
    return silver


def _kinds(frame: Any) -> dict[str, str]:
    return {name: KINDS.get(name, "text") for name in frame.columns if name != "_key"}


def _key(table: str, frame: Any) -> Any:
    """The key as one text; null where a part of it is."""
    first, *others = (frame[name] for name in KEYS[table])
    for other in others:
        first = first + "\x1f" + other
    return first


def _judged(table: str, came_in: Any, silver: Silver) -> Judged:
    rows = frame_of(came_in)
    columns, found = RULES[table](rows, silver)
    reasons = kept_out(found)
    frame = columns.assign(created_at=rows.created_at, updated_at=rows.updated_at, _key=_key(table, columns))
    if table in silver:
        silver[table] = silver[table].assign(_key=_key(table, silver[table]))
    is_bad = reasons.any(axis=1).to_numpy()
    kept = frame[~is_bad]
    of_double = kept._key.duplicated(keep=False).to_numpy()
    doubles = kept[of_double].assign(written=_key(table, rows).array[~is_bad][of_double])
    latest = doubles.sort_values(["_key", "updated_at", "written"], ascending=[True, False, True], kind="stable")
    latest = latest.drop_duplicates("_key").drop(columns="written")
    survivors = pd.concat([kept[~of_double], latest])
    return Judged(survivors, frame[is_bad], reasons[is_bad], len(kept) - len(survivors))


def _upserted(before: Any, incoming: Any) -> Any:
    """The rows of before, those of the same key replaced where what comes in is newer."""
    known = incoming._key.map(before.set_index("_key").updated_at)
    newer = incoming[~holds(known >= incoming.updated_at)]
    return pd.concat([before[~before._key.isin(newer._key).to_numpy(dtype=bool)], newer], ignore_index=True)


def _not_overtaken(bad: Any, held: Any) -> Any:
    """Which bad rows wait: no newer valid row of their key is held."""
    if not len(bad):
        return np.zeros(0, dtype=bool)
    newest = bad._key.map(held.set_index("_key").updated_at)
    return ~holds(newest > bad.updated_at)


def _write_quarantine(came_in: Any, judged: Judged, open_rows: Any, path: Path) -> None:
    """The rows that wait, as the source wrote them, with their reasons in one text."""
    waiting = judged.reasons[open_rows]
    texts = [" ".join(name for name, broken in row.items() if broken) for row in waiting.to_dict("records")]
    rows = came_in.take(pa.array(waiting.index.to_numpy(dtype=np.int64)))
    write(rows.append_column("reasons", pa.array(pd.Series(texts, dtype=TEXT))), path)

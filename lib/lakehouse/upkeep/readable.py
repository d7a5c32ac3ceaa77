"""Whether a version of a lake table can be read: its log is whole, and every data file it names is there."""

from __future__ import annotations

from urllib.parse import unquote

from lakehouse.lake.delta import Lake
from lakehouse.lake.log import Log


def missing_files(lake: Lake, layer: str, table: str, version: int) -> int:
    """How many data files of a version are not there any more. Each name holds an id of its own."""
    there = {_name(f.path) for f in lake.files.below(lake.path(layer, table))}
    named = {_name(unquote(path)) for path in lake.read(layer, table, version).inputFiles()}
    return len(named - there)


def gaps(log: Log) -> list[int]:
    """Versions missing between the oldest one that can be loaded and the newest: a log has one file per version."""
    if log.head is None:
        return []
    base = max((c for c in log.checkpoints), default=-1)
    start = min((v for v in log.commits if v <= base), default=base + 1) if log.commits else base
    return [v for v in range(max(start, 0), log.head + 1) if v not in log.commits and v not in log.checkpoints]


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]

"""Whether a version of a lake table can be read: its log is whole, and every data file it names is there."""

from __future__ import annotations

from lakehouse.lake.delta import Lake
from lakehouse.lake.log import Log
from lakehouse.lake.maintain import files_of


def missing_files(lake: Lake, layer: str, table: str, version: int) -> int:
    """How many data files of a version are not there any more. Raises LostError where the version cannot be read."""
    there = {_name(f.path) for f in lake.files.below(lake.path(layer, table))}
    return len(files_of(lake, layer, table, version) - there)


def gaps(log: Log) -> list[int]:
    """Versions missing between a log's oldest entry and its newest: it has one file per version."""
    first, head = min(log.commits, default=0), log.head
    return [] if head is None else [v for v in range(first, head + 1) if v not in log.commits]


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]

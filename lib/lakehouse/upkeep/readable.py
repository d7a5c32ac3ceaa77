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
    """Versions missing between a log's oldest entry and its newest: it has one file per version."""
    first, head = min(log.commits, default=0), log.head
    return [] if head is None else [v for v in range(first, head + 1) if v not in log.commits]


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]

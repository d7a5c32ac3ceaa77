"""Keeps a table small without breaking a version that is published or pinned: files that nothing needs, and old log entries.

Delta's own vacuum knows only the head and how old a file is; its log clean-up only how old an entry is. Which versions
readers still see is known to the ledger, so the caller says which to keep. A dry run tells the same and deletes nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

from lakehouse.errors import StoreError
from lakehouse.lake.delta import Lake
from lakehouse.lake.files import Listed
from lakehouse.lake.log import FOLDER, newest_version_in
from lakehouse.records import Cleaned, Commit

DATA = ".parquet"


def compact(lake: Lake, layer: str, table: str) -> Commit:
    """Joins small files of a table; same content, and a new version where there was anything to join."""
    return lake.compact(layer, table)


def vacuum(
    lake: Lake, layer: str, table: str, hours: float, keep: Collection[int], *, dry_run: bool = False
) -> Cleaned:
    """Deletes data files that no kept version, nor the head, nor a version of the last `hours` needs.

    A file younger than that is left too: a run at work may be about to commit it. Raises StoreError, and deletes nothing,
    where a version to keep can no longer be loaded.
    """
    since = datetime.now(UTC) - timedelta(hours=hours)
    log = lake.log(layer, table)
    if log.head is None:
        return Cleaned(layer, table, 0, 0, 0)
    for version in sorted(keep):
        lake.head(layer, table, version)
    recent = [c.version for c in lake.commits(layer, table, -1) if c.timestamp >= since and log.loadable(c.version)]
    # The version that was the head when the hours began is one that readers of then may still read.
    needed = {*keep, log.head, *recent, *((min(recent) - 1,) if recent and log.loadable(min(recent) - 1) else ())}
    place = lake.files.place(lake.path(layer, table)).toString() + "/"
    used = {file for version in needed for file in _files_of(lake, layer, table, version)}
    held = [f for f in lake.files.below(place) if _is_data(f.path.removeprefix(place))]
    if missing := used - {_name(f.path) for f in held}:
        raise StoreError(f"{len(missing)} data files that {layer}.{table} needs are not below {place}: nothing was deleted; "
                         f"see `lakehouse verify`")  # fmt: skip
    gone = [f for f in held if _name(f.path) not in used and f.changed < since.timestamp() * 1000]
    return _delete(lake, layer, table, held, gone, dry_run=dry_run)


def clean_log(lake: Lake, layer: str, table: str, keep_from_version: int, *, dry_run: bool = False) -> Cleaned:
    """Deletes log entries that no version from `keep_from_version` on needs: those before the checkpoint at or below it.

    Where there is no such checkpoint, all are needed. Raises StoreError where the version can no longer be loaded.
    """
    lake.head(layer, table, keep_from_version)
    base = lake.log(layer, table).checkpoint_below(keep_from_version)
    held = lake.files.below(f"{lake.path(layer, table)}/{FOLDER}")
    about = {f.path: newest_version_in(_name(f.path)) for f in held}
    gone = [f for f in held if base is not None and (v := about[f.path]) is not None and v < base]
    # Oldest first: cut off at any moment, what is left is a log without its oldest entries, which is still one.
    return _delete(lake, layer, table, held, sorted(gone, key=lambda f: (about[f.path], f.path)), dry_run=dry_run)


def _files_of(lake: Lake, layer: str, table: str, version: int) -> set[str]:
    """The names of a version's data files; each holds an id of its own."""
    return {_name(unquote(path)) for path in lake.read(layer, table, version).inputFiles()}


def _is_data(path: str) -> bool:
    """Whether a file below a table is one of its data files: not the log's, and nothing hidden or of another kind."""
    return path.endswith(DATA) and not any(part.startswith(("_", ".")) for part in path.split("/"))


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def _delete(lake: Lake, layer: str, table: str, held: list[Listed], gone: list[Listed], *, dry_run: bool) -> Cleaned:
    for file in () if dry_run else gone:
        lake.guard()
        lake.files.delete(file.path)
    before = sum(f.size for f in held)
    return Cleaned(layer, table, len(gone), before, before - sum(f.size for f in gone))

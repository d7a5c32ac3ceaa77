"""Keeps a table small without breaking a version that is published or pinned: files that nothing needs, and old log entries.

Delta's own vacuum knows only the head and how old a file is; its log clean-up only how old an entry is. Which versions
readers still see is known to the ledger, so the caller says which to keep. A dry run tells the same and deletes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote

from py4j.protocol import Py4JJavaError
from pyspark.errors.exceptions.captured import CapturedException

from lakehouse.errors import StoreError, safe_words
from lakehouse.lake.delta import Lake
from lakehouse.lake.files import GONE, Listed, kinds, sentence
from lakehouse.lake.log import FOLDER, commit_info, commit_name, lines_of, newest_version_in, stamped
from lakehouse.lake.reading import LostError
from lakehouse.log import warning
from lakehouse.records import Cleaned

DATA = ".parquet"
# A property of a table: the version whose past was deleted.
CLEANED = "lakehouse.cleanedUpTo"


@dataclass(frozen=True)
class Recent:
    """What readers since an instant may still ask of a table: versions, from the one that was the head then, oldest first.

    `added`: the names of data files that came with the versions after the first one.
    """

    since: datetime
    versions: tuple[int, ...] = ()
    added: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Purged:
    """What was deleted of a table's past, or would be: data files, entries of the log, and how many versions these were."""

    layer: str
    table: str
    files: int
    log_entries: int
    versions: int


@contextmanager
def reading(lake: Lake, layer: str, table: str) -> Iterator[None]:
    """Around a look into one table: raises LostError where the store answers, but the table is gone or damaged.

    What the store itself does not answer or refuses is raised as Java raised it: it is of no single table.
    """
    try:
        yield
    except (Py4JJavaError, CapturedException) as e:
        causes, place = kinds(e), lake.path(layer, table)
        if sentence(causes, place) is not None and not any(kind.endswith(GONE) for kind in causes):
            raise
        raise LostError(f"{layer}.{table} at {place} cannot be read ({safe_words(e)}): files of it are gone or damaged; "
                        f"rebuild the layer, or restore the lake from its backup") from None  # fmt: skip


def files_of(lake: Lake, layer: str, table: str, version: int) -> set[str]:
    """The names of a version's data files; each holds an id of its own. Raises LostError where it cannot be read."""
    with reading(lake, layer, table):
        return {_name(unquote(path)) for path in lake.read_by_delta(layer, table, version).inputFiles()}


def recent_versions(lake: Lake, layer: str, table: str, since: datetime) -> Recent:
    """The versions since an instant that can still be loaded; reads each commit once, and no version."""
    log, folder = lake.log(layer, table), f"{lake.path(layer, table)}/{FOLDER}"
    young, added = [], dict[int, set[str]]()
    for version in sorted(log.commits):
        text = lake.files.read(f"{folder}/{commit_name(version)}") or ""
        if stamped(version, commit_info(text)).timestamp >= since:
            young.append(version)
        added[version] = _added(text)
    if not young:
        return Recent(since)
    # The version that was the head when the time began is one that readers of then may still read.
    versions = tuple(v for v in range(young[0] - 1, max(log.commits) + 1) if log.loadable(v))
    first = versions[0] if versions else young[0] - 1
    return Recent(since, versions, frozenset(name for v, names in added.items() if v > first for name in names))


def vacuum(
    lake: Lake, layer: str, table: str, keep: Collection[int], recent: Recent, spare: Collection[int] = (), *,
    dry_run: bool = False,
) -> Cleaned:  # fmt: skip
    """Deletes data files that neither the head needs, nor a version to `keep`, nor one that is `recent` or to `spare`.

    A file younger than `recent` is left too: a run at work may be about to commit it. Raises LostError, and deletes
    nothing, where the head or a version to keep lacks a file. Of the others what is still there stays, with a warning.
    """
    log = lake.log(layer, table)
    if log.head is None:
        return Cleaned(layer, table, 0, 0, 0)
    place = lake.files.place(lake.path(layer, table)).toString() + "/"
    held = [f for f in lake.files.below(place) if _is_data(f.path.removeprefix(place))]
    there, used = {_name(f.path) for f in held}, set[str]()
    for version in sorted({*keep, log.head}):
        files = files_of(lake, layer, table, version) if log.loadable(version) else None
        if files is None or files - there:
            what = "can no longer be loaded" if files is None else f"lacks {len(files - there)} data files"
            raise LostError(f"version {version} of {layer}.{table}, which is published, pinned or set aside by a rewind, {what} "
                            f"at {place}: nothing was deleted; see `lakehouse verify`, and for a pin `lakehouse unpin`"
                            )  # fmt: skip
        used |= files
    wanted = recent.added.union(*_first(lake, layer, table, recent.versions),
                                *(_files(lake, layer, table, v) or () for v in set(spare) - {*keep, *recent.versions}))  # fmt: skip
    if lost := wanted - there:
        warning("maintain.lost_files", layer=layer, table=table, files=len(lost))
    since = recent.since.timestamp() * 1000
    gone = [f for f in held if _name(f.path) not in used | wanted and f.changed < since]
    return _delete(lake, layer, table, held, gone, dry_run=dry_run)


def clean_log(lake: Lake, layer: str, table: str, keep_from_version: int, *, dry_run: bool = False) -> Cleaned:
    """Deletes log entries that no version from `keep_from_version` on needs: those before the checkpoint at or below it.

    Where there is no such checkpoint, all are needed. Raises LostError where the version can no longer be loaded.
    """
    lake.head(layer, table, keep_from_version)
    base = lake.log(layer, table).checkpoint_below(keep_from_version)
    held = lake.files.below(f"{lake.path(layer, table)}/{FOLDER}")
    about = {f.path: newest_version_in(_name(f.path)) for f in held}
    gone = [f for f in held if base is not None and (v := about[f.path]) is not None and v < base]
    # Oldest first: cut off at any moment, what is left is a log without its oldest entries, which is still one.
    return _delete(lake, layer, table, held, sorted(gone, key=lambda f: (about[f.path], f.path)), dry_run=dry_run)


def superseded(lake: Lake, layer: str, table: str, head: int) -> int:
    """Makes a version that can be loaded without any entry of the log before it, with the content of the head; returns it.

    Entries of the log hold the least and the greatest values of files, also of those that a commit removes, so the head's
    own commit must not be needed either.
    """
    version = lake.set_properties(layer, table, head, {CLEANED: str(head)}).version
    held = lake.delta_log(layer, table)
    held.checkpoint()
    if version not in lake.log(layer, table).checkpoints:
        raise StoreError(f"{layer}.{table} at {lake.path(layer, table)} got no checkpoint of version {version}, so nothing of its "
                         "past was deleted: run again")  # fmt: skip
    return version


def purge(lake: Lake, layer: str, table: str, version: int, *, dry_run: bool = False) -> Purged:
    """Deletes everything of a table that its head, made by `superseded`, does not need, whatever its age: data files of every
    older version and of writes that nobody committed, and the log before it.

    Raises LostError, and deletes nothing, where the head lacks a file. The caller holds the lock of the table's runs.
    """
    used = files_of(lake, layer, table, version)
    place = lake.files.place(lake.path(layer, table)).toString() + "/"
    held = lake.files.below(place)
    data = [f for f in held if not f.path.removeprefix(place).startswith(f"{FOLDER}/")]
    if lost := used - {_name(f.path) for f in data}:
        raise LostError(f"version {version} of {layer}.{table} lacks {len(lost)} data files at {place}: nothing of its past was "
                        "deleted; see `lakehouse verify`")  # fmt: skip
    old = [f for f in data if _name(f.path) not in used]
    about = {f.path: newest_version_in(_name(f.path)) for f in held}
    past = [f for f in held if f not in data and _is_past(_name(f.path), about[f.path], version)]
    versions = sum(1 for f in past if _name(f.path) == commit_name(about[f.path] or 0))
    # Data first, as only the log says what is data of the past; then the log, oldest first, so that what is left is one.
    for file in () if dry_run else [*old, *sorted(past, key=lambda f: (about[f.path] or 0, f.path))]:
        lake.guard()
        lake.files.delete(file.path)
    return Purged(layer, table, len(old), len(past), versions)


def _is_past(name: str, about: int | None, version: int) -> bool:
    """Whether a file of the log is about an older version, or was left by a driver that was killed while it wrote one."""
    return name.startswith(".") or name.endswith(".tmp") if about is None else about < version


def _files(lake: Lake, layer: str, table: str, version: int) -> set[str] | None:
    """A version's data files; None, and a warning, where it can no longer be read."""
    try:
        return files_of(lake, layer, table, version)
    except LostError as e:
        warning("maintain.lost_version", layer=layer, table=table, version=version, message=str(e))
        return None


def _first(lake: Lake, layer: str, table: str, versions: Iterable[int]) -> Iterator[set[str]]:
    """The data files of the first of the versions that can be read."""
    for version in versions:
        if (files := _files(lake, layer, table, version)) is not None:
            yield files
            return


def _added(text: str) -> set[str]:
    """The names of the data files that a commit added."""
    actions = [json.loads(line) for line in lines_of(text) if '"add"' in line]
    return {_name(unquote(action["add"]["path"])) for action in actions if action.get("add")}


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

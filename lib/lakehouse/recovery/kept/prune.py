"""Which backups are kept: the newest, and everything that they need. What only others need is deleted."""

from __future__ import annotations

import gzip
import json
from datetime import UTC

from lakehouse.errors import UsageError
from lakehouse.recovery.kept.manifest import FOLDER, Manifest, catalogue, object_key, read_inventory
from lakehouse.recovery.kept.place import Place, whole

# A file of the server's log is named by its timeline, then by its place in the log.
TIMELINE = 8
ASIDE = "aside/"


def prune(place: Place, keep: int) -> tuple[list[str], int, int]:
    """Deletes all but the newest backups; their ids, how many files went, and how many bytes.

    Raises UsageError where none would be left, and StoreError, before anything is deleted, for one of those kept that is damaged.
    """
    if keep < 1:
        raise UsageError("--keep must leave at least one backup")
    known = catalogue(place)
    kept, old = known[-keep:], known[:-keep]
    if not old:
        return [], 0, 0
    needed = _needed(place, kept) | _aside(place, kept[0])
    starts = {m.base.system: m.base.wal_start for m in sorted(kept, key=_start, reverse=True) if m.base}
    files = size = 0
    # Manifests first: what is half deleted is no backup any more.
    for key in (f"{FOLDER}{m.id}/manifest.json" for m in old):
        place.delete(key)
        files += 1
    for key, held in place.names().items():
        if key in needed or _is_log(key, starts):
            continue
        place.delete(key)
        files, size = files + 1, size + held.size
    return [m.id for m in old], files, size


def _needed(place: Place, kept: list[Manifest]) -> set[str]:
    needed = set[str]()
    for made in kept:
        needed |= {f"{FOLDER}{made.id}/manifest.json", made.inventory.key}
        needed |= {part.key for part in (made.dump, made.base.archive if made.base else None) if part}
        for files in read_inventory(place, made).values():
            needed |= {object_key(f.sha256) for f in files.values()}
    return needed


def _aside(place: Place, oldest: Manifest) -> set[str]:
    """What restores took away since the oldest backup that is kept."""
    needed = set[str]()
    for key in place.names(ASIDE):
        if key.removeprefix(ASIDE) > f"{oldest.moment.astimezone(UTC):%Y%m%d%H%M%S}":
            held = json.loads(gzip.decompress(whole(place, key)))
            needed |= {key, *(object_key(file[2]) for files in held.values() for file in files.values())}
    return needed


def _start(made: Manifest) -> str:
    return made.base.wal_start[TIMELINE:] if made.base else ""


def _is_log(key: str, starts: dict[str, str]) -> bool:
    """Whether a file of a server's log is needed: since the oldest base that is kept, on any timeline."""
    parts = key.split("/")
    if parts[0] != "wal":
        return False
    start = starts.get(parts[1])
    name = parts[-1].removesuffix(".gz")
    return start is not None and (name.endswith(".history") or name[TIMELINE:24] >= start[TIMELINE:])

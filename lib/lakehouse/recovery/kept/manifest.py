"""What a backup says of itself: `backups/<id>/manifest.json`, written last. Without it there is no backup.

Beside it lies the list of the lake's files at that moment, each by the SHA-256 of its content; the content is in `objects/`,
once for all backups. A list is checked by its own sum, which the manifest holds.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, NamedTuple

from lakehouse.errors import StoreError
from lakehouse.recovery.kept.place import GoneError, Place, whole

FOLDER = "backups/"
# Of a manifest, what JSON gives back as something else.
REBUILT = ("inventory", "gold", "ledger_rows", "settings", "secrets")
Versions = dict[str, dict[str, int]]


class LakeFile(NamedTuple):
    """A file of the lake: its size, the stamp the lake's store gave it, and the SHA-256 of its content."""

    size: int
    stamp: str
    sha256: str


# Files by layer and key below it.
Inventory = dict[str, dict[str, LakeFile]]


@dataclass(frozen=True)
class Part:
    """A file of a backup beside the lake's: where it is, how many bytes, and their sum."""

    key: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Base:
    """A base backup of the server, from which its log goes on: of which server and timeline, and the first log file needed."""

    archive: Part
    finished_at: str
    system: str
    timeline: int
    wal_start: str


@dataclass(frozen=True)
class Manifest:
    """One backup. `kind`: full (with a base backup of its own), log (the server's log since an earlier one), logical (a dump).

    `covers_until` is the one moment of pointers, gold and lake. `point` is its name in the server's log.
    """

    id: str
    kind: str
    covers_until: str
    finished_at: str
    release: str
    ledger: str
    database: str
    zone: str
    pointers: Versions
    gold: Mapping[str, tuple[int, int]]
    ledger_rows: Mapping[str, tuple[int, int]]
    runs: Mapping[str, str]
    inventory: Part
    file_count: int
    new_bytes: int
    base: Base | None = None
    point: str = ""
    wal_end: str = ""
    dump: Part | None = None
    lake: str = ""
    settings: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()

    @property
    def moment(self) -> datetime:
        return datetime.fromisoformat(self.covers_until)


def object_key(sha256: str) -> str:
    """Where the content of this sum lies."""
    return f"objects/{sha256[:2]}/{sha256}"


def write(place: Place, manifest: Manifest) -> None:
    """Writes a manifest: from now on the backup exists."""
    text = json.dumps(asdict(manifest), indent=1, sort_keys=True)
    place.write(f"{FOLDER}{manifest.id}/manifest.json", [text.encode()])


def catalogue(place: Place) -> list[Manifest]:
    """Every backup there is, oldest first. Raises StoreError for a manifest that is damaged."""
    names = [n for n in place.names(FOLDER) if n.endswith("/manifest.json") and n.count("/") == 2]
    return sorted((_read(place, name) for name in names), key=lambda m: (m.moment, m.finished_at))


def _read(place: Place, key: str) -> Manifest:
    try:
        held = json.loads(whole(place, key))
        base, dump = held.pop("base"), held.pop("dump")
        return Manifest(
            **{name: value for name, value in held.items() if name not in REBUILT},
            gold=_figures(held["gold"]),
            ledger_rows=_figures(held["ledger_rows"]),
            settings=tuple(held["settings"]),
            secrets=tuple(held["secrets"]),
            inventory=Part(**held["inventory"]),
            base=Base(**{**base, "archive": Part(**base["archive"])}) if base else None,
            dump=Part(**dump) if dump else None,
        )
    except (ValueError, KeyError, TypeError):
        raise StoreError(f"{place.where}: {key} is damaged: that backup cannot be used; delete its folder") from None


def _figures(held: Mapping[str, list[int]]) -> dict[str, tuple[int, int]]:
    return {table: (int(rows), int(total)) for table, (rows, total) in held.items()}


def write_inventory(place: Place, backup_id: str, inventory: Inventory) -> Part:
    """Writes the list of the lake's files of a backup."""
    held = {layer: {key: list(file) for key, file in files.items()} for layer, files in inventory.items()}
    packed = gzip.compress(json.dumps(held, sort_keys=True).encode(), mtime=0)
    part = Part(f"{FOLDER}{backup_id}/lake.json.gz", len(packed), hashlib.sha256(packed).hexdigest())
    place.write(part.key, [packed])
    return part


def read_inventory(place: Place, manifest: Manifest) -> Inventory:
    """The list of the lake's files of a backup. Raises StoreError where it is gone or damaged."""
    packed = checked(place, manifest.inventory)
    held: dict[str, dict[str, Any]] = json.loads(gzip.decompress(packed))
    return {layer: {key: LakeFile(*file) for key, file in files.items()} for layer, files in held.items()}


def checked(place: Place, part: Part) -> bytes:
    """The bytes of a small part of a backup. Raises StoreError where they are not those that were written."""
    try:
        found = whole(place, part.key)
    except GoneError:
        raise damaged(place, part.key, "is gone") from None
    if len(found) != part.size or hashlib.sha256(found).hexdigest() != part.sha256:
        raise damaged(place, part.key, "is damaged")
    return found


def damaged(place: Place, key: str, how: str) -> StoreError:
    """What to say of a file of a backup that is not what was written."""
    return StoreError(
        f"{key} of the backups at {place.where} {how}: this backup cannot be used; restore an earlier one, and make a new "
        "one with lakehouse backup --full"
    )

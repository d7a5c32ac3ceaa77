"""The lake's files: copied into the backups by the sum of their content, and brought back from there.

A data file never changes, nor does an entry of a log: what an earlier backup has of the same name, size and stamp is not
read again. What a backup holds of a table is more than its published version: every version that can still be read.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from lakehouse import log
from lakehouse.address import MARKS
from lakehouse.errors import StoreError
from lakehouse.lake.log import FOLDER, newest_version_in, read_names
from lakehouse.records import RUNS_OF
from lakehouse.recovery.kept.manifest import Inventory, LakeFile, Versions, damaged, object_key
from lakehouse.recovery.kept.place import REQUESTS_AT_ONCE, GoneError, Held, Place, lake_layer
from lakehouse.settings import Settings

IN_MEMORY = 16 * 1024 * 1024
LAST_CHECKPOINT = "_last_checkpoint"
SPLIT = 500  # files between two words of progress

Layers = dict[str, Place]


def layers(settings: Settings) -> Layers:
    """The layers of the lake, as places."""
    return {layer: lake_layer(settings, layer) for layer in RUNS_OF}


def copy(lake: Layers, target: Place, before: Inventory, *, again: bool = False) -> tuple[Inventory, int]:
    """Copies what the backups lack; returns the lake's files and how many bytes were new.

    `before`: those of an earlier backup. `again`: everything is read and written once more. What disappears meanwhile no
    version that is kept needs: the caller holds what it found against the pointers.
    """
    stored = {} if again else {k.rpartition("/")[2]: h.size for k, h in target.names("objects/").items()}
    found: Inventory = {}
    new_bytes = 0
    for layer, place in lake.items():
        held = place.names()
        known = {} if again else before.get(layer, {})
        log.event("backup.lake", layer=layer, files=len(held))
        # Data before the log: an entry that was copied names nothing that was not.
        keys = sorted(held, key=lambda k: (f"/{FOLDER}/" in k, k))
        one = partial(_copied, place, target, held, known, stored)
        with ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
            copied = dict(zip(keys, pool.map(one, keys), strict=True))
        found[layer] = {key: file for key, (file, _) in copied.items() if file}
        new_bytes += sum(size for _, size in copied.values())
    _check_sizes(target, found)
    return found, new_bytes


def _copied(
    place: Place,
    target: Place,
    held: Mapping[str, Held],
    known: Mapping[str, LakeFile],
    stored: dict[str, int],
    key: str,
) -> tuple[LakeFile | None, int]:
    """A file of the lake as the backups have it, and how many bytes of it they lacked; None where it is gone."""
    size, stamp = held[key].size, held[key].stamp
    was = known.get(key)
    if was and (was.size, was.stamp) == (size, stamp) and stored.get(was.sha256) == size:
        return was, 0
    with tempfile.SpooledTemporaryFile(IN_MEMORY) as copy_of:
        digest, length = hashlib.sha256(), 0
        try:
            for piece in place.read(key):
                digest.update(piece)
                length += len(piece)
                copy_of.write(piece)
        except GoneError:
            return None, 0
        sha256 = digest.hexdigest()
        if stored.get(sha256) == length:
            return LakeFile(length, stamp, sha256), 0
        copy_of.seek(0)
        target.write(object_key(sha256), iter(lambda: copy_of.read(1024 * 1024), b""))
    stored[sha256] = length
    return LakeFile(length, stamp, sha256), length


def _check_sizes(target: Place, found: Inventory) -> None:
    """Raises StoreError where the backups do not hold what was copied, by its size."""
    stored = {k.rpartition("/")[2]: h.size for k, h in target.names("objects/").items()}
    wrong = [f for files in found.values() for f in files.values() if stored.get(f.sha256) != f.size]
    if wrong:
        raise StoreError(f"{len(wrong)} files of {target.where} are not as they were written: make the backup again")


def lacking(files: Mapping[str, Iterable[str]], pointers: Versions) -> list[str]:
    """Tables whose published version cannot be loaded from the logs among files, by layer and key."""
    return [
        f"{layer}.{table}"
        for layer, versions in pointers.items()
        for table, version in versions.items()
        if not read_names(
            k.rpartition("/")[2] for k in files.get(layer, ()) if k.startswith(f"{table}/{FOLDER}/")
        ).loadable(version)
    ]


@dataclass
class Plan:
    """What becomes of the lake's files, by layer: those of the backup, those of the living lake that it lacks, those that go."""

    bring: Inventory = field(default_factory=dict)
    living: dict[str, dict[str, Held]] = field(default_factory=dict)
    gone: dict[str, list[str]] = field(default_factory=dict)


def plan(inventory: Inventory, pointers: Versions, living: Mapping[str, Mapping[str, Held]]) -> Plan:
    """The files of published tables up to their versions; later entries of a log go, and so do logs of other tables.

    `living`: files of a lake that is of the same ledger; what the backup lacks is taken from there.
    """
    made = Plan()
    for layer in RUNS_OF:
        versions, kept, there = pointers.get(layer, {}), inventory.get(layer, {}), living.get(layer, {})
        made.bring[layer] = {key: file for key, file in kept.items() if _is_wanted(key, versions)}
        made.living[layer] = {
            key: held for key, held in there.items() if _is_wanted(key, versions) and key not in made.bring[layer]
        }
        made.gone[layer] = [k for k in there if f"/{FOLDER}/" in k and not _is_wanted(k, versions)]
    return made


def _is_wanted(key: str, versions: Mapping[str, int]) -> bool:
    table, _, rest = key.partition("/")
    if table not in versions or not rest:
        return False
    if not rest.startswith(f"{FOLDER}/"):
        return True
    about = newest_version_in(rest.rpartition("/")[2])
    return about is not None and about <= versions[table]


def bring(
    made: Plan, source: Place, old: Layers, new: Layers, *, only: Callable[[str, str], bool] | None = None
) -> int:
    """Writes the files of a plan into `new`: data first. Raises StoreError for a file that is not what was copied once."""
    written = 0
    for layer, place in new.items():
        of_backup = {k: partial(content, source, f) for k, f in made.bring[layer].items()}
        of_lake = {k: partial(old[layer].read, k) for k in made.living[layer]} if old is not new else {}
        steps = sorted((of_backup | of_lake).items(), key=lambda s: (f"/{FOLDER}/" in s[0], s[0]))
        steps = [(key, read) for key, read in steps if only is None or only(layer, key)]
        with ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
            list(pool.map(lambda step, place=place: place.write(step[0], step[1]()), steps))
        written += len(steps)
        log.event("restore.lake", layer=layer, files=len(steps))
    return written


def content(source: Place, file: LakeFile) -> Iterator[bytes]:
    """A file of the lake as the backups have it. Raises StoreError, at its end, where it is not what was copied."""
    digest, length = hashlib.sha256(), 0
    key = object_key(file.sha256)
    try:
        for piece in source.read(key):
            digest.update(piece)
            length += len(piece)
            yield piece
    except GoneError:
        raise damaged(source, key, "is gone") from None
    if digest.hexdigest() != file.sha256 or length != file.size:
        raise damaged(source, key, "is damaged")


def differing(made: Plan, living: Mapping[str, Mapping[str, Held]], old: Layers) -> set[tuple[str, str]]:
    """Files of a plan that the living lake lacks, or has otherwise."""
    found = set[tuple[str, str]]()
    for layer, files in made.bring.items():
        there = living.get(layer, {})
        for key, file in files.items():
            held = there.get(key)
            if (
                held is None
                or held.size != file.size
                or (held.stamp != file.stamp and sum_of(old[layer], key) != file.sha256)
            ):
                found.add((layer, key))
    return found


def sum_of(place: Place, key: str) -> str:
    """The SHA-256 of a file."""
    digest = hashlib.sha256()
    for piece in place.read(key):
        digest.update(piece)
    return digest.hexdigest()


def put_aside(target: Place, stamp: str, lake: Layers, gone: Iterable[tuple[str, str]]) -> None:
    """Keeps the content of files that a restore takes away or overwrites, and the list of them: `aside/<stamp>.json.gz`."""
    kept: dict[str, dict[str, list[object]]] = {}
    for layer, key in gone:
        copied, _ = _copied(lake[layer], target, {key: Held(0, "")}, {}, {}, key)
        if copied:
            kept.setdefault(layer, {})[key] = list(copied)
    if kept:
        target.write(f"aside/{stamp}.json.gz", [gzip.compress(json.dumps(kept, sort_keys=True).encode())])


def claim(lake: Layers, ledger: str, runs: Mapping[str, str], pointers: Versions) -> None:
    """Tells the lake whose it is from now on, and what is published in it."""
    place = lake["bronze"]
    for layer, run in runs.items():
        held = {"ledger": ledger, "run": run, "versions": pointers.get(layer, {})}
        place.write(f"{MARKS}/{layer}.json", [json.dumps(held).encode()])
    place.write(f"{MARKS}/identity.json", [json.dumps({"ledger": ledger}).encode()])


def owner(lake: Layers) -> str | None:
    """The ledger that a lake belongs to; None where it says nothing."""
    try:
        return str(json.loads(b"".join(lake["bronze"].read(f"{MARKS}/identity.json")))["ledger"])
    except (GoneError, ValueError, KeyError, TypeError):
        return None

"""Files of published versions that are gone from the lake, or are not what was written: brought back one by one.

From the bucket's own older versions where it keeps them and we may read them, else from the backups. Ledger and gold stay
as they are; of what was published after the last backup only the bucket itself can know.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import pyarrow
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from lakehouse import address, log
from lakehouse.contracts import LAYERS
from lakehouse.errors import StoreError
from lakehouse.lake.log import FOLDER, newest_version_in, read_names
from lakehouse.ledger import Ledger
from lakehouse.records import Row
from lakehouse.recovery.backup import gold
from lakehouse.recovery.kept import lake as lakes
from lakehouse.recovery.kept import manifest as manifests
from lakehouse.recovery.kept.manifest import LakeFile
from lakehouse.recovery.kept.place import Bucket, Held, Place, backups, lake_layer
from lakehouse.recovery.postgres import newest_runs, pointers
from lakehouse.settings import Settings

COLUMNS = ("table", "file", "from_", "would")


@dataclass(frozen=True)
class Lost:
    """A file that a published version needs: what the backups have of it, or the version that its bucket keeps."""

    layer: str
    key: str
    kept: LakeFile | None = None
    version: str = ""

    @property
    def words(self) -> str:
        return "its bucket's older version" if self.version else "the backups" if self.kept else ""


def plan(settings: Settings) -> list[Lost]:
    """Files that are lost, by table."""
    ledger, target = Ledger(gold(settings)), backups(settings)
    ours = ledger.identity()
    known = [m for m in manifests.catalogue(target) if m.ledger == ours]
    inventory = manifests.read_inventory(target, known[-1]) if known else {}
    found: list[Lost] = []
    for layer, place in lakes.layers(settings).items():
        there, kept = place.names(), inventory.get(layer, {})
        for table, published in ledger.published(layer).items():
            found += _of_table(settings, place, layer, table, published.version, there, kept)
    return found


def _of_table(
    settings: Settings, place: Place, layer: str, table: str, version: int, there: dict[str, Held],
    kept: Mapping[str, LakeFile],
) -> Iterator[Lost]:  # fmt: skip
    log_keys = {k for k in there if k.startswith(f"{table}/{FOLDER}/")}
    if not read_names(k.rpartition("/")[2] for k in log_keys).loadable(version):
        keys = {k for k in kept if k.startswith(f"{table}/{FOLDER}/")} | set(_deleted(place, f"{table}/{FOLDER}/"))
        for key in sorted(keys - log_keys):
            about = newest_version_in(key.rpartition("/")[2])
            if about is not None and about <= version:
                yield _lost(place, layer, key, kept, None)
        # Which data files the version needs is known once its log is there again: what was kept of the table has to do.
        needed = {k: f.size for k, f in kept.items() if k.startswith(f"{table}/") and f"/{FOLDER}/" not in k}
    else:
        needed = _data_files(settings, layer, table, version)
    for key, size in sorted(needed.items()):
        held, was = there.get(key), kept.get(key)
        if (
            held is None
            or held.size != size
            or (was and was.stamp != held.stamp and was.sha256 != lakes.sum_of(place, key))
        ):
            yield _lost(place, layer, key, kept, size)


def _data_files(settings: Settings, layer: str, table: str, version: int) -> dict[str, int]:
    """The data files of a version and their sizes, by the log."""
    path = address.arrow_path(settings.lake_root, layer, table)
    options = address.storage_options(settings) if settings.lake_root.startswith("s3a:") else None
    try:
        actions = DeltaTable(path, version=version, storage_options=options).get_add_actions(flatten=True)
    except (DeltaError, OSError):
        return {}
    rows = pyarrow.table(actions).select(["path", "size_bytes"]).to_pylist()
    return {f"{table}/{row['path']}": int(row["size_bytes"]) for row in rows}


def _deleted(place: Place, below: str) -> list[str]:
    return place.deleted(below) if isinstance(place, Bucket) else []


def _lost(place: Place, layer: str, key: str, kept: Mapping[str, LakeFile], size: int | None) -> Lost:
    was = kept.get(key)
    if isinstance(place, Bucket):
        for version, held in place.versions(key):
            # By the tag where the backups know it; else the newest of the right size.
            if (was and held.stamp == was.stamp) or (not was and size in (None, held.size)):
                return Lost(layer, key, was, version)
    return Lost(layer, key, was)


def rows(found: list[Lost]) -> list[Row]:
    """The plan as a table."""
    return [
        {"table": f"{lost.layer}.{lost.key.partition('/')[0]}", "file": lost.key.partition("/")[2], "from_": lost.words,
         "would": "be brought back" if lost.words else "STAY LOST"}
        for lost in found
    ]  # fmt: skip


def run(settings: Settings, found: list[Lost], *, reason: str, by_whom: str) -> list[Row]:
    """Brings back what can be. Raises BusyError where a run is at work, StoreError, at the end, where some stay lost."""
    ledger, target = Ledger(gold(settings)), backups(settings)
    with ExitStack() as held:
        leases = [held.enter_context(ledger.alone(layer)) for layer in LAYERS]
        # Data before the log, as everywhere: what a log names is there.
        for lost in sorted(found, key=lambda f: (f"/{FOLDER}/" in f.key, f.key)):
            place = lake_layer(settings, lost.layer)
            if isinstance(place, Bucket) and lost.version and place.bring_back(lost.key, lost.version):
                continue
            if lost.kept:
                place.write(lost.key, lakes.content(target, lost.kept))
        lake = lakes.layers(settings)
        if lakes.owner(lake) is None:
            with ledger.database.connection() as connection, connection.cursor() as cursor:
                lakes.claim(lake, ledger.identity(), newest_runs(cursor), pointers(cursor))
        with leases[0].transaction() as cursor:
            ledger.record_action(cursor, "restore objects", reason, rows(found), by_whom)
    log.event("restore.objects", files=len(found))
    # What was tried and is lost all the same is an older version that a bucket lists and does not let us read.
    tried = {(lost.layer, lost.key) for lost in found}
    if left := [lost for lost in plan(settings) if not lost.words or (lost.layer, lost.key) in tried]:
        raise StoreError(f"{len(left)} files of published versions are neither in the backups nor in older versions of their "
                         f"bucket that we may read: give the keys of a user who may, or lakehouse verify names the tables, "
                         f"and lakehouse rebuild silver makes silver again")  # fmt: skip
    return rows(found)

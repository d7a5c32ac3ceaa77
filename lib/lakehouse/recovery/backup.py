"""The order of a backup: base where one is due, the moment, the lake, the log up to the moment, and last the manifest.

The lake is looked at after the moment, so it holds every version that the moment's pointers name; what has been published
meanwhile is in it, too, and hurts nobody. Any step may be the last one: without a manifest there is no backup, and what is
there already is not copied again by the next.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from lakehouse import log
from lakehouse.database import Database
from lakehouse.errors import LakehouseError, LedgerError, StoreError
from lakehouse.ledger import Ledger
from lakehouse.ledger.lease import Lease
from lakehouse.records import Row
from lakehouse.recovery import postgres
from lakehouse.recovery.kept import lake as lakes
from lakehouse.recovery.kept import manifest as manifests
from lakehouse.recovery.kept import prune as pruning
from lakehouse.recovery.kept.manifest import FOLDER, Base, Manifest, Part
from lakehouse.recovery.kept.place import Folder, Place, backups
from lakehouse.server.databases import database_url
from lakehouse.server.embedded import EmbeddedPostgres
from lakehouse.settings import PREFIX, Settings, secret_variables

BASE_EVERY = timedelta(days=7)
COLUMNS = ("id", "kind", "covers_until", "files", "new_bytes", "location")


def known(settings: Settings) -> list[Manifest]:
    """The backups that there are, oldest first."""
    return manifests.catalogue(backups(settings))


def location(settings: Settings) -> str:
    """Where backups are kept, as a person knows it."""
    return backups(settings).where


def prune(settings: Settings, keep: int) -> tuple[int, int]:
    """Deletes all but the newest backups, and what only they need; how many files and bytes. Raises as prune.prune."""
    ledger = Ledger(gold(settings))
    with ledger.alone("backup") as lease:
        ids, files, size = pruning.prune(backups(settings), keep)
        with lease.transaction() as cursor:
            ledger.forget_backups(cursor, ids)
    log.event("backup.pruned", backups=len(ids), files=files, bytes=size)
    return files, size


def gold(settings: Settings, *, create: bool = False) -> Database:
    """The gold database of the settings. Raises LedgerError where there is none, unless it may be made."""
    return Database(database_url(settings, "gold", create=create), "gold", StoreError)


def plan(settings: Settings, *, full: bool = False) -> Row:
    """What a backup made now would be."""
    database, target = gold(settings), backups(settings)
    ledger = Ledger(database)
    server = _server(settings, quiet=True)
    earlier = manifests.catalogue(target)
    kind = "logical" if server is None else "full" if full or _due(server, earlier) else "log"
    held = {layer: place.names() for layer, place in lakes.layers(settings).items()}
    before = manifests.read_inventory(target, earlier[-1]) if earlier and not full else {}
    new = [h.size for layer, files in held.items() for key, h in files.items() if not _is_known(before, layer, key, h)]
    return {"id": None, "kind": kind, "covers_until": None, "files": sum(map(len, held.values())), "new_bytes": sum(new),
            "location": target.where, "published": sum(len(ledger.published(layer)) for layer in held)}  # fmt: skip


def _is_known(before: manifests.Inventory, layer: str, key: str, held: object) -> bool:
    file = before.get(layer, {}).get(key)
    return file is not None and (file.size, file.stamp) == (getattr(held, "size", 0), getattr(held, "stamp", ""))


def make(settings: Settings, *, full: bool = False) -> Manifest:
    """Makes a backup, and writes it down in the ledger.

    Raises BusyError where another one is being made or restored, LedgerError where nothing was ever published.
    """
    database, target = gold(settings), backups(settings)
    ledger = Ledger(database)
    ledger.prepare(settings.timezone)
    if not ledger.ever_published():
        raise LedgerError(f"the ledger at {database.where} has published nothing yet: there is nothing to back up")
    server = _server(settings)
    with ledger.alone("backup") as lease:
        earlier = manifests.catalogue(target)
        kind = "logical" if server is None else "full" if full or _due(server, earlier) else "log"
        backup_id = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:6]}"
        with lease.transaction() as cursor:
            ledger.begin_backup(cursor, backup_id, kind, target.where)
        try:
            made = _make(settings, database, server, target, earlier, backup_id, kind, full=full)
        except BaseException as e:
            _failed(ledger, lease, backup_id)
            log.warning("backup.failed", id=backup_id, kind=type(e).__name__)
            raise
        with lease.transaction() as cursor:
            ledger.end_backup(cursor, backup_id, "done", made.new_bytes, made.moment)
    log.event("backup.done", id=backup_id, kind=kind, new_bytes=made.new_bytes)
    return made


def _failed(ledger: Ledger, lease: Lease, backup_id: str) -> None:
    try:
        with lease.transaction() as cursor:
            ledger.end_backup(cursor, backup_id, "failed")
    except LakehouseError:  # the next backup finds the row, and calls it abandoned
        log.warning("backup.failure_not_recorded", id=backup_id)


def _make(
    settings: Settings, database: Database, server: EmbeddedPostgres | None, target: Place, earlier: list[Manifest],
    backup_id: str, kind: str, *, full: bool,
) -> Manifest:  # fmt: skip
    base: Base | None = None
    dump: Part | None = None
    folder = log_folder(settings)
    if server:
        system = postgres.archive_to(server, folder)
        if kind == "full":
            log.event("backup.base", id=backup_id)
            base = postgres.base_backup(server, target, f"{FOLDER}{backup_id}/base.tar.gz")
        else:
            base = next(m.base for m in reversed(earlier) if m.base and m.base.system == system)
    with postgres.moment(database, server, f"lakehouse-{backup_id}") as (moment, snapshot):
        if server is None:
            log.event("backup.dump", id=backup_id)
            dump = postgres.dump(database_url(settings, "owner"), snapshot, target, f"{FOLDER}{backup_id}/gold.dump")
    before = manifests.read_inventory(target, earlier[-1]) if earlier else {}
    inventory, new_bytes = lakes.copy(lakes.layers(settings), target, before, again=full)
    if lacking := lakes.lacking(inventory, moment.pointers):
        raise StoreError(
            f"the lake lacks entries of the log of {', '.join(lacking)}, which are published: lakehouse verify says more, and "
            "lakehouse restore --objects brings back what an earlier backup has"
        )
    wal_end = postgres.push_log(server, folder) if server else ""
    if server:
        new_bytes += _ship(target, folder, system)
    listed = manifests.write_inventory(target, backup_id, inventory)
    new_bytes += listed.size + (dump.size if dump else 0) + (base.archive.size if base and kind == "full" else 0)
    made = Manifest(
        id=backup_id, kind=kind, covers_until=moment.at.isoformat(), finished_at=datetime.now(UTC).isoformat(),
        release=_release(), ledger=moment.ledger, database=database.name, zone=settings.timezone, pointers=moment.pointers,
        gold=moment.gold, ledger_rows=moment.ledger_rows, runs=moment.runs, inventory=listed,
        file_count=sum(map(len, inventory.values())), new_bytes=new_bytes, base=base, point=moment.point, wal_end=wal_end,
        dump=dump, lake=settings.lake_root, **_names(settings),
    )  # fmt: skip
    manifests.write(target, made)
    return made


def log_folder(settings: Settings) -> Path:
    """The folder in which the server keeps its log: that of the backups, or for a bucket one in the home, which is emptied."""
    target = backups(settings)
    return target.path if isinstance(target, Folder) else settings.home / "archive"


def _ship(target: Place, folder: Path, system: str) -> int:
    """Brings the server's log from the home into the bucket of the backups; returns how many bytes."""
    if isinstance(target, Folder):
        return 0
    shipped, spool = 0, Folder(folder)
    for key, held in sorted(spool.names(f"wal/{system}/").items()):
        target.write(key, spool.read(key))
        if target.names(key)[key].size != held.size:
            raise StoreError(f"{key} is not in {target.where} as it was written: make the backup again")
        spool.delete(key)
        shipped += held.size
    return shipped


def _server(settings: Settings, *, quiet: bool = False) -> EmbeddedPostgres | None:
    """The server of ours that archives its log; None where gold is on another, or it was started by an earlier release."""
    server = postgres.own_server(settings)
    if server and not postgres.has_log(server):
        if not quiet:
            log.warning("backup.no_log", message="the embedded server was started by an earlier release: a dump is made; "
                        "after lakehouse stop, or make down and make up, its log is archived")  # fmt: skip
        return None
    return server


def _due(server: EmbeddedPostgres, earlier: list[Manifest]) -> bool:
    """Whether a base is to be made: the last one is a week old, or of another server or timeline."""
    base = next((m.base for m in reversed(earlier) if m.base), None)
    if base is None or datetime.fromisoformat(base.finished_at) < datetime.now(UTC) - BASE_EVERY:
        return True
    with postgres.superuser(server) as cursor:
        cursor.execute(postgres.SYSTEM)
        system = cursor.fetchone()
        cursor.execute("select timeline_id from pg_control_checkpoint()")
        timeline = cursor.fetchone()
    return (system, timeline) != ((base.system,), (base.timeline,))


def _release() -> str:
    try:
        return version("lakehouse")
    except PackageNotFoundError:  # on a machine that has the package as a zip alone
        return ""


def _names(settings: Settings) -> Mapping[str, tuple[str, ...]]:
    """The names of settings that are set, and of secrets; no value."""
    ours = {n for n in os.environ if n.startswith((PREFIX, "AWS_"))}
    set_here = {f"{PREFIX}{n.upper()}" for n in settings.model_fields_set}
    secret = secret_variables()
    return {"settings": tuple(sorted((ours | set_here) - secret)), "secrets": tuple(sorted((ours | set_here) & secret))}

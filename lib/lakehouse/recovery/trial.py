"""A backup is restored for trial, in a folder that is gone afterwards, and held against its manifest.

Nothing of the living lakehouse is needed or touched, so this is what a new machine would do.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote

import pyarrow
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from lakehouse import log
from lakehouse.errors import StoreError, UsageError
from lakehouse.home import make_home
from lakehouse.records import Row
from lakehouse.recovery.clients import kept, output
from lakehouse.recovery.cluster import Cluster
from lakehouse.recovery.install import script
from lakehouse.recovery.kept import lake as lakes
from lakehouse.recovery.kept import manifest as manifests
from lakehouse.recovery.kept.manifest import Manifest, damaged
from lakehouse.recovery.kept.place import Folder, Place, backups
from lakehouse.recovery.postgres import Figures, figures, pointers
from lakehouse.settings import Settings

COLUMNS = ("check", "holds", "words")


def trial(settings: Settings, backup_id: str = "") -> tuple[Manifest, list[Row]]:
    """Restores the newest backup, or one by its id, for trial; the checks that were made.

    Raises UsageError where there is none, StoreError where one is damaged.
    """
    target = backups(settings)
    known = manifests.catalogue(target)
    made = next((m for m in reversed(known) if backup_id in ("", m.id)), None)
    if made is None:
        raise UsageError(f"there is no backup {backup_id or 'yet'} at {target.where}: make one with lakehouse backup")
    make_home(settings.home)
    folder = settings.home / f"trial-{datetime.now(UTC):%Y%m%d%H%M%S}"
    folder.mkdir(mode=0o700)
    with ExitStack() as held:
        held.callback(shutil.rmtree, folder, ignore_errors=True)
        cluster = Cluster(folder / "postgres")
        held.callback(cluster.remove)
        checks = [*_databases(target, made, cluster, folder), *_lake(target, made, folder / "lake")]
    log.event("backup.tried", id=made.id, holds=all(c["holds"] == "yes" for c in checks))
    return made, checks


def _databases(target: Place, made: Manifest, cluster: Cluster, folder: Path) -> list[Row]:
    log.event("backup.trial", what="databases")
    if made.base:
        cluster.unpack(target, made.base)
        cluster.recover(target, made.base, point=made.point)
    else:
        _load(target, made, cluster, folder)
    with cluster.connected(made.database) as cursor:
        found, (gold, ledger) = pointers(cursor), figures(cursor)
    return [
        _check("pointers", found == made.pointers, f"{sum(map(len, found.values()))} tables"),
        *_compared("gold", gold, made.gold),
        *_compared("ops", ledger, made.ledger_rows),
    ]


def _load(target: Place, made: Manifest, cluster: Cluster, folder: Path) -> None:
    """A dump into an empty server."""
    if made.dump is None:
        raise StoreError(f"backup {made.id} holds neither a base nor a dump")
    file = folder / "gold.dump"
    part = kept(Folder(folder), file.name, target.read(made.dump.key))
    if (part.size, part.sha256) != (made.dump.size, made.dump.sha256):
        raise damaged(target, made.dump.key, "is damaged")
    cluster.make()
    cluster.start()
    for _ in output(
        "psql", cluster.dsn("postgres"), "--no-psqlrc", "--quiet", f'--command=create database "{made.database}"'
    ):
        pass
    words = ("--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1", "--output=/dev/null")
    for _ in output("psql", cluster.dsn(made.database), *words, f"--file={script(file, '--no-privileges')}"):
        pass


def _compared(schema: str, found: Figures, expected: Mapping[str, tuple[int, int]]) -> list[Row]:
    return [
        _check(f"{schema}.{table}", found.get(table) == figure, f"{figure[0]:,} rows")
        for table, figure in sorted(expected.items())
    ]


def _lake(target: Place, made: Manifest, root: Path) -> list[Row]:
    """Every file of the published tables is brought back and is what was copied; each version is loaded by its log."""
    log.event("backup.trial", what="lake")
    inventory = manifests.read_inventory(target, made)
    plan = lakes.plan(inventory, made.pointers, {})
    new = {layer: Folder(root / layer) for layer in inventory}
    files = lakes.bring(plan, target, {}, dict(new))
    checks = [_check("files of the lake", True, f"{files:,} as they were copied")]
    for layer, versions in made.pointers.items():
        for table, version in versions.items():
            checks.append(_table(root / layer / table, f"{layer}.{table}", version))
    return checks


def _table(path: Path, name: str, version: int) -> Row:
    try:
        actions = pyarrow.table(DeltaTable(str(path), version=version).get_add_actions(flatten=True)).to_pylist()
    except DeltaError:
        return _check(name, False, f"version {version} cannot be loaded")
    lost = [a for a in actions if not _is_whole(path / unquote(str(a["path"])), int(a["size_bytes"]))]
    words = f"lacks {len(lost)} data files" if lost else f"version {version}, {len(actions)} data files"
    return _check(name, not lost, words)


def _is_whole(file: Path, size: int) -> bool:
    return file.is_file() and file.stat().st_size == size


def _check(name: str, holds: bool, words: str) -> Row:
    return {"check": name, "holds": "yes" if holds else "NO", "words": words}

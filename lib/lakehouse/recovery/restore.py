"""The way back: the order in which what a moment asks for is brought back.

Everything is made beside what is there, and looked at, before anything that lives is touched. Then ledger and gold change in
one transaction, in which the ledger takes a new name of its own; then the lake, which is told that name. In between, and for
any driver of before, the two do not belong together, so nothing is published. What was there stays, under other names.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import psycopg2

from lakehouse import log
from lakehouse.contracts import LAYERS
from lakehouse.database import Database
from lakehouse.errors import LakehouseError, StoreError, UsageError
from lakehouse.home import make_home
from lakehouse.ledger import Ledger
from lakehouse.records import Row
from lakehouse.recovery import postgres
from lakehouse.recovery.backup import gold, log_folder
from lakehouse.recovery.cluster import Cluster
from lakehouse.recovery.install import install, load
from lakehouse.recovery.kept import choice as choices
from lakehouse.recovery.kept import lake as lakes
from lakehouse.recovery.kept import manifest as manifests
from lakehouse.recovery.kept.choice import Choice, UnderWay, choose
from lakehouse.recovery.kept.place import Folder, Held, Place, backups
from lakehouse.recovery.postgres import Figures, figures, pointers
from lakehouse.server.databases import database_url
from lakehouse.server.embedded import EmbeddedPostgres
from lakehouse.settings import Settings

COLUMNS = ("what", "from_", "would")


@dataclass(frozen=True)
class Found:
    """Ledger and gold as they were at the moment."""

    ledger: str
    pointers: manifests.Versions
    gold: Figures
    ledger_rows: Figures
    runs: dict[str, str]


def choice(settings: Settings, *, to: datetime | None, backup_id: str = "", latest: bool = False) -> Choice:
    """What to restore from, of the backups of the settings; raises as `choose`.

    The latest there is, is what a restore was on its way to that was ended between ledger and lake.
    """
    target = backups(settings)
    known = manifests.catalogue(target)
    if known and latest and to is None and not backup_id and (halfway := _halfway(settings)):
        return halfway.choice(known, target.where)
    return choose(known, target.where, to=to, backup_id=backup_id, latest=latest)


def _halfway(settings: Settings) -> UnderWay | None:
    """A restore that has given the ledger its new name, and not the lake."""
    begun = choices.under_way(settings.home)
    if begun is None or lakes.owner(lakes.layers(settings)) == begun.ledger:
        return None
    _living_server(settings)
    try:
        return begun if Ledger(gold(settings)).identity() == begun.ledger else None
    except LakehouseError:
        return None


def _lake_put_back(settings: Settings) -> None:
    """A lake that a restore had renamed, and for which it did not live to put another, gets its name back."""
    begun, root = choices.under_way(settings.home), Path(settings.lake_root.removeprefix("file://"))
    if begun and not settings.lake_root.startswith("s3a:") and not root.exists():
        with suppress(FileNotFoundError):
            root.with_name(f"{root.name}.before-{begun.stamp}").rename(root)


def steps(settings: Settings, choice: Choice) -> list[Row]:
    """The plan of a restore, as far as it is known before the server's log is read."""
    made, moment = choice.manifest, choice.until or (choice.manifest.moment if choice.point else None)
    shown = moment.isoformat() if moment else "the end of the log that is kept"
    of = f"base of {choice.base.finished_at}, and the log since" if choice.base else f"dump of {made.covers_until}"
    files = sum(len(f) for f in manifests.read_inventory(backups(settings), made).values())
    return [
        {"what": "ledger, gold and marts", "from_": of, "would": f"be as of {shown}" if choice.base else f"be as of {made.covers_until}"},
        {"what": f"the lake at {settings.lake_root}", "from_": f"backup {made.id}: {files:,} files", "would": "be at the versions that ledger names"},
        {"what": "what is there now", "from_": "", "would": "be kept aside, under names that end in the time of the restore"},
    ]  # fmt: skip


def run(settings: Settings, choice: Choice, *, reason: str, by_whom: str, force: bool) -> list[Row]:
    """Carries a restore out; returns what became of each part.

    Raises UsageError where something lives there and `force` was not said, BusyError where a run is at work, StoreError for
    a backup that is damaged or does not reach so far. Before the last step nothing has changed.
    """
    target, stamp = backups(settings), f"{datetime.now(UTC):%Y%m%d%H%M%S}"
    make_home(settings.home)
    server = _living_server(settings)
    with ExitStack() as held:
        living = _living(settings, server, choice)
        _lake_put_back(settings)
        lake = lakes.layers(settings)
        there = {layer: place.names() for layer, place in lake.items()}
        if not force and ((living and Ledger(living).ever_published()) or any(there.values())):
            raise UsageError(
                f"there is a lakehouse at {settings.home} and {settings.lake_root}: --force replaces it; what is there is kept aside"
            )
        if living:
            for name in (*LAYERS, "backup"):
                held.enter_context(Ledger(living).alone(name))
            if server and choice.base:
                with suppress(StoreError):  # what is kept already may reach far enough
                    postgres.push_log(server, log_folder(settings))
        cluster = Cluster(settings.home / f"restore-{stamp}")
        held.callback(cluster.remove)
        found = _found(target, settings, choice, cluster)
        inventory = _inventory(target, choice, found)
        mine = there if lakes.owner(lake) == found.ledger else {}
        made = lakes.plan(inventory, found.pointers, mine)
        _refuse_lacking(made, found)
        log.event("restore.found", tables=sum(map(len, found.pointers.values())))
        swap = _staged(settings, made, target, lake, there, stamp)
        held.callback(swap.drop)
        new, until = str(uuid.uuid4()), choice.until
        if choice.base and server and not until and not choice.point and postgres.goes_on(server, choice.base):
            until = datetime.now(UTC)  # from here on the log that is kept tells of the restore itself
        begun = UnderWay(new, stamp, choice.manifest.id, choice.point, until.isoformat() if until else None)
        begun.write(settings.home)
        if choice.base and (living is None or (server is None and settings.gold_dsn is None)):
            install(EmbeddedPostgres(settings.home), cluster, choice.manifest.database, new, reason, by_whom, stamp)
            after = gold(settings)
        else:
            after = living or gold(settings, create=True)
            scratch = settings.home / f"restore-{stamp}-load"
            dsn = postgres.direct(server, database_url(settings, "owner"))
            load(dsn, scratch, choice.manifest, target, cluster if choice.base else None, new, reason, by_whom, stamp)
            after.close()
        swap.go(partial(lakes.claim, ledger=new, runs=found.runs, pointers=found.pointers))
        choices.ended(settings.home)
        return _checked(settings, after, found, stamp)


def _living_server(settings: Settings) -> EmbeddedPostgres | None:
    """The server of ours that runs, or can be started."""
    try:
        server = EmbeddedPostgres(settings.home)
        if server.exists():
            server.start()
        return postgres.own_server(settings) if server.exists() else None
    except LakehouseError:
        return None


def _living(settings: Settings, server: EmbeddedPostgres | None, choice: Choice) -> Database | None:
    """The gold database that takes what is restored; None where the server itself is lost, and comes back whole."""
    if settings.gold_dsn is None:
        return gold(settings, create=True) if server or not choice.base else None
    database = gold(settings)
    try:
        database.check()
    except StoreError:
        if choice.base and not EmbeddedPostgres(settings.home).exists():
            return None
        raise
    return database


def _found(target: Place, settings: Settings, choice: Choice, cluster: Cluster) -> Found:
    made = choice.manifest
    if choice.base is None:
        return Found(made.ledger, made.pointers, dict(made.gold), dict(made.ledger_rows), dict(made.runs))
    log.event("restore.base", finished_at=choice.base.finished_at)
    cluster.unpack(target, choice.base)
    if not isinstance(target, Folder) and log_folder(settings).exists():
        # What the server wrote since the last backup has not left the home yet.
        for key in (spool := Folder(log_folder(settings))).names(f"wal/{choice.base.system}/"):
            Folder(cluster.folder).write(f"wal/{key.rpartition('/')[2]}", spool.read(key))
    log.event("restore.log", until=str(choice.until or choice.point or "its end"))
    cluster.recover(target, choice.base, point=choice.point, until=choice.until)
    try:
        with cluster.connected(made.database) as cursor:
            cursor.execute("select value from ops.settings where name = 'ledger_id'")
            ledger = str((cursor.fetchone() or ("",))[0])
            return Found(ledger, pointers(cursor), *figures(cursor), postgres.newest_runs(cursor))
    except psycopg2.Error:
        raise StoreError(f"at that moment there was no ledger in {made.database} yet: restore a later one") from None


def _inventory(target: Place, choice: Choice, found: Found) -> manifests.Inventory:
    """The lake's files of the first backup of this ledger at or after the moment, else of its last one before."""
    if choice.base is None or choice.point:
        return manifests.read_inventory(target, choice.manifest)
    ours = [m for m in manifests.catalogue(target) if m.ledger == found.ledger]
    after = [m for m in ours if choice.until and m.moment >= choice.until]
    best = after[0] if after else ours[-1] if ours else choice.manifest
    return manifests.read_inventory(target, best)


def _refuse_lacking(made: lakes.Plan, found: Found) -> None:
    every = {layer: [*made.bring[layer], *made.living[layer]] for layer in made.bring}
    if lacking := lakes.lacking(every, found.pointers):
        raise StoreError(
            f"neither the backups nor the lake have the versions of {', '.join(lacking)} that were published at that moment: "
            "restore to the moment of a backup (lakehouse backup list); nothing was changed"
        )


@dataclass
class _Swap:
    """The lake as it is to be, beside the one that lives; or for buckets, what is to be done there last."""

    settings: Settings
    made: lakes.Plan
    target: Place
    lake: lakes.Layers
    there: dict[str, dict[str, Held]]
    stamp: str
    staged: Path | None = None

    def go(self, claim: Callable[[lakes.Layers], None]) -> None:
        """Puts the lake in its place, and tells it whose it is: by then in a folder, else as the last step."""
        if self.staged:
            claim({layer: Folder(self.staged / layer) for layer in self.lake})
            root = Path(self.settings.lake_root.removeprefix("file://"))
            if root.exists():
                root.rename(root.with_name(f"{root.name}.before-{self.stamp}"))
            self.staged.rename(root)
            self.staged = None
            return
        differing = lakes.differing(self.made, self.there, self.lake)
        replaced = {(layer, key) for layer, key in differing if key in self.there[layer]}
        gone = {(layer, key) for layer, keys in self.made.gone.items() for key in keys}
        lakes.put_aside(self.target, self.stamp, self.lake, replaced | gone)
        lakes.bring(self.made, self.target, self.lake, self.lake, only=lambda layer, key: (layer, key) in differing)
        # Newest first: cut off at any moment, what is left is a log without its newest entries.
        for layer, key in sorted(gone, reverse=True):
            self.lake[layer].delete(key)
        claim(self.lake)

    def drop(self) -> None:
        """Deletes what was made beside, where it did not take its place."""
        if self.staged:
            shutil.rmtree(self.staged, ignore_errors=True)


def _staged(
    settings: Settings,
    made: lakes.Plan,
    target: Place,
    lake: lakes.Layers,
    there: dict[str, dict[str, Held]],
    stamp: str,
) -> _Swap:
    """The lake made beside the one that lives; in buckets its data files, which stand in nobody's way."""
    swap = _Swap(settings, made, target, lake, there, stamp)
    if settings.lake_root.startswith("s3a:"):
        missing = {(layer, key) for layer, files in made.bring.items() for key in files if key not in there[layer]}
        lakes.bring(
            made, target, lake, lake, only=lambda layer, key: (layer, key) in missing and "/_delta_log/" not in key
        )
        return swap
    root = Path(settings.lake_root.removeprefix("file://"))
    swap.staged = root.with_name(f"{root.name}.restored-{stamp}")
    try:
        lakes.bring(made, target, lake, {layer: Folder(swap.staged / layer) for layer in lake})
    except BaseException:
        swap.drop()
        raise
    return swap


def _checked(settings: Settings, database: Database, found: Found, stamp: str) -> list[Row]:
    """What became of each part: whether ledger, gold and lake are what they were at the moment."""
    with database.connection() as connection, connection.cursor() as cursor:
        now, (of_gold, _) = pointers(cursor), figures(cursor)
    lake = lakes.layers(settings)
    lacking = lakes.lacking({layer: place.names() for layer, place in lake.items()}, found.pointers)
    rows: list[Row] = [
        {"what": "pointers", "is": "as they were" if now == found.pointers else "NOT AS THEY WERE", "holds": now == found.pointers},
        {"what": "gold", "is": f"{sum(r for r, _ in of_gold.values()):,} rows", "holds": of_gold == found.gold},
        {"what": "lake", "is": f"lacks {', '.join(lacking)}" if lacking else f"{sum(map(len, now.values()))} tables", "holds": not lacking},
        {"what": "before", "is": f"kept under names that end in {stamp}", "holds": True},
    ]  # fmt: skip
    return rows

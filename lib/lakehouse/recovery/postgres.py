"""The living server: one moment of ledger and gold, and what is kept of it: base backup and log, or a dump.

Where the server is the one we bring, its log is archived as it is written: each file, after a minute at the latest, by a
script in the server's own folder. Another server's backup is a dump.
"""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor
from psycopg2.extensions import make_dsn, parse_dsn

from lakehouse.database import Database
from lakehouse.errors import StoreError
from lakehouse.records import RUNS_OF
from lakehouse.recovery.clients import compressed, kept, output
from lakehouse.recovery.kept.manifest import Base, Part, Versions
from lakehouse.recovery.kept.place import Place
from lakehouse.server.account import account, open_way
from lakehouse.server.databases import database_url
from lakehouse.server.embedded import EmbeddedPostgres
from lakehouse.settings import Settings

SCRIPT = "archive.sh"
# In the server's data folder: a server that is made again has another log, and another system's files are not its own.
ARCHIVE = """\
# Written by `lakehouse backup`. Keeps a file of the server's log: whole, and never another in the place of one.
set -eu
umask 077
to={folder}
if [ -e "$to/$2.gz" ]; then gzip -dc "$to/$2.gz" | cmp -s - "$1"; exit; fi
gzip -1 -c "$1" > "$to/.$2.$$"
sync "$to/.$2.$$" 2>/dev/null || sync
mv "$to/.$2.$$" "$to/$2.gz"
"""
ARCHIVE_SECONDS = 60
WAIT_SECONDS = 300
SCHEMAS = ("ops", "gold", "marts")
# Of the ledger what changes in a publish alone, or with the state of a run: the rest may move between a moment and its figures.
LEDGER_TABLES = ("consumed", "published", "run_tables", "runs", "totals")
# By which a server knows its own log, and is known behind any port.
SYSTEM = "select system_identifier::text from pg_control_system()"
ROW_SUM = "coalesce(sum(('x' || left(md5(t::text), 15))::bit(60)::bigint), 0)"
Figures = dict[str, tuple[int, int]]


@dataclass(frozen=True)
class Moment:
    """Ledger and gold as of one moment: whose ledger, the pointers, rows and sums of gold and of the ledger's tables."""

    at: datetime
    ledger: str
    pointers: Versions
    gold: Figures
    ledger_rows: Figures
    runs: dict[str, str]
    point: str = ""


def own_server(settings: Settings) -> EmbeddedPostgres | None:
    """The server we bring, where gold is on it, running; None where gold is on another."""
    server = EmbeddedPostgres(settings.home)
    if settings.gold_dsn is None:
        database_url(settings, "gold", create=False)
        return server
    if not server.exists() or not server.running():
        return None
    ours, theirs = parse_dsn(server.url("postgres")), parse_dsn(settings.gold_dsn.get_secret_value())
    if theirs.get("host") not in (ours["host"], "localhost"):
        return None
    return server if theirs.get("port", "5432") == ours["port"] or _is_behind(settings, server) else None


def _is_behind(settings: Settings, server: EmbeddedPostgres) -> bool:
    """Whether another port of this machine leads to the same server, as that of the front by which the stack speaks TLS."""
    gold = Database(database_url(settings, "gold"), "gold", StoreError)
    with closing(gold), gold.connection() as connection, connection.cursor() as cursor:
        theirs = _value(cursor, SYSTEM)
    with superuser(server) as cursor:
        return bool(_value(cursor, SYSTEM) == theirs)


def direct(server: EmbeddedPostgres | None, dsn: str) -> str:
    """A URL by the own port of the server we bring: what stands before it may speak TLS, which its programs do not."""
    if server is None:
        return dsn
    parts = {name: value for name, value in parse_dsn(dsn).items() if not name.startswith("ssl")}
    ours = parse_dsn(server.url("postgres"))
    return str(make_dsn(**{**parts, "host": ours["host"], "port": ours["port"]}))


def has_log(server: EmbeddedPostgres) -> bool:
    """Whether a server archives its log: one that an earlier release started does from its next start on."""
    with superuser(server) as cursor:
        return bool(_value(cursor, "show archive_mode") == "on")


@contextmanager
def superuser(server: EmbeddedPostgres, database: str = "postgres") -> Iterator[Cursor]:
    """A session of the server's superuser, each statement a transaction of its own. Raises StoreError for what it refuses."""
    try:
        with closing(psycopg2.connect(server.url(database))) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            yield cursor
    except psycopg2.Error as e:
        raise StoreError(
            f"The embedded Postgres in {server.folder} refused ({e.pgcode or type(e).__name__}): see {server.log}."
        ) from None


@contextmanager
def moment(database: Database, server: EmbeddedPostgres | None, point: str) -> Iterator[tuple[Moment, str]]:
    """Ledger and gold as of one moment, and the snapshot in which they are seen while the body works.

    On a server of ours the moment has a name in its log. For an instant nothing is published and no run ends.
    """
    with closing(database.dedicated()) as seeing, seeing.cursor() as cursor:
        seeing.set_session(isolation_level="REPEATABLE READ", readonly=True)
        with _still(database):
            at = _value(cursor, "select clock_timestamp()")
            if server:
                with superuser(server) as theirs:
                    theirs.execute("select pg_create_restore_point(%s)", (point,))
        snapshot = str(_value(cursor, "select pg_export_snapshot()"))
        ledger = str(_value(cursor, "select value from ops.settings where name = 'ledger_id'"))
        yield (
            Moment(at, ledger, pointers(cursor), *figures(cursor), newest_runs(cursor), point if server else ""),
            snapshot,
        )


@contextmanager
def _still(database: Database) -> Iterator[Connection]:
    """While the body works no publish commits, and no run begins or ends. Raises StoreError where it had to wait too long."""
    with closing(database.dedicated()) as connection:
        try:
            with connection.cursor() as cursor:
                cursor.execute("lock table ops.runs, ops.published in share mode")
        except psycopg2.Error as e:  # a publish that takes long holds them, and so does a session that somebody forgot
            raise database.refused(e) from None
        yield connection
        connection.rollback()


def pointers(cursor: Cursor) -> Versions:
    """The published versions of the lake's tables, by layer."""
    cursor.execute("select layer, table_name, version from ops.published where layer <> 'gold' order by 1, 2")
    found: Versions = {}
    for layer, table, version in cursor.fetchall():
        found.setdefault(layer, {})[table] = version
    return found


def newest_runs(cursor: Cursor) -> dict[str, str]:
    """The run that last published each lake layer: the one that the lake is told of."""
    found: dict[str, str] = {}
    for layer, of in RUNS_OF.items():
        cursor.execute(
            "select run_id from ops.runs where layer = %s and state = 'published' order by seq desc limit 1", (of,)
        )
        if row := cursor.fetchone():
            found[layer] = row[0]
    return found


def figures(cursor: Cursor) -> tuple[Figures, Figures]:
    """Rows of each table of gold and of the ledger, and a sum over their content that does not depend on their order."""
    cursor.execute("set local timezone to 'UTC'; set local datestyle to 'ISO'; set local extra_float_digits to 1")
    cursor.execute(
        "select relnamespace::regnamespace::text, relname from pg_class where relkind in ('r', 'p') and "
        "relnamespace = any(select oid from pg_namespace where nspname in ('gold', 'ops')) order by 1, 2"
    )
    found: dict[str, Figures] = {"gold": {}, "ops": {}}
    for schema, table in cursor.fetchall():
        if schema == "gold" or table in LEDGER_TABLES:
            cursor.execute(f'select count(*), {ROW_SUM} from {schema}."{table}" t')  # noqa: S608 - names of the catalogue
            rows, total = cursor.fetchone() or (0, 0)
            found[schema][table] = int(rows), int(total)
    return found["gold"], found["ops"]


def archive_to(server: EmbeddedPostgres, folder: Path) -> str:
    """From now on the server keeps its log in a folder of its own below this one; returns the server's system identifier."""
    with superuser(server) as cursor:
        system = str(_value(cursor, SYSTEM))
        own = wal_folder(folder, system)
        run_as = account()
        for step in (folder, own.parent, own):
            step.mkdir(mode=0o700, parents=True, exist_ok=True)
        if run_as:
            os.chown(own, run_as["user"], run_as["group"])
        open_way([own], run_as)
        text = ARCHIVE.format(folder=shlex.quote(str(own)))
        script = server.data / SCRIPT
        if not script.exists() or script.read_text(encoding="utf-8") != text:
            beside = script.with_name(f".{SCRIPT}.new")
            beside.unlink(missing_ok=True)
            beside.write_text(text, encoding="utf-8")
            if run_as:
                os.chown(beside, run_as["user"], run_as["group"])
            beside.rename(script)
        if _value(cursor, "show archive_timeout") != "1min":
            cursor.execute(f"alter system set archive_timeout to '{ARCHIVE_SECONDS}s'")
            cursor.execute("select pg_reload_conf()")
    return system


def wal_folder(folder: Path, system: str) -> Path:
    """Where the log of a server is kept in the folder of backups."""
    return folder / "wal" / system


def push_log(server: EmbeddedPostgres, folder: Path) -> str:
    """Waits until the log up to now is archived; returns the name of its last file. A target after this moment is not reached.

    Raises StoreError where the archive does not take it.
    """
    with superuser(server) as cursor:
        system = str(_value(cursor, SYSTEM))
        # A commit after whatever was before: a time is reached where the log has one that is later.
        cursor.execute("select pg_current_xact_id()")
        name = str(_value(cursor, "select pg_walfile_name(pg_switch_wal())"))
    deadline = time.monotonic() + WAIT_SECONDS
    while not (wal_folder(folder, system) / f"{name}.gz").exists():
        if time.monotonic() > deadline:
            raise StoreError(
                f"the server's log does not reach {wal_folder(folder, system)}: check its disk and its owner, and see {server.log}"
            )
        time.sleep(0.05)
    return name


def base_backup(server: EmbeddedPostgres, place: Place, key: str) -> Base:
    """Copies the whole server as it stands, with the log that makes the copy consistent."""
    with superuser(server) as cursor:
        system = str(_value(cursor, SYSTEM))
        start = str(_value(cursor, "select pg_walfile_name(pg_current_wal_lsn())"))
    options = ("--format=tar", "--pgdata=-", "--wal-method=fetch", "--checkpoint=fast", "--no-password")
    part = kept(place, key, compressed(output("pg_basebackup", server.url("postgres"), *options)))
    with superuser(server) as cursor:
        finished = _value(cursor, "select clock_timestamp()")
    return Base(part, finished.isoformat(), system, int(start[:8], 16), start)


def goes_on(server: EmbeddedPostgres, base: Base) -> bool:
    """Whether what a server writes now is the log that goes on from a base: of the same system and timeline."""
    with superuser(server) as cursor:
        here = _value(cursor, SYSTEM), _value(cursor, "select timeline_id from pg_control_checkpoint()")
    return here == (base.system, base.timeline)


def dump(dsn: str, snapshot: str, place: Place, key: str) -> Part:
    """Dumps ledger, gold and marts as a snapshot sees them."""
    schemas = [f"--schema={schema}" for schema in SCHEMAS]
    options = ("--format=custom", "--compress=1", f"--snapshot={snapshot}", "--no-password", *schemas)
    return kept(place, key, output("pg_dump", dsn, *options))


def _value(cursor: Cursor, query: str) -> Any:
    cursor.execute(query)
    return (cursor.fetchone() or (None,))[0]

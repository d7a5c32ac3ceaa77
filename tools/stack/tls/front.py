"""TLS in front of a Postgres that speaks none, such as the embedded one: `--port`, `--certificates`, and which server.

It answers a client's SSLRequest as Postgres does (https://www.postgresql.org/docs/current/protocol-flow.html), and hands
the rest on, byte for byte, to a server of this machine. A client that does not ask for TLS is turned away, but for the one
request that clients send in the clear everywhere: to cancel a query, with the number that its session was given for that.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from lakehouse.errors import LakehouseError
from lakehouse.server.embedded import EmbeddedPostgres

HOST = "127.0.0.1"
SSL_REQUEST = bytes.fromhex("0000000804d2162f")
GSS_REQUEST = bytes.fromhex("0000000804d21630")
CANCEL_REQUEST = bytes.fromhex("0000001004d2162e")
ASK_SECONDS = 10
CHUNK = 64 * 1024

# Where the server is, asked for each connection: one that was started again may have another port.
Server = Callable[[], tuple[str, int]]


async def serve(port: int, server: Server, certificates: Path) -> asyncio.Server:
    """Listens on the loopback interface at `port` (0: any)."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError, LakehouseError):
            first = await asyncio.wait_for(_open(reader, writer, context), ASK_SECONDS)
            behind = await asyncio.open_connection(*server())
            behind[1].write(first)
            await asyncio.gather(_hand_on(reader, behind[1]), _hand_on(behind[0], writer))
        writer.close()

    return await asyncio.start_server(answer, HOST, port)


async def _open(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: ssl.SSLContext) -> bytes:
    """Has the client speak TLS; what it has sent that is the server's to read."""
    asked = await reader.readexactly(8)
    if asked == GSS_REQUEST:
        writer.write(b"N")
        asked = await reader.readexactly(8)
    if asked == CANCEL_REQUEST:
        return asked
    if asked != SSL_REQUEST:
        raise ConnectionRefusedError
    if reader._buffer:  # type: ignore[attr-defined]
        # Sent in the clear behind the request, by anyone in between: as part of the session it would pass for the client's.
        raise ConnectionRefusedError
    writer.write(b"S")
    await writer.drain()
    await writer.start_tls(context)
    return b""


async def _hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, ssl.SSLError):
        while piece := await reader.read(CHUNK):
            writer.write(piece)
            await writer.drain()
    writer.close()


def answers(port: int, ca: Path) -> bool:
    """Whether a server of this machine answers at a port as Postgres does, by a certificate that holds."""
    try:
        with socket.create_connection((HOST, port), ASK_SECONDS) as raw:
            raw.sendall(SSL_REQUEST)
            if raw.recv(1) != b"S":
                return False
            with ssl.create_default_context(cafile=ca).wrap_socket(raw, server_hostname=HOST):
                return True
    except OSError:
        return False


def _of_home(home: Path) -> tuple[str, int]:
    url = urlsplit(EmbeddedPostgres(home).url("postgres"))
    return url.hostname or HOST, url.port or 0


async def _for_ever(port: int, server: Server, certificates: Path) -> None:
    async with await serve(port, server, certificates) as listening:
        await listening.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--port", required=True, type=int, help="port of 127.0.0.1 to listen on")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--server", help="host:port of the Postgres behind")
    which.add_argument("--home", type=Path, help="folder of the embedded server behind")
    parser.add_argument("--certificates", required=True, type=Path, help="folder of server.pem and server.key")
    given = parser.parse_args()
    host, _, port = (given.server or "").rpartition(":")
    server: Server = (lambda: _of_home(given.home)) if given.home else (lambda: (host, int(port)))
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_for_ever(given.port, server, given.certificates))


if __name__ == "__main__":
    main()

"""TLS in front of a Postgres that speaks none, such as the embedded one: `--port`, `--server host:port`, `--certificates`.

It answers a client's SSLRequest as Postgres does (https://www.postgresql.org/docs/current/protocol-flow.html), and hands
the rest on, byte for byte, to a server of this machine. A client that does not ask for TLS is turned away.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ssl
from pathlib import Path

SSL_REQUEST = bytes.fromhex("0000000804d2162f")
GSS_REQUEST = bytes.fromhex("0000000804d21630")
ASK_SECONDS = 10
CHUNK = 64 * 1024


async def serve(port: int, server: tuple[str, int], certificates: Path) -> asyncio.Server:
    """Listens on the loopback interface at `port` (0: any)."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError, ssl.SSLError):
            await asyncio.wait_for(_secure(reader, writer, context), ASK_SECONDS)
            behind = await asyncio.open_connection(*server)
            await asyncio.gather(_hand_on(reader, behind[1]), _hand_on(behind[0], writer))
        writer.close()

    return await asyncio.start_server(answer, "127.0.0.1", port)


async def _secure(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: ssl.SSLContext) -> None:
    asked = await reader.readexactly(8)
    if asked == GSS_REQUEST:
        writer.write(b"N")
        asked = await reader.readexactly(8)
    if asked != SSL_REQUEST:
        raise ConnectionRefusedError
    writer.write(b"S")
    await writer.drain()
    await writer.start_tls(context)


async def _hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, ssl.SSLError):
        while piece := await reader.read(CHUNK):
            writer.write(piece)
            await writer.drain()
    writer.close()


async def _for_ever(port: int, server: tuple[str, int], certificates: Path) -> None:
    async with await serve(port, server, certificates) as listening:
        await listening.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--port", required=True, type=int, help="port of 127.0.0.1 to listen on")
    parser.add_argument("--server", required=True, help="host:port of the Postgres behind")
    parser.add_argument("--certificates", required=True, type=Path, help="folder of server.pem and server.key")
    given = parser.parse_args()
    host, _, port = given.server.rpartition(":")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_for_ever(given.port, (host, int(port)), given.certificates))


if __name__ == "__main__":
    main()

"""What runs in the network namespace: Atlas, and the one way in to it.

`python -m tools.atlas.inside alone|open FD PORT LOG COMMAND…`: FD is a socket that listens outside, on the loopback
interface of the machine; who connects there is handed on to PORT of the loopback interface in here, which nobody else
reaches. All ends when the standard input does, so that nothing is left of a starter that was killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import socket
import struct
import sys

HOST = "127.0.0.1"
CHUNK = 64 * 1024
END_SECONDS = 30
# <linux/sockios.h> and <linux/if.h>
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1


def furnish() -> None:
    """What a new namespace lacks: its loopback interface is down, and the machine's name leads to no address in it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        asked = fcntl.ioctl(any_socket, SIOCGIFFLAGS, struct.pack("16sH22x", b"lo", 0))
        [flags] = struct.unpack("16xH22x", asked)
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", flags | IFF_UP))
    socket.sethostname("localhost")


async def serve(listening: socket.socket, port: int, log: str, command: list[str]) -> int:
    """Runs the command until it ends or our input does; its exit code."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            behind = await asyncio.open_connection(HOST, port)
            await asyncio.gather(_hand_on(reader, behind[1]), _hand_on(behind[0], writer))
        writer.close()

    with open(log, "wb") as said:
        program = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=said, stderr=said, close_fds=True
        )
    async with await asyncio.start_server(answer, sock=listening):
        ended, unwanted = asyncio.ensure_future(program.wait()), asyncio.ensure_future(_end_of_input())
        await asyncio.wait({ended, unwanted}, return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            program.terminate()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.shield(ended), END_SECONDS)
        if not ended.done():
            program.kill()
        return await ended


async def _end_of_input() -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()


async def _hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(CHUNK):
            writer.write(piece)
            await writer.drain()
    writer.close()


def main() -> None:
    kind, listening, port, log, *command = sys.argv[1:]
    if kind == "alone":
        furnish()
    code = asyncio.run(serve(socket.socket(fileno=int(listening)), int(port), log, command))
    # Tasks of connections that are still open must not hold up the end.
    sys.stdout.flush()
    os._exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()

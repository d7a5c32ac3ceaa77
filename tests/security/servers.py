"""Real servers that speak TLS: a MinIO, and the embedded Postgres behind the stack's own front."""

from __future__ import annotations

import shutil
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from minio import Minio
from urllib3 import PoolManager

from tests.conftest import ROOT, MinioForTests, free_port
from tools.stack.tls.certificates import ADDRESSES, NAMES, make_certificates


def certificates(folder: Path, names: Sequence[str] = (*NAMES, *ADDRESSES), now: datetime | None = None) -> Path:
    """A CA and a server's certificate in a folder, which is returned."""
    make_certificates(folder, names, now=now)
    return folder


class SecureMinio(MinioForTests):
    """A MinIO that shows a certificate; `ca` is what its clients may trust."""

    def __init__(self, binary: Path, folder: Path, certificates: Path) -> None:
        super().__init__(binary, folder)
        self.ca, self.endpoint = certificates / "ca.pem", f"https://127.0.0.1:{self.port}"
        certs = folder / "certs"
        certs.mkdir()
        shutil.copy(certificates / "server.pem", certs / "public.crt")
        shutil.copy(certificates / "server.key", certs / "private.key")
        self.options = ("--certs-dir", str(certs))

    def client(self) -> Minio:
        """A client with all rights that trusts the CA."""
        http = PoolManager(cert_reqs="CERT_REQUIRED", ca_certs=str(self.ca))
        return Minio(f"127.0.0.1:{self.port}", self.access_key, self.secret_key, http_client=http)

    def _wait(self) -> None:
        wait_for(self.port)


def wait_for(port: int, seconds: float = 60) -> None:
    """Until something listens on a port of this machine."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


class Door(socketserver.ThreadingTCPServer):
    """A port that hands what it is sent on to another of this machine; how often somebody knocked."""

    daemon_threads = True

    def __init__(self, behind: int) -> None:
        super().__init__(("127.0.0.1", 0), _Visitor)
        self.behind, self.port, self.knocks = behind, self.server_address[1], 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Visitor(socketserver.BaseRequestHandler):
    server: Door

    def handle(self) -> None:
        self.server.knocks += 1
        with socket.create_connection(("127.0.0.1", self.server.behind)) as behind:
            back = threading.Thread(target=_pump, args=(behind, self.request), daemon=True)
            back.start()
            _pump(self.request, behind)
            back.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65536):
            sink.sendall(piece)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


@contextmanager
def secure_minio(binary: Path, folder: Path, certificates: Path) -> Iterator[SecureMinio]:
    """One that runs until the end."""
    server = SecureMinio(binary, folder, certificates)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def secure_postgres(server: str, certificates: Path) -> Iterator[str]:
    """host:port at which a Postgres (host:port) is found by TLS alone."""
    port = free_port()
    words = ["--port", str(port), "--server", server, "--certificates", str(certificates)]
    process = subprocess.Popen([sys.executable, "-m", "tools.stack.tls.front", *words], cwd=ROOT)
    try:
        wait_for(port)
        yield f"localhost:{port}"
    finally:
        process.terminate()
        process.wait(10)

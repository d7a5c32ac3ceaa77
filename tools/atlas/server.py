"""An Atlas of our own: started in a network namespace, where its embedded parts may listen as they like, and ended.

Solr, its ZooKeeper and Kafka listen on all addresses, at ports that nobody chooses. In a namespace all addresses are one
loopback interface; outside of one they would be open to the network, which a person has to ask for.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lakehouse.home import make_home
from tools.atlas.environment import ATLAS
from tools.atlas.home import AtlasHome
from tools.setup.machine import ROOT, SetupError, take_port

HOST = "127.0.0.1"
PORT = 21000
# Most of it goes to the types that Atlas makes for itself; a busy machine takes minutes.
START_SECONDS = 900
END_SECONDS = 45
# Root may make a namespace; anyone else, where the system lets them, by one of users in which they are root.
NAMESPACES = (["unshare", "--net", "--uts"], ["unshare", "--user", "--map-root-user", "--net", "--uts"])


def namespace() -> list[str] | None:
    """The words that run a program in a network namespace of its own; None where that is not to be had."""
    for words in NAMESPACES:
        try:
            tried = subprocess.run([*words, "true"], stdin=subprocess.DEVNULL, capture_output=True)
        except OSError:
            continue
        if tried.returncode == 0:
            return words
    return None


@contextmanager
def running(
    shop: Path, port: int = PORT, *, is_open: bool = False
) -> Iterator[tuple[str, str, subprocess.Popen[bytes]]]:
    """An Atlas that answers, until the end: its address, the password of its user, and its process.

    `is_open`: start it where there is no namespace too. Raises SetupError where it cannot be started.
    """
    words = namespace()
    if words is None and not is_open:
        raise SetupError(
            "Atlas brings a Solr, a ZooKeeper and a Kafka that listen on all addresses of the machine, and here it cannot be "
            "kept in a network namespace of its own (`unshare --net` is not there, or refused): `make atlas OPEN=1` starts it "
            "all the same, for a container or a machine that nobody else reaches."
        )
    ATLAS.make()
    home = AtlasHome(shop)
    make_home(shop)
    with open(shop / "atlas.lock", "w") as lock, _listening(port) as listening:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SetupError(f"An Atlas runs for {shop} already: end it first.") from None
        inside = dict(zip(("port", "zookeeper", "kafka"), _free_ports(3), strict=True))
        password = home.make(inside)
        url = f"http://{HOST}:{listening.getsockname()[1]}"
        way_in = ["alone" if words else "open", str(listening.fileno()), str(inside["port"]), str(home.said)]
        starter = [*(words or ()), sys.executable, "-m", "tools.atlas.inside", *way_in]
        process = subprocess.Popen(
            [*starter, *home.command(inside["port"])],
            cwd=ROOT,
            env=home.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(listening.fileno(),),
            start_new_session=True,  # a key that interrupts is for us; we end it then
        )
        try:
            _wait(process, url, home)
            home.leave(url, password)
            yield url, password, process
        finally:
            home.forget()
            _end(process)


@contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    with socket.socket() as listening:
        take_port(listening, HOST, port, "make atlas ATLAS_PORT=21001")
        listening.listen()
        yield listening


def _free_ports(n: int) -> list[int]:
    """Ports of which nothing listens on any now; in a namespace none does on any."""
    probes = [socket.socket() for _ in range(n)]
    try:
        for probe in probes:
            probe.bind((HOST, 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def _wait(process: subprocess.Popen[bytes], url: str, home: AtlasHome) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _is_active(url):
        if process.poll() is not None or time.monotonic() > deadline:
            why = "ended" if process.poll() is not None else f"was not ready within {START_SECONDS} s"
            raise SetupError(f"Atlas {why}: see {home.log} and {home.said}.")
        time.sleep(1)


def _is_active(url: str) -> bool:
    # No proxy stands before this machine, whatever the environment says.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/api/atlas/admin/status", timeout=5) as answer:
            return bool(json.load(answer)["Status"] == "ACTIVE")
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin:
        process.stdin.close()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.wait()

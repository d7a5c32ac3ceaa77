"""The server of the Data Docs as it is started: what it serves from a folder and from a bucket, and what it does not."""

from __future__ import annotations

import base64
import hashlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from minio import Minio

pytestmark = pytest.mark.integration
ASSETS = Path(__file__).parents[2] / "lib" / "lakehouse" / "pages" / "assets"
PAGES = {
    "index.html": b"<p>all runs</p>",
    "dbt/index.html": b"<script>dbt()</script>",
    "runs/run-1/index.html": b"<p>one run</p>",
    "runs/run-1/orders.html": b"<p>" + b"x" * 300_000 + b"</p>",
    "assets/lakehouse.css": b"p { color: red }",
    "assets/bootstrap.LICENSE": b"MIT",
}


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


class Server:
    """The program on a free port of loopback."""

    def __init__(self, port: int, process: subprocess.Popen[str]) -> None:
        self.port, self.process = port, process

    def ask(self, path: str, method: str = "GET", **headers: str) -> Answer:
        """Exactly this path: a client that tidies `..` away would prove nothing."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(**settings: str) -> Iterator[Server]:
    port = free_port()
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LAKEHOUSE_", "AWS_"))}
    command = [sys.executable, "-m", "lakehouse.pages.server", "--port", str(port)]
    with subprocess.Popen(command, env={**kept, **settings}, stderr=subprocess.PIPE, text=True) as process:
        server = Server(port, process)
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    assert server.ask("/health").status == 200
                    break
                except ConnectionRefusedError:
                    assert process.poll() is None, process.stderr and process.stderr.read()
                    assert time.monotonic() < deadline
                    time.sleep(0.1)
            yield server
        finally:
            process.kill()


def fill(folder: Path, pages: dict[str, bytes]) -> None:
    for name, body in pages.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(body)


def of_folder(home: Path) -> dict[str, str]:
    fill(home / "data-docs", PAGES)
    fill(
        home,
        {"secret.html": b"s3cret", "data-docs/runs/.run-2.draft/index.html": b"s3cret", "data-docs/.x.html": b"s3cret"},
    )
    (home / "data-docs" / "out.html").symlink_to(home / "secret.html")
    return {"LAKEHOUSE_HOME": str(home)}


def of_bucket(minio: Any, home: Path) -> dict[str, str]:
    minio.make_bucket("docs-served")
    client = Minio(f"127.0.0.1:{minio.port}", minio.access_key, minio.secret_key, secure=False)
    fill(home, {"secret.html": b"s3cret"})
    fill(home / "pages", PAGES)
    for name in PAGES:
        client.fput_object("docs-served", f"lake/data-docs/{name}", str(home / "pages" / name))
    for name in ("secret.html", "lake/secret.html", "lake/data-docs/runs/.run-2.draft/index.html"):
        client.fput_object("docs-served", name, str(home / "secret.html"))
    return {
        "LAKEHOUSE_HOME": str(home),
        "LAKEHOUSE_LAKE": "s3a://docs-served/lake",
        "AWS_ACCESS_KEY_ID": minio.access_key,
        "AWS_SECRET_ACCESS_KEY": minio.secret_key,
        "AWS_ENDPOINT_URL": minio.endpoint,
    }


@pytest.fixture(scope="module", params=["folder", "bucket"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("docs-server")
    settings = of_folder(home) if request.param == "folder" else of_bucket(request.getfixturevalue("minio"), home)
    with served(**settings) as started:
        yield started


@pytest.mark.parametrize(
    ("path", "name", "kind"),
    [
        ("/", "index.html", "text/html; charset=utf-8"),
        ("/index.html", "index.html", "text/html; charset=utf-8"),
        ("/runs/run-1/", "runs/run-1/index.html", "text/html; charset=utf-8"),
        ("/runs/run-1/orders.html?from=mail", "runs/run-1/orders.html", "text/html; charset=utf-8"),
        ("/assets/lakehouse.css", "assets/lakehouse.css", "text/css; charset=utf-8"),
        ("/assets/bootstrap.LICENSE", "assets/bootstrap.LICENSE", "text/plain; charset=utf-8"),
    ],
)
def test_a_page_is_served_whole_and_in_its_type(server: Server, path: str, name: str, kind: str) -> None:
    answer = server.ask(path)
    assert (answer.status, answer.body) == (200, PAGES[name])
    assert answer.headers["Content-Type"] == kind
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    scripts = [p for p in answer.headers["Content-Security-Policy"].split("; ") if "script" in p]
    digest = base64.b64encode(hashlib.sha256((ASSETS / "search.js").read_bytes()).digest()).decode()
    assert scripts == [f"script-src 'sha256-{digest}'"], "the catalogue's search, and no other"
    head = server.ask(path, "HEAD")
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", str(len(PAGES[name])))


def test_the_scripts_of_dbts_page_run_and_reach_nothing(server: Server) -> None:
    """It is a program, and the only one: no other page gets its policy."""
    policy = dict(p.split(" ", 1) for p in server.ask("/dbt/").headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'", "so nothing is fetched from anywhere, this server included"
    assert policy["script-src"] == "'unsafe-inline' 'unsafe-eval'"
    assert not {"connect-src", "frame-src", "worker-src"} & policy.keys()
    assert "'self'" not in "".join(policy.values())
    assert "unsafe" not in server.ask("/").headers["Content-Security-Policy"].replace(
        "style-src 'self' 'unsafe-inline'", ""
    )


def test_a_page_that_has_not_changed_is_not_sent_again(server: Server) -> None:
    first = server.ask("/")
    assert first.headers["Cache-Control"] == "no-cache"
    again = server.ask("/", If_None_Match=first.headers["Etag"])
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/runs",
        "/runs/",
        "/assets/",
        "/nothing.html",
        "/../secret.html",
        "/runs/../../secret.html",
        "/%2e%2e/secret.html",
        "/..%2fsecret.html",
        "/..%5csecret.html",
        "//etc/passwd",
        "/%2fetc/passwd",
        "/.x.html",
        "/out.html",
        "/runs/.run-2.draft/index.html",
        "/runs/run-1/run.json",
        "/index.html%00",
        "/%ff.html",
    ],
)
def test_what_is_no_page_is_not_found(server: Server, path: str) -> None:
    answer = server.ask(path)
    assert answer.status in (400, 404)
    assert b"s3cret" not in answer.body
    assert b"run-1" not in answer.body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_pages_can_only_be_read(server: Server, method: str) -> None:
    assert server.ask("/index.html", method).status == 405
    assert server.ask("/index.html").body == PAGES["index.html"]


def test_health_is_answered_before_there_are_pages(tmp_path: Path) -> None:
    with served(LAKEHOUSE_HOME=str(tmp_path)) as server:
        assert server.ask("/health").body == b"ok\n"
        assert (server.ask("/").status, b"once a run has ended" in server.ask("/").body) == (404, True)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=20) == 0


def test_it_listens_on_loopback_only(tmp_path: Path) -> None:
    with served(LAKEHOUSE_HOME=str(tmp_path)) as server, socket.socket() as other:
        # The port is free on every other address of the machine, so nobody else can reach it there.
        other.bind(("127.0.0.2", server.port))


def test_a_store_that_does_not_answer_is_told_apart_from_a_page_that_is_not_there(minio: Any, tmp_path: Path) -> None:
    settings = {**of_bucket(minio, tmp_path), "LAKEHOUSE_LAKE": "s3a://nowhere-to-be-found"}
    with served(**settings) as server:
        answer = server.ask("/")
        assert (answer.status, server.ask("/health").status) == (502, 200)
        assert minio.access_key.encode() not in answer.body
        server.process.terminate()
        _, told = server.process.communicate(timeout=20)
    assert "NoSuchBucket" in told
    assert minio.secret_key not in told


def test_a_taken_port_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "lakehouse.pages.server", "--port", str(port)]
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=60)
    assert (done.returncode, f"127.0.0.1:{port} cannot be served on" in done.stderr) == (3, True)
    assert "Traceback" not in done.stderr

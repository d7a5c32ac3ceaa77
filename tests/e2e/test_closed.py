"""A whole day on a machine with other accounts: they can read nothing of it, at work or done, and no page or log names a customer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import psycopg2
import pytest

from lakehouse.server.databases import database_url
from lakehouse.server.embedded import EmbeddedPostgres
from lakehouse.settings import Settings
from tests.conftest import passable_folder

pytestmark = pytest.mark.e2e
LAKEHOUSE = Path(sys.executable).with_name("lakehouse")
KEYS = {"AWS_ACCESS_KEY_ID": "canary-key-id", "AWS_SECRET_ACCESS_KEY": "canary-secret-key"}
NAMES = ("Canaria", "Kanarienvogel", "+49 30 2468013579")
# A stamp that is later than the row's is kept, so the rows stay in their day.
CANARIES = """update customers set first_name = %s, last_name = %s, phone = %s,
  updated_at = updated_at + interval '1 millisecond'"""
DAY = "1997-01-03"
# Another account looks, again and again: at every command line and environment, and for every file of the home.
LOOKS = """
import json, os, pwd, sys
from pathlib import Path
if os.geteuid() == 0:
    nobody = pwd.getpwnam("nobody")
    os.setgroups([]), os.setgid(nobody.pw_gid), os.setuid(nobody.pw_uid)
home, commands, environments, files, looks = Path(sys.argv[1]), set(), set(), set(), 0
def text(path):
    try:
        return path.read_bytes().replace(b"\\0", b" ").decode(errors="replace")
    except OSError:
        return ""
while True:
    for process in Path("/proc").glob("[0-9]*"):
        commands.add(text(process / "cmdline"))
        if str(home) in (environment := text(process / "environ")):
            environments.add(environment)
    for name in ("", "lake", "data-docs", "tmp", "postgres", "postgres/password", "postgres/password.lakehouse", "postgres/data"):
        try:
            os.listdir(home / name)
            files.add(name)
        except OSError:
            if text(home / name):
                files.add(name)
    looks += 1
    if os.read(0, 1) == b"e":
        break
print(json.dumps({"commands": sorted(commands), "environments": sorted(environments), "files": sorted(files), "looks": looks}))
"""


class Seen(NamedTuple):
    """What came of the day: the home, both streams, and what the other account saw."""

    home: Path
    streams: str
    other: dict[str, Any]


@pytest.fixture(scope="module")
def seen() -> Iterator[Seen]:
    with passable_folder() as folder:
        home = folder / "home"
        try:
            yield lived(home)
        finally:
            EmbeddedPostgres(home).stop()


def lived(home: Path) -> Seen:
    known = {k: v for k, v in os.environ.items() if not k.startswith(("LAKEHOUSE_", "AWS_", "PG"))}
    environment = {**known, "LAKEHOUSE_HOME": str(home), **KEYS}
    load = [LAKEHOUSE, "sample", "load", "foodmart", "--until", DAY]
    subprocess.run(load, env=environment, check=True, capture_output=True, timeout=300)
    with (
        closing(psycopg2.connect(database_url(Settings(home=home), "source"))) as source,
        source,
        source.cursor() as cursor,
    ):
        cursor.execute(CANARIES, NAMES)
    looker = subprocess.Popen(
        [sys.executable, "-I", "-c", LOOKS, home], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    run = subprocess.Popen(
        [LAKEHOUSE, "run", "day", "--date", DAY],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        streams = watched(run, looker)
        assert run.returncode == 0, streams
        other, _ = looker.communicate("e", timeout=60)
    finally:
        for process in (run, looker):
            process.kill()
    return Seen(home, streams, json.loads(other))


def watched(run: subprocess.Popen[str], looker: subprocess.Popen[str]) -> str:
    """Lets the other account look until the run ends; returns what the run said."""
    assert looker.stdin is not None
    while True:
        try:
            return run.communicate(timeout=0.2)[0]
        except subprocess.TimeoutExpired:
            looker.stdin.write("n")
            looker.stdin.flush()


def test_no_command_line_holds_a_key_or_a_password(seen: Seen) -> None:
    commands = "\n".join(seen.other["commands"])
    assert "SparkSubmit" in commands, "the day was looked at while it was at work"
    passwords = {file.name: file.read_text() for file in (seen.home / "postgres").glob("password*")}
    roles = {"password", "password.lakehouse", "password.reader", "password.pii_reader"}
    assert roles == set(passwords)
    assert [secret for secret in (*KEYS.values(), *passwords.values()) if secret in commands] == []


def test_another_account_reads_no_file_and_no_environment(seen: Seen) -> None:
    assert seen.other["looks"] > 10
    if os.geteuid() == 0:
        assert (seen.other["files"], seen.other["environments"]) == ([], [])
    # As the account itself sees it: nothing in the home is open to others, so none needs the home's own door.
    assert seen.home.stat().st_mode & 0o067 == 0
    open_to_others = [
        str(path.relative_to(seen.home))
        for path in seen.home.rglob("*")
        if not path.is_symlink() and path.stat().st_mode & 0o077
    ]
    assert open_to_others == []


def test_no_log_and_no_page_names_a_customer_or_a_key(seen: Seen) -> None:
    texts = {"streams": seen.streams, "server.log": (seen.home / "postgres" / "server.log").read_text()}
    pages = [p for p in (seen.home / "data-docs").rglob("*") if p.is_file()]
    assert len(pages) > 10
    texts |= {p.name: p.read_text(encoding="utf-8", errors="replace") for p in pages}
    assert [(name, word) for name, text in texts.items() for word in (*NAMES, *KEYS.values()) if word in text] == []


def test_nothing_temporary_is_left_outside_the_home(seen: Seen) -> None:
    named = [p for p in seen.home.parent.iterdir() if p != seen.home]
    assert named == []

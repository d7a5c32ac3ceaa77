"""The embedded Postgres: it starts with nothing configured, and heals from whatever happens to its folder."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg2
import pytest

from lakehouse.errors import StoreError
from lakehouse.server import account as embedded_account
from lakehouse.server.account import account, open_way
from lakehouse.server.embedded import EmbeddedPostgres

pytestmark = pytest.mark.integration


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home in a folder that is closed to other accounts, as those of pytest and mktemp are."""
    folder = tmp_path_factory.mktemp("home with spaces")
    yield folder
    EmbeddedPostgres(folder).stop()


@pytest.fixture
def server(home: Path) -> EmbeddedPostgres:
    server = EmbeddedPostgres(home)
    server.start()
    return server


def ask(dsn: str, query: str) -> object:
    with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchone()[0] if cursor.description else None


def pid(server: EmbeddedPostgres) -> int:
    return int((server.data / "postmaster.pid").read_text().split()[0])


def test_a_database_is_there_when_it_is_asked_for(home: Path) -> None:
    server = EmbeddedPostgres(home)
    assert not server.running()

    dsn = server.dsn("Shop & 'co'")

    assert server.running()
    assert ask(dsn, "SELECT current_database()") == "Shop & 'co'"
    assert ask(dsn, "SELECT upper('größe')") == "GRÖßE"
    assert ask(dsn, "SHOW data_checksums") == "on"
    assert ask(dsn, "SHOW timezone") == "UTC"


def test_a_dsn_stays_true_over_a_restart_and_the_rows_are_still_there(server: EmbeddedPostgres) -> None:
    dsn = server.dsn("shop")
    ask(dsn, "CREATE TABLE orders AS SELECT 7 AS n")

    server.stop()
    assert not server.running()
    server.stop()
    server.start()
    server.start()

    assert server.dsn("shop") == dsn
    assert ask(dsn, "SELECT n FROM orders") == 7


def test_only_this_machine_with_the_password_gets_in(server: EmbeddedPostgres) -> None:
    dsn = server.dsn("shop")
    password = urlsplit(dsn).password
    assert password
    with pytest.raises(psycopg2.OperationalError, match="authentication failed"):
        psycopg2.connect(dsn.replace(password, "guess"))

    assert ask(dsn, "SHOW listen_addresses") == "127.0.0.1"
    assert ask(dsn, "SHOW unix_socket_directories") == ""
    assert ask(dsn, "SELECT string_agg(DISTINCT auth_method, ',') FROM pg_hba_file_rules") == "scram-sha-256"
    assert (server.folder / "password").stat().st_mode & 0o777 == 0o600
    assert server.folder.stat().st_mode & 0o777 == 0o700


def test_the_log_shows_no_value_of_a_row(server: EmbeddedPostgres) -> None:
    dsn = server.dsn("shop")
    ask(dsn, "CREATE TABLE customers (email text PRIMARY KEY)")
    ask(dsn, "INSERT INTO customers VALUES ('ada@example.com')")
    with pytest.raises(psycopg2.errors.UniqueViolation):
        ask(dsn, "INSERT INTO customers VALUES ('ada@example.com')")

    log = server.log.read_text()
    assert "duplicate key" in log
    assert "ada@" not in log


def test_a_killed_server_comes_back_with_what_was_committed(server: EmbeddedPostgres) -> None:
    dsn = server.dsn("shop")
    ask(dsn, "CREATE TABLE orders AS SELECT 7 AS n")

    os.kill(pid(server), signal.SIGKILL)
    psutil.wait_procs([psutil.Process(pid(server))] if psutil.pid_exists(pid(server)) else [], timeout=5)

    assert ask(server.dsn("shop"), "SELECT n FROM orders") == 7


def test_a_pid_file_that_names_another_program_is_no_server(server: EmbeddedPostgres) -> None:
    left_behind = server.data / "postmaster.pid"
    lines = left_behind.read_text().splitlines()
    server.stop()
    left_behind.write_text("\n".join([str(os.getpid()), *lines[1:]]))
    assert not server.running()

    server.start()

    assert server.running()
    assert pid(server) != os.getpid()


def test_a_half_made_server_is_made_again(home: Path) -> None:
    half = home / "postgres" / "data.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    (home / "postgres" / "password").write_text("of the half-made one")

    dsn = EmbeddedPostgres(home).dsn("shop")

    assert ask(dsn, "SELECT 1") == 1
    assert not half.exists()


def test_another_port_is_taken_when_somebody_else_has_ours(server: EmbeddedPostgres) -> None:
    port = urlsplit(server.dsn("shop")).port
    server.stop()
    with socket.create_server(("127.0.0.1", port)):
        dsn = server.dsn("shop")

    assert urlsplit(dsn).port != port
    assert ask(dsn, "SELECT 1") == 1


def test_a_home_that_moved_keeps_its_rows_and_a_copy_is_another_server(server: EmbeddedPostgres, home: Path) -> None:
    ask(server.dsn("shop"), "CREATE TABLE orders AS SELECT 7 AS n")
    server.stop()
    moved = EmbeddedPostgres(home.rename(home.with_name(home.name + " moved")))
    try:
        assert ask(moved.dsn("shop"), "SELECT n FROM orders") == 7

        ask(moved.dsn("postgres"), "CHECKPOINT")
        shutil.copytree(moved.folder, home / "postgres")
        copy = EmbeddedPostgres(home)
        assert not copy.running()
        assert urlsplit(copy.dsn("shop")).port != urlsplit(moved.dsn("shop")).port
        assert moved.running()
    finally:
        moved.stop()


def test_processes_that_start_at_once_share_one_server(home: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from lakehouse.server.embedded import EmbeddedPostgres; "
        "print(EmbeddedPostgres(Path(sys.argv[1])).dsn('shop'))"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", program, home], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    told = {process.communicate(timeout=120)[0].strip() for process in started}

    assert [process.returncode for process in started] == [0, 0, 0]
    assert len(told) == 1
    assert ask(told.pop(), "SELECT 1") == 1


def test_a_lost_password_is_said_in_a_sentence(server: EmbeddedPostgres) -> None:
    (server.folder / "password").unlink()
    with pytest.raises(StoreError, match=r"password .* gone from .*postgres: bring the file back"):
        server.dsn("shop")


def test_the_server_never_runs_as_root_and_its_account_may_only_pass(server: EmbeddedPostgres, home: Path) -> None:
    user = psutil.Process(pid(server)).username()
    if os.geteuid() != 0:
        assert user == getpass.getuser()
        return
    assert user == embedded_account.NAME
    assert home.parent.stat().st_mode & 0o007 == 0
    run_as = account()
    listing = subprocess.run(["/bin/ls", home.parent], cwd="/", capture_output=True, check=False, **run_as)
    assert listing.returncode != 0


def test_a_folder_the_account_cannot_reach_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = home / "closed"
    (closed / "inner").mkdir(parents=True)
    closed.chmod(0o700)
    let_pass = embedded_account._let_pass
    monkeypatch.setattr(embedded_account, "_let_pass", lambda step, run_as: step != closed and let_pass(step, run_as))
    if os.geteuid() != 0:
        open_way([closed / "inner"], account())  # one's own folders are always in reach
        return
    with pytest.raises(StoreError, match=f"cannot enter {closed}: run `chmod o\\+x {closed}`"):
        open_way([closed / "inner"], account())

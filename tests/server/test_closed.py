"""Who may do what on the embedded server, that looking makes nothing, and that no link leads it elsewhere."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pytest
from psycopg2.extensions import parse_dsn

from lakehouse.cli.clients import invocation
from lakehouse.errors import ConfigError, LakehouseError, LedgerError, UsageError
from lakehouse.server.databases import database_url
from lakehouse.server.embedded import EmbeddedPostgres
from lakehouse.settings import Settings

pytestmark = pytest.mark.integration
LAKEHOUSE = Path(sys.executable).with_name("lakehouse")


def ask(dsn: str, query: str) -> object:
    with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchone()[0] if cursor.description else None  # type: ignore[index]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A home whose server was made by the first release: the superuser owns everything in it."""
    settings = Settings(home=tmp_path_factory.mktemp("shop"))
    server = EmbeddedPostgres(settings.home)
    for database in ("ecommerce_source", "ecommerce_gold"):
        ask(
            server.dsn(database),
            "create schema ops; create table ops.runs (n serial primary key, at timestamptz) partition by range (n);"
            "create table ops.runs_1 partition of ops.runs default; create view ops.newest as select * from ops.runs;"
            "create materialized view ops.held as select 7 as n; create type ops.state as enum ('a');"
            "create function ops.seven() returns int language sql as 'select 7'; create table public.orders as select 7 as n;",
        )
    yield settings
    server.stop()


def test_a_server_of_the_first_release_is_handed_over_to_an_ordinary_role(shop: Settings) -> None:
    for role in ("source", "gold", "source", "gold"):
        dsn = database_url(shop, role)  # type: ignore[arg-type]
        assert urlsplit(dsn).username == "lakehouse"
        assert ask(dsn, "select rolsuper or rolcreaterole or rolcreatedb from pg_roles where rolname = user") is False
        assert ask(dsn, "select count(*) from pg_class where relowner = 10 and relnamespace = 'ops'::regnamespace") == 0
        ask(dsn, "alter table orders add if not exists m int; drop schema if exists later; create schema later")
        ask(
            dsn,
            "insert into ops.runs (at) values (now()); refresh materialized view ops.held; drop function if exists ops.f()",
        )
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            ask(dsn, "copy (select 1) to program 'true'")


def test_the_reader_reads_gold_and_what_comes_later_and_writes_nothing(shop: Settings) -> None:
    gold = database_url(shop, "gold")
    ask(gold, "drop schema if exists gold cascade; create schema gold; create table gold.facts as select 8 as n")
    reader = database_url(shop, "reader")
    assert urlsplit(reader).username == "reader"
    assert ask(reader, "select n from gold.facts") == 8
    assert ask(reader, "select n from orders") == 7
    for words in (
        "insert into gold.facts values (1)",
        "create table t ()",
        "create schema s",
        "select * from pg_authid",
    ):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            ask(reader, words)
    with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
        psycopg2.connect(reader.replace("ecommerce_gold", "ecommerce_source"))


def test_a_server_of_ones_own_has_no_reader_of_ours(shop: Settings) -> None:
    named = shop.model_copy(update={"gold_dsn": Settings(gold_dsn="postgresql://u@h/d").gold_dsn})
    with pytest.raises(UsageError, match="LAKEHOUSE_READER_DSN is not set"):
        database_url(named, "reader")


def lakehouse(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    known = {k: v for k, v in os.environ.items() if not k.startswith(("LAKEHOUSE_", "AWS_", "PG"))}
    environment = {**known, "LAKEHOUSE_HOME": str(home), "AWS_SECRET_ACCESS_KEY": "canary"}
    return subprocess.run(
        [LAKEHOUSE, *words], env=environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize(
    "words",
    [
        "status",
        "tables",
        "dsn gold",
        "dsn source",
        "quarantine list",
        "run day --date 2020-01-01 --dry-run",
        "psql -c select",
    ],
)
def test_looking_at_a_folder_without_a_lakehouse_makes_nothing(tmp_path: Path, words: str) -> None:
    done = lakehouse(tmp_path / "home", *words.split())
    assert done.returncode == LedgerError.exit_code
    assert f"there is no lakehouse in {tmp_path / 'home'} yet: run a day, or `make demo`" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_psql_and_pg_dump_get_the_password_by_their_environment_alone(shop: Settings, tmp_path: Path) -> None:
    database_url(shop, "gold")
    shown = r"\! tr '\0' ' ' < /proc/$PPID/cmdline; tr '\0' '\n' < /proc/$PPID/environ | grep -c canary"
    done = lakehouse(shop.home, "psql", "-X", "-At", "-c", "select current_user || n from orders", "-c", shown)
    password = (shop.home / "postgres" / "password.lakehouse").read_text()
    assert "lakehouse7" in done.stdout.splitlines(), done.stderr
    assert "psql --dbname=user=lakehouse dbname=ecommerce_gold " in done.stdout
    assert password not in done.stdout
    assert done.stdout.split()[-1] == "0"

    assert lakehouse(shop.home, "pg_dump", "--format=custom", f"--file={tmp_path / 'gold.dump'}").returncode == 0
    assert (tmp_path / "gold.dump").read_bytes().startswith(b"PGDMP")
    read = lakehouse(shop.home, "psql", "--role", "reader", "-X", "-At", "-c", "select current_user")
    assert read.stdout.strip() == "reader"


@pytest.mark.parametrize(
    ("url", "address", "password"),
    [
        (
            "us%40er:s3cret@[::1]:5433/my%20shop?sslmode=require&password=s3cret",
            "user=us@er host=::1 port=5433 dbname='my shop' sslmode=require",
            "s3cret",
        ),
        # libpq takes these as they stand, where a URL's query or fragment would begin.
        ("shop:12?s3cret@db:5433/shop", "user=shop host=db port=5433 dbname=shop", "12?s3cret"),
        ("shop:12#s3cret@db/shop", "user=shop host=db dbname=shop", "12#s3cret"),
    ],
)
def test_an_address_keeps_all_but_its_password(url: str, address: str, password: str) -> None:
    command, environment = invocation("psql", f"postgresql://{url}", ["-c", "x"])
    assert environment["PGPASSWORD"] == password
    assert command[0] == "psql"
    assert command[2:] == ["-c", "x"]
    assert parse_dsn(command[1].removeprefix("--dbname=")) == parse_dsn(address)
    assert "s3cret" not in command[1]


def test_an_address_with_the_password_of_a_key_is_refused_as_a_command_line_would_show_it() -> None:
    with pytest.raises(ConfigError, match="keep sslpassword in") as raised:
        invocation("psql", "postgresql://shop@db/shop?sslkey=k.pem&sslpassword=s3cret", [])
    assert "s3cret" not in str(raised.value)


# An account that may write into the home could put a link, or a file of their own, in the place of each of the server's.


def a_link(path: Path, target: Path) -> None:
    path.symlink_to(target)


def anothers(path: Path, _: Path) -> None:
    path.write_text("20000") if path.suffix or path.name in ("port", "password", "lock") else path.mkdir()
    os.chown(path, 12345, 12345)


@pytest.mark.parametrize("name", ["", "lock", "password", "port"])
@pytest.mark.parametrize("trap", [a_link, anothers])
def test_a_link_or_a_file_of_another_account_is_neither_followed_nor_changed(
    tmp_path: Path, name: str, trap: Callable[[Path, Path], None]
) -> None:
    if trap is anothers and os.geteuid() != 0:
        assert not os.access("/root", os.W_OK)  # only root could make the trap, or fall into it
        return
    target = tmp_path / "target"
    target.mkdir() if not name else target.write_text("20000")
    before = target.stat()
    home = tmp_path / "home"
    (home / "postgres" if name else home).mkdir(parents=True)
    trap(home / "postgres" / name, target)
    server, said = EmbeddedPostgres(home), ""
    try:
        server.start()
    except LakehouseError as e:
        said = str(e)
    finally:
        server.stop()
    if said:
        assert re.search("is a link|belongs to (another account, )?12345", said)
    else:
        # What is written is a new file in the place of the trap.
        assert trap is a_link
        assert name == "password"
        assert stat.S_ISREG((home / "postgres" / name).lstat().st_mode)
    after = target.stat()
    assert (after.st_uid, after.st_mode, after.st_mtime) == (before.st_uid, before.st_mode, before.st_mtime)

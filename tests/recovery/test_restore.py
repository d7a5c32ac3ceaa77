"""The way back to a moment: on a server that lives, on a machine that is lost, from a dump; and what is refused."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg2
import pytest
from pydantic import SecretStr

from lakehouse.errors import BusyError, RightLostError, StoreError, UsageError
from lakehouse.ledger import Ledger
from lakehouse.records import Row, Run
from lakehouse.recovery import backup, install, restore
from tests.conftest import ROOT, PostgresForTests
from tests.faults.wire import PostgresProxy
from tests.recovery.shop import Shop, own_shop

pytestmark = pytest.mark.integration


@pytest.fixture
def shop() -> Iterator[Shop]:
    with own_shop() as shop:
        yield shop


def back(shop: Shop, to: datetime | None = None, *, force: bool = True, **which: object) -> list[Row]:
    choice = restore.choice(shop.settings, to=to, **which)  # type: ignore[arg-type]
    return restore.run(shop.settings, choice, reason="a drill", by_whom="tests", force=force)


def test_a_living_lakehouse_goes_back_to_a_second_between_two_runs_and_on_from_there(shop: Shop) -> None:
    shop.publish()
    backup.make(shop.settings)
    moment, then = shop.publish(), shop.look()
    shop.publish()
    with closing(psycopg2.connect(shop.server.dsn("ecommerce_source"))) as source, source, source.cursor() as cursor:
        cursor.execute("create table orders as select 1 as id")
    ledger = shop.ledger()
    ours = ledger.identity()
    with ledger.alone("silver") as lease, lease.transaction() as cursor:
        at_work = ledger.open(cursor, "silver", datetime(2020, 1, 4).date())
    backup.make(shop.settings)

    newest = shop.look()
    with pytest.raises(UsageError, match="--force replaces it"):
        back(shop, moment, force=False)
    with ledger.alone("bronze"), pytest.raises(BusyError):
        back(shop, moment)
    assert shop.look() == newest != then, "nothing was changed"

    done = back(shop, moment)
    assert [r["holds"] for r in done] == [True] * len(done)
    assert shop.look() == then
    assert shop.head("bronze") == shop.head("silver") == 1, "later versions are gone from the log"
    now = shop.ledger()
    assert now.identity() == shop.identity() != ours, "lake and ledger know each other by a new name"
    assert now.actions()[0]["action"] == "restore"
    # A driver of before has lost its right, whether the ledger knows its run or not.
    assert now.state(at_work.run_id) is None
    with now.alone("silver") as lease, pytest.raises(RightLostError), lease.transaction() as cursor:
        now.publish(cursor, Run(at_work.run_id, "silver", at_work.business_date, at_work.started_at), {}, {})
    # What was there is kept, and the shop's own database is as it was.
    with shop.gold() as cursor:
        cursor.execute("select nspname from pg_namespace where nspname ~ '_before_' order by 1")
        gold, ops = (name for (name,) in cursor.fetchall())
        cursor.execute(f"select count(*) from {gold}.orders")
        assert cursor.fetchone() == (9,)
        assert ops.startswith("ops_before_")
    assert len(list(shop.settings.home.glob("lake.before-*"))) == 1
    with closing(psycopg2.connect(shop.server.dsn("ecommerce_source"))) as source, source.cursor() as cursor:
        cursor.execute("select id from orders")
        assert cursor.fetchone() == (1,)
    assert not [p.name for p in shop.settings.home.iterdir() if p.name.startswith("restore-")]

    shop.days = 2
    shop.publish()
    later = shop.look()
    made = backup.make(shop.settings)
    shop.publish()
    back(shop, backup_id=made.id)
    assert shop.look() == later, "a later backup, of the ledger as it is called now"
    # And still to the days before the first restore.
    back(shop, moment)
    assert shop.look() == then


@pytest.mark.slow
def test_a_run_that_was_at_work_at_the_moment_is_dead_after_it(shop: Shop) -> None:
    shop.publish()
    backup.make(shop.settings)
    ledger = shop.ledger()
    with ledger.alone("silver") as lease:
        with lease.transaction() as cursor:
            at_work = ledger.open(cursor, "silver", datetime(2020, 1, 2).date())
        backup.make(shop.settings)
    back(shop, backup_id=backup.known(shop.settings)[-1].id)
    assert shop.ledger().state(at_work.run_id) == "abandoned"
    assert shop.ledger().backups()[0]["state"] == "abandoned", "at the moment its own backup was being made"


@pytest.mark.slow
def test_a_machine_that_is_lost_comes_back_with_another_password(shop: Shop) -> None:
    shop.publish()
    backup.make(shop.settings)
    moment, then = shop.publish(), shop.look()
    shop.publish()
    backup.make(shop.settings)
    password = (shop.server.folder / "password").read_text()
    shop.server.stop()
    shutil.rmtree(shop.settings.home)

    done = back(shop, moment, force=False)
    assert [r["holds"] for r in done] == [True] * len(done)
    assert shop.look() == then
    assert (shop.server.folder / "password").read_text() != password
    shop.days = 2
    shop.publish()
    assert backup.make(shop.settings).kind == "full", "the server's log is another one from here on"
    later = shop.look()
    shop.server.stop()
    shutil.rmtree(shop.settings.home)
    back(shop, latest=True)
    assert shop.look() == later


@pytest.mark.slow
@pytest.mark.fault("F28")
def test_a_server_that_lost_its_data_comes_back_beside_a_lake_that_lives(shop: Shop) -> None:
    shop.publish()
    backup.make(shop.settings)
    moment, then = shop.publish(), shop.look()
    # A commit later, and a minute at most, it is in the archive.
    with shop.gold() as cursor:
        cursor.execute("create table public.later as select 1")
        cursor.connection.commit()
    with closing(psycopg2.connect(shop.server.dsn("postgres"))) as connection, connection.cursor() as cursor:
        cursor.execute("select pg_walfile_name(pg_switch_wal())")
        (name,) = cursor.fetchone() or ("",)
    archive = Path(shop.settings.backup_root.removeprefix("file://")) / "wal"
    deadline = time.monotonic() + 120
    while not list(archive.glob(f"*/{name}.gz")):
        assert time.monotonic() < deadline, "the server's log did not reach the archive"
        time.sleep(0.1)
    shop.server.stop()
    shutil.rmtree(shop.server.data)

    # Day two was published after the last backup: its files are taken from the lake itself.
    done = back(shop, moment)
    assert [r["holds"] for r in done] == [True] * len(done)
    assert shop.look() == then


def test_what_is_damaged_or_out_of_reach_changes_nothing(shop: Shop) -> None:
    with pytest.raises(UsageError, match="there is no backup at"):
        back(shop, latest=True)
    began = datetime.now(UTC)
    shop.publish()
    made = backup.make(shop.settings)
    shop.publish()
    then, ours = shop.look(), shop.ledger().identity()
    with pytest.raises(UsageError, match="no backup reaches back to"):
        back(shop, began)
    with pytest.raises(UsageError, match="say to which moment"):
        back(shop, began, latest=True)
    with pytest.raises(UsageError, match="there is no backup none"):
        back(shop, backup_id="none")
    with pytest.raises(StoreError, match=r"ends before that moment: its last transaction is of 20.*--latest"):
        back(shop, datetime.now(UTC) + timedelta(hours=1))
    folder = Path(shop.settings.backup_root.removeprefix("file://"))
    for damaged in (made.base.archive.key if made.base else "", made.inventory.key):
        whole = (folder / damaged).read_bytes()
        (folder / damaged).write_bytes(whole[:-20] + b"x" * 20)
        with pytest.raises(StoreError, match="is damaged"):
            back(shop, backup_id=made.id)
        (folder / damaged).write_bytes(whole)
    shutil.rmtree(folder / "objects")
    with pytest.raises(StoreError, match="is gone"):
        back(shop, backup_id=made.id)
    assert (shop.look(), shop.ledger().identity(), shop.identity()) == (then, ours, ours)
    assert {p.name for p in shop.settings.home.iterdir()} <= {"lake", "postgres", "tmp"}
    shop.publish()  # and it goes on


def test_gold_on_a_server_of_somebody_elses_is_dumped_and_restored(postgres: PostgresForTests, tmp_path: Path) -> None:
    dsn = postgres.create_database("recovery_of_another")
    shop = Shop(home=tmp_path / "home", gold_dsn=SecretStr(dsn))
    shop.publish()
    made, then = backup.make(shop.settings), shop.look()
    assert (made.kind, made.base, made.point) == ("logical", None, "")
    shop.publish()
    latest, newest = backup.make(shop.settings), shop.look()
    # A role that may read, and is not on the server any more when it is restored.
    done = back(shop, backup_id=made.id)
    assert [r["holds"] for r in done] == [True] * len(done)
    assert shop.look() == then
    assert backup.known(shop.settings)[-1].id == latest.id
    postgres.create_database("recovery_of_another")
    shutil.rmtree(shop.settings.home)
    back(shop, latest.moment + timedelta(seconds=1), force=False)
    assert shop.look() == newest
    assert Ledger(backup.gold(shop.settings)).identity() == shop.identity()


KILLED = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
from lakehouse.recovery import restore
from lakehouse.settings import Settings

rename = Path.rename

def or_die(path, target):
    if path.name.startswith(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    return rename(path, target)

Path.rename = or_die
settings = Settings(home=Path(sys.argv[1]))
to = datetime.fromisoformat(sys.argv[3]) if sys.argv[3:] else None
choice = restore.choice(settings, to=to, latest=to is None)
restore.run(settings, choice, reason="killed", by_whom="tests", force=True)
"""


def killed(shop: Shop, before: str, *to: str) -> None:
    """A restore that is killed before a folder of this name is renamed."""
    ours = shop.ledger().identity()
    words = [sys.executable, "-c", KILLED, str(shop.settings.home), before, *to]
    assert subprocess.run(words, cwd=ROOT, stderr=subprocess.DEVNULL).returncode == -signal.SIGKILL
    assert shop.ledger().identity() != ours, "the ledger has been replaced, and the lake has not"


@pytest.mark.parametrize("before", ["lake", pytest.param("lake.restored-", marks=pytest.mark.slow)])
def test_a_restore_to_the_latest_that_is_killed_between_ledger_and_lake_is_brought_to_its_end_by_the_same_command(
    shop: Shop, before: str
) -> None:
    """Killed before the old lake is renamed, and before the new one takes its name."""
    shop.publish()
    backup.make(shop.settings)
    shop.publish()  # of which no backup has the files
    newest = shop.look()
    killed(shop, before)
    done = back(shop, latest=True)
    assert [r["holds"] for r in done] == [True] * len(done)
    assert shop.look() == newest
    assert shop.ledger().identity() == shop.identity()
    shop.publish()
    later = shop.look()
    back(shop, latest=True)
    assert shop.look() == later, "what was written down is over with the restore that wrote it"


@pytest.mark.slow
def test_a_restore_to_a_moment_that_is_killed_is_what_the_latest_means_until_it_has_come_to_its_end(shop: Shop) -> None:
    shop.publish()
    backup.make(shop.settings)
    moment, then = shop.publish(), shop.look()
    shop.publish()
    backup.make(shop.settings, full=True)  # of which the base is later than the moment
    killed(shop, "lake", moment.isoformat())
    back(shop, latest=True)
    assert shop.look() == then


def test_a_commit_of_which_the_answer_is_lost_is_asked_for(postgres: PostgresForTests, tmp_path: Path) -> None:
    dsn = postgres.create_database("recovery_of_a_lost_answer")
    with PostgresProxy(dsn) as proxy:
        shop = Shop(home=tmp_path / "home", gold_dsn=SecretStr(proxy.dsn))
        shop.publish()
        made, then = backup.make(shop.settings), shop.look()
        shop.publish()
        lost = proxy.lose_commit(of="update ops.settings set value")
        done = back(shop, backup_id=made.id)
        assert lost.hits == 1
        assert [r["holds"] for r in done] == [True] * len(done)
        assert shop.look() == then


def test_a_server_that_does_not_say_whether_it_has_committed_is_not_said_to_have_done_nothing(
    postgres: PostgresForTests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "ASK_SECONDS", 1)
    dsn = postgres.create_database("recovery_of_no_answer")
    shop = Shop(home=tmp_path / "home", gold_dsn=SecretStr(dsn))
    shop.publish()
    made, then = backup.make(shop.settings), shop.look()
    shop.publish()
    ours = shop.ledger().identity()
    with PostgresProxy(dsn) as proxy:
        proxy.lose_commit(of="update ops.settings set value").do = proxy.go_away
        through = Shop(home=tmp_path / "home", gold_dsn=SecretStr(proxy.dsn))
        with pytest.raises(StoreError, match=r"the server does not say whether they were.*give the same command again"):
            back(through, backup_id=made.id)
    assert shop.ledger().identity() != ours == shop.identity(), "the ledger has been replaced, and the lake has not"
    back(shop, backup_id=made.id)
    assert shop.look() == then

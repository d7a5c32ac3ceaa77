"""What a backup holds, what the next one adds, and what becomes of one that is killed, damaged or old."""

from __future__ import annotations

import gzip
import json
import logging
import signal
import stat
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from psycopg2.extensions import parse_dsn
from pydantic import SecretStr

from lakehouse.errors import BusyError, LedgerError, StoreError, UsageError
from lakehouse.recovery import backup
from lakehouse.recovery.kept import manifest as manifests
from lakehouse.recovery.kept.place import backups
from lakehouse.recovery.postgres import SCRIPT, direct
from lakehouse.recovery.trial import trial
from lakehouse.server.databases import database_url
from tests.conftest import ROOT
from tests.faults.wire import PostgresProxy
from tests.recovery.shop import Shop

pytestmark = pytest.mark.integration
SECRET = "s3cret-word-of-the-store"


def folder(shop: Shop) -> Path:
    return Path(shop.settings.backup_root.removeprefix("file://"))


def objects(shop: Shop) -> dict[str, int]:
    return {key: held.size for key, held in backups(shop.settings).names("objects/").items()}


def broken(checks: list[dict[str, object]]) -> list[object]:
    return [c["check"] for c in checks if c["holds"] != "yes"]


def test_a_lakehouse_without_anything_published_is_not_backed_up(kept: Shop) -> None:
    kept.server.dsn("ecommerce_gold")
    with pytest.raises(LedgerError, match="has published nothing yet"):
        backup.make(kept.settings)


def test_the_first_backup_is_whole_and_the_next_adds_what_is_new(kept: Shop) -> None:
    kept.publish()
    first = backup.make(kept.settings)
    before = objects(kept)
    kept.publish()
    told = backup.plan(kept.settings)
    second = backup.make(kept.settings)
    added = objects(kept).keys() - before.keys()
    assert (first.kind, second.kind) == ("full", "log")
    assert second.base == first.base, "the log goes on from the base that there is"
    assert told["kind"] == "log"
    # What was written again with the same content is read again, and not kept again.
    assert told["new_bytes"] >= sum(objects(kept)[key] for key in added) > 0
    assert not before.keys() - objects(kept).keys()
    assert second.pointers == {"bronze": {"orders": 1}, "silver": {"orders": 1}}
    assert second.new_bytes < first.new_bytes / 10


def test_a_server_of_ours_is_ours_by_another_port_of_the_machine_too(kept: Shop) -> None:
    """As by that of the front by which the stack speaks TLS: its log is kept, and no dump made in its place."""
    gold = database_url(kept.settings, "gold")
    with PostgresProxy(gold) as proxy:
        settings = kept.settings.model_copy(update={"gold_dsn": SecretStr(proxy.dsn)})
        assert backup.plan(settings)["kind"] == "log"
        through = f"{proxy.dsn}?sslmode=verify-full&sslrootcert=ca.pem"
        assert parse_dsn(direct(kept.server, through)) == parse_dsn(gold)


def test_the_ledger_knows_its_backups(kept: Shop) -> None:
    newest, older = kept.ledger().backups()
    made = backup.known(kept.settings)[-1]
    assert (newest["id"], newest["kind"], newest["state"]) == (made.id, "log", "done")
    assert newest["covers_until"] == made.moment
    assert newest["location"] == str(folder(kept))
    assert newest["bytes"] == made.new_bytes
    assert newest["started_at"] < newest["covers_until"] < newest["finished_at"]
    assert (older["kind"], older["state"]) == ("full", "done")


def test_a_backup_is_what_was_backed_up(kept: Shop) -> None:
    made, checks = trial(kept.settings)
    assert made.id == backup.known(kept.settings)[-1].id
    assert broken(checks) == []
    assert {"pointers", "gold.orders", "ops.runs", "bronze.orders", "silver.orders"} <= {c["check"] for c in checks}
    assert not list(kept.settings.home.glob("trial-*")), "nothing is left of it"


def test_other_accounts_read_nothing_of_it(kept: Shop) -> None:
    for path in (folder(kept), *folder(kept).rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) & 0o066 == 0, path
        if path.is_file():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_no_secret_is_in_a_backup_or_in_what_is_said_of_it(
    kept: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    caplog.set_level(logging.DEBUG)
    made = backup.make(kept.settings, full=True)
    passwords = [f.read_text() for f in kept.server.folder.glob("password*")]
    assert len(passwords) > 2, "that of the server, and one of each role"
    said = caplog.text + "".join(capfd.readouterr())
    for secret in (SECRET, *passwords):
        assert secret not in said
        for file in (f for f in folder(kept).rglob("*") if f.is_file()):
            held = file.read_bytes()
            held += zlib.decompressobj(31).decompress(held) if file.suffix == ".gz" else b""
            assert secret.encode() not in held, file
    assert made.secrets == ("AWS_SECRET_ACCESS_KEY",)
    assert "LAKEHOUSE_HOME" in made.settings


def test_two_backups_are_not_made_at_once(kept: Shop) -> None:
    before = len(backup.known(kept.settings))
    with kept.ledger().alone("backup"), pytest.raises(BusyError, match="another run of backup is at work"):
        backup.make(kept.settings)
    with kept.ledger().alone("bronze"), kept.ledger().alone("silver"), kept.ledger().alone("gold"):
        backup.make(kept.settings)  # a night that runs is not waited for
    assert len(backup.known(kept.settings)) == before + 1


def killed(shop: Shop, when: Iterator[bool]) -> None:
    """A backup in a process of its own that is killed at a moment."""
    code = "import sys; from pathlib import Path; from lakehouse.recovery import backup; from lakehouse.settings import Settings; backup.make(Settings(home=Path(sys.argv[1])), full=True)"
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(shop.settings.home)], cwd=ROOT, stderr=subprocess.DEVNULL
    )
    while not next(when):
        assert process.poll() is None, "it ended before it was killed"
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()


def base_begun(shop: Shop) -> Iterator[bool]:
    before = set(folder(shop).glob("backups/*"))
    while True:
        yield bool(set(folder(shop).glob("backups/*")) - before)


def lake_begun(shop: Shop) -> Iterator[bool]:
    before = {p: p.stat().st_ino for p in folder(shop).glob("objects/*/*")}
    while True:
        yield any(p.stat().st_ino != before.get(p) for p in folder(shop).glob("objects/*/*") if p.exists())


@pytest.mark.parametrize("begun", [pytest.param(base_begun, marks=pytest.mark.slow), lake_begun])
def test_a_backup_that_is_killed_is_none_and_the_next_is_whole(kept: Shop, begun: object) -> None:
    before = [m.id for m in backup.known(kept.settings)]
    killed(kept, begun(kept))  # type: ignore[operator]
    assert [m.id for m in backup.known(kept.settings)] == before
    kept.publish()
    made = backup.make(kept.settings)
    assert [m.id for m in backup.known(kept.settings)] == [*before, made.id]
    assert kept.ledger().backups()[1]["state"] == "abandoned"
    assert broken(trial(kept.settings)[1]) == []


def test_a_file_that_is_damaged_is_found_and_copied_again_by_a_full_backup(kept: Shop) -> None:
    made = backup.known(kept.settings)[-1]
    inventory = manifests.read_inventory(backups(kept.settings), made)
    name, file = next((k, f) for k, f in inventory["bronze"].items() if k.endswith(".parquet"))
    damaged = folder(kept) / manifests.object_key(file.sha256)
    held = damaged.read_bytes()
    damaged.write_bytes(held[:-1] + bytes([held[-1] ^ 1]))
    with pytest.raises(StoreError, match=f"{file.sha256} of the backups at .* is damaged"):
        trial(kept.settings)
    assert backup.make(kept.settings).kind == "log"
    backup.make(kept.settings, full=True)
    assert broken(trial(kept.settings)[1]) == [], name


@pytest.mark.slow
def test_a_damaged_list_of_files_or_base_is_found(kept: Shop) -> None:
    made = backup.make(kept.settings, full=True)
    assert made.base is not None
    for key, size in ((made.inventory.key, 40), (made.base.archive.key, 1000)):
        file = folder(kept) / key
        whole = file.read_bytes()
        file.write_bytes(whole[:size] + bytes([whole[size] ^ 1]) + whole[size + 1 :])
        with pytest.raises(StoreError, match="is damaged"):
            trial(kept.settings)
        file.unlink()
        with pytest.raises(StoreError, match="is gone"):
            trial(kept.settings)
        file.write_bytes(whole)
        file.chmod(0o600)


def test_the_archive_takes_a_file_of_the_log_twice_and_never_another_of_its_name(kept: Shop, tmp_path: Path) -> None:
    script = kept.server.data / SCRIPT
    text = script.read_text().replace(str(folder(kept) / "wal"), str(tmp_path))
    system = next((folder(kept) / "wal").iterdir()).name
    (tmp_path / system).mkdir()
    (tmp_path / "archive.sh").write_text(text)
    (tmp_path / "segment").write_bytes(b"one" * 1000)

    def archived() -> int:
        return subprocess.run(
            ["sh", "archive.sh", "segment", "000000010000000000000001"], cwd=tmp_path, check=False
        ).returncode

    assert archived() == 0
    assert archived() == 0
    (tmp_path / "segment").write_bytes(b"two" * 1000)
    assert archived() != 0
    assert gzip.decompress((tmp_path / system / "000000010000000000000001.gz").read_bytes()) == b"one" * 1000
    assert [f.name for f in (tmp_path / system).iterdir()] == ["000000010000000000000001.gz"]


def test_old_backups_go_with_what_only_they_need(kept: Shop) -> None:
    with pytest.raises(UsageError, match="at least one"):
        backup.prune(kept.settings, 0)
    kept.publish()
    newest = backup.make(kept.settings)
    assert newest.kind == "log"
    assert newest.base is not None
    backup.prune(kept.settings, 1)
    assert [m.id for m in backup.known(kept.settings)] == [newest.id]
    inventory = manifests.read_inventory(backups(kept.settings), newest)
    needed = {manifests.object_key(f.sha256) for files in inventory.values() for f in files.values()}
    assert objects(kept).keys() == needed
    assert (folder(kept) / newest.base.archive.key).exists(), "the base that its log goes on from stays"
    assert {b["state"] for b in kept.ledger().backups()} == {"done", "pruned", "abandoned"}
    assert broken(trial(kept.settings)[1]) == []
    assert backup.prune(kept.settings, 1) == (0, 0)


def test_a_base_of_a_week_ago_is_followed_by_another(kept: Shop) -> None:
    (only,) = backup.known(kept.settings)
    assert only.base is not None
    file = folder(kept) / f"backups/{only.id}/manifest.json"
    held = json.loads(file.read_text())
    held["base"]["finished_at"] = (datetime.fromisoformat(only.base.finished_at) - timedelta(days=8)).isoformat()
    file.write_text(json.dumps(held))
    assert backup.plan(kept.settings)["kind"] == "full"

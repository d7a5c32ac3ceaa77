"""Who is told of a run: files, or a real server of HTTP, which may refuse, or never answer. The run notices none of it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from lakehouse import log
from lakehouse.cli import app
from lakehouse.database import Database
from lakehouse.errors import ConfigError, StoreError, UsageError
from lakehouse.lineage.receiver import NotReceivedError, deliver
from lakehouse.lineage.telling import tell
from lakehouse.records import TableRun
from lakehouse.settings import Settings, secret_variables
from lakehouse.wiring import Lakehouse
from tests.lineage.conftest import DAY, Past
from tests.web_server import Handler, proxy, serving

pytestmark = pytest.mark.integration
GOLD_EVENTS = 6
# On a busy machine a thread may be late.
PATIENCE = 60.0


@pytest.fixture
def warnings() -> Iterator[list[dict[str, object]]]:
    said: list[dict[str, object]] = []
    log.listen(lambda name, facts: said.append({"name": name, **facts}))
    yield said
    log.unlisten()


@pytest.fixture
def lakehouse(past: Past, tmp_path: Path) -> Callable[[str | SecretStr], Lakehouse]:
    def make(setting: str | SecretStr) -> Lakehouse:
        settings = Settings(home=tmp_path / "home", timezone="UTC", lineage=setting)
        return Lakehouse(settings, gold_database=past.database, ledger=past.ledger)

    return make


class Collector(Handler):
    """Takes what is posted; the requests of a class of its own."""

    paths: list[str]
    events: list[dict[str, Any]]
    shown: list[str | None]
    status = 201

    def post(self, body: bytes) -> None:
        self.paths.append(self.path)
        self.shown.append(self.headers["Authorization"])
        self.events.append(json.loads(body))
        self.answer(self.status)


def collector(status: int = 201) -> type[Collector]:
    return type("OfThisTest", (Collector,), {"paths": [], "events": [], "shown": [], "status": status})


def test_a_run_becomes_a_file_of_its_own_which_is_replaced_when_it_is_told_again(
    past: Past, lakehouse: Any, tmp_path: Path
) -> None:
    for _ in range(2):
        tell(lakehouse("file"), past.runs["gold"])
    folder = tmp_path / "home" / "lineage"
    (file,) = folder.iterdir()
    assert file.name == f"{past.runs['gold']}.jsonl"
    assert len([json.loads(line) for line in file.read_text().splitlines()]) == GOLD_EVENTS
    assert folder.stat().st_mode & 0o077 == 0


def test_files_go_when_they_are_older_than_the_retention(past: Past, lakehouse: Any, tmp_path: Path) -> None:
    made = lakehouse("file")
    tell(made, past.runs["silver"])
    deliver(made.settings.model_copy(update={"retention": timedelta(seconds=-1)}), past.runs["gold"], ["{}"])
    assert list((tmp_path / "home" / "lineage").iterdir()) == []


def test_each_event_is_posted_to_where_openlineages_servers_listen(past: Past, lakehouse: Any) -> None:
    taker = collector()
    with serving(taker) as url:
        made = lakehouse(SecretStr(url))
        made.tell_lineage(past.runs["gold"])
        made._teller.finish(PATIENCE)
    assert taker.paths == ["/api/v1/lineage"] * GOLD_EVENTS
    assert taker.events[0]["eventType"] == "START"
    assert taker.events[-1]["job"]["name"] == "lakehouse.gold"


def test_an_address_with_a_path_is_used_as_it_is(past: Past, lakehouse: Any) -> None:
    taker = collector()
    with serving(taker) as url:
        tell(lakehouse(SecretStr(f"{url}/openlineage?team=shop")), past.runs["gold"])
    assert set(taker.paths) == {"/openlineage?team=shop"}


def test_a_server_that_answers_500_is_asked_once_and_warned_of(past: Past, lakehouse: Any, warnings: list[Any]) -> None:
    taker = collector(500)
    with serving(taker) as url:
        made = lakehouse(SecretStr(url.replace("http://", "http://user:hush@")))
        made.tell_lineage(past.runs["gold"])
        made._teller.finish(PATIENCE)
    assert len(taker.events) == 1
    assert warnings == [
        {
            "name": "lineage.not_sent",
            "run_id": past.runs["gold"],
            "message": f"it answered 500 to event 1 of {GOLD_EVENTS}",
        }
    ]


def test_a_server_that_never_answers_delays_neither_the_run_nor_for_long_the_end(
    past: Past, lakehouse: Any, warnings: list[Any]
) -> None:
    over = threading.Event()

    class Silent(Handler):
        def post(self, body: bytes) -> None:
            over.wait(30)

    with serving(Silent) as url:
        made = lakehouse(SecretStr(url))
        began = time.monotonic()
        for name in ("bronze", "silver", "gold"):
            made.tell_lineage(past.runs[name])
        told = time.monotonic()
        made._teller.finish(0.5)
        ended = time.monotonic()
        over.set()
    # One request alone would be waited for three seconds, and there are three runs.
    assert told - began < 2
    assert ended - told < 2.5
    assert [w["message"] for w in warnings] == ["the receiver had not taken every event when the process ended"]


def test_no_word_of_a_failure_holds_the_address(past: Past, lakehouse: Any) -> None:
    with pytest.raises(NotReceivedError) as refused:
        tell(lakehouse(SecretStr("http://user:hush@127.0.0.1:1/secret")), past.runs["gold"])
    assert str(refused.value) == "ConnectError"


def test_a_home_that_cannot_be_written_is_an_error_in_words(past: Past, lakehouse: Any, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(mode=0o700)
    (tmp_path / "home" / "lineage").write_text("in the way")
    with pytest.raises(NotReceivedError, match="File exists"):
        tell(lakehouse("file"), past.runs["gold"])


def test_off_is_the_default_and_tells_nobody(past: Past, tmp_path: Path) -> None:
    made = Lakehouse(Settings(home=tmp_path / "home", timezone="UTC"), gold_database=past.database, ledger=past.ledger)
    made.tell_lineage(past.runs["gold"])
    assert "_teller" not in made.__dict__
    assert not (tmp_path / "home").exists()


@pytest.fixture
def command(past: Past, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    def invoke(*arguments: str, setting: str = "") -> Any:
        monkeypatch.setenv("LAKEHOUSE_LINEAGE", setting)
        return CliRunner().invoke(app, ["lineage", *arguments])

    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LAKEHOUSE_TIMEZONE", "UTC")
    monkeypatch.setenv("LAKEHOUSE_GOLD_DSN", past.database._dsn)
    monkeypatch.setenv("LAKEHOUSE_SOURCE_DSN", "postgresql://reader:hush@shop.example:5433/web")
    return invoke


def test_the_command_prints_the_events_of_a_date_without_a_secret(past: Past, command: Any) -> None:
    shown = command("--date", str(DAY))
    assert shown.exit_code == 0, shown.output
    found = [json.loads(line) for line in shown.output.splitlines()]
    tags = [t["value"] for e in found for t in e["run"]["facets"]["tags"]["tags"] if t["key"] == "ledger_run"]
    assert list(dict.fromkeys(tags)) == list(past.runs.values()), "every run, in its order"
    assert "hush" not in shown.output
    assert "postgres://shop.example:5433" in shown.output


def test_the_command_sends_again_or_says_what_it_would_send(past: Past, command: Any) -> None:
    taker = collector()
    with serving(taker) as url:
        dry = command("--run", past.runs["gold"], "--send", "--dry-run", setting=url)
        # The thread of a run before it may have its own word in between, of a receiver that has gone.
        assert f"{GOLD_EVENTS} events of 1 runs would be sent" in dry.output.splitlines()
        assert taker.events == []
        assert command("--run", past.runs["gold"], "--send", setting=url).exit_code == 0
    assert len(taker.events) == GOLD_EVENTS


def test_events_that_are_sent_again_name_the_task_that_had_started_the_run(
    postgres: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a process of which the environment names no task."""
    task = {"DAG_ID": "daily_gold_load", "TASK_ID": "load", "TRY_NUMBER": "2", "LOGICAL_DATE": "2026-03-11T05:00:00+00:00"}  # fmt: skip
    past, loaded = Past(Database(postgres.create_database("lineage_of_a_task"), "gold", StoreError)), {"gold": [TableRun("dim_customers", 1, 2, 2)]}  # fmt: skip
    for name, value in task.items():
        monkeypatch.setenv(f"AIRFLOW_CTX_{name}", value)
    past.run("by a task", "gold", loaded)
    for name in task:
        monkeypatch.delenv(f"AIRFLOW_CTX_{name}")
    past.run("by hand", "gold", loaded)
    taker = collector()
    with serving(taker) as url:
        settings = Settings(home=tmp_path / "home", timezone="UTC", lineage=SecretStr(url))
        for run in past.runs.values():
            tell(Lakehouse(settings, gold_database=past.database, ledger=past.ledger), run)
    past.database.close()
    of_layer = [e for e in taker.events if e["job"]["name"] == "lakehouse.gold"]
    parents = [e["run"]["facets"].get("parent", {}).get("job", {}).get("name") for e in of_layer]
    assert parents == ["daily_gold_load.load"] * 2 + [None] * 2


def test_a_receiver_is_shown_the_token_and_nobody_else_is(past: Past, lakehouse: Any, warnings: list[Any]) -> None:
    taker = collector()
    with serving(taker) as url:
        made = lakehouse(SecretStr(url))
        tell(made, past.runs["gold"])
        settings = made.settings.model_copy(update={"lineage_token": SecretStr("hush")})
        deliver(settings, past.runs["gold"], ["{}"])
        with pytest.raises(NotReceivedError) as refused:
            deliver(settings.model_copy(update={"lineage": SecretStr("http://127.0.0.1:1")}), "gold-1", ["{}"])
    assert taker.shown == [None] * GOLD_EVENTS + ["Bearer hush"]
    assert "hush" not in f"{refused.value}{settings!r}{warnings}"
    assert "LAKEHOUSE_LINEAGE_TOKEN" in secret_variables()


def test_a_receiver_on_loopback_is_told_past_the_proxy_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taker = collector()
    with serving(taker) as url, proxy(monkeypatch) as seen:
        for address in (url, "http://lineage.example.com/take"):
            settings = Settings(home=tmp_path, lineage=SecretStr(address), lineage_token=SecretStr("hush"))
            with nullcontext() if address == url else pytest.raises(NotReceivedError, match="502"):
                deliver(settings, "gold-1", ["{}"])
    assert (taker.shown, seen) == (["Bearer hush"], ["http://lineage.example.com/take"])


@pytest.mark.parametrize(
    ("arguments", "setting", "error", "words"),
    [
        ((), "", UsageError, "name a run by --run, or a day by --date"),
        (("--date", "2026-03-09", "--dry-run"), "", UsageError, "--dry-run goes with --send"),
        (("--run", "x", "--date", str(DAY)), "", UsageError, "name a run"),
        (("--run", "gold-x"), "", UsageError, "the ledger knows no run gold-x that has ended"),
        (("--date", "2019-01-01"), "", UsageError, "no run for 2019-01-01"),
        (("--date", str(DAY), "--send"), "", ConfigError, "LAKEHOUSE_LINEAGE is off"),
        (("--date", str(DAY), "--send"), "http://127.0.0.1:1", StoreError, "were not taken: ConnectError"),
        (("--date", str(DAY)), "everything", ConfigError, "LAKEHOUSE_LINEAGE: "),
    ],
)
def test_the_command_refuses_in_words(
    command: Any, arguments: tuple[str, ...], setting: str, error: Any, words: str
) -> None:
    refused = command(*arguments, setting=setting).exception
    assert isinstance(refused, error)
    assert words in str(refused)

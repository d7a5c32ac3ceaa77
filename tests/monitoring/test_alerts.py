"""An alert on its way from a run that failed to a person: the real servers, and what is told how often."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from lakehouse.errors import SourceError
from lakehouse.monitoring.alerts import Alert, Told, handle
from lakehouse.monitoring.server import alerts_server
from lakehouse.settings import Settings
from tests.conftest import free_port
from tests.monitoring.conftest import Nights
from tests.monitoring.victoria import running
from tests.monitoring.watching import LAKEHOUSE, until, watched
from tests.web_server import Handler, receiver, serving

pytestmark = pytest.mark.integration
NOW = datetime(2026, 1, 31, 7, tzinfo=UTC)


@pytest.mark.slow
def test_a_failed_run_is_one_alert_and_one_more_when_the_next_ends_well(nights: Nights, tmp_path: Path) -> None:
    received: list[dict[str, Any]] = []
    nights.publish("silver", date(2026, 1, 30), orders=1)
    with receiver(received) as webhook, watched(nights.dsn, tmp_path, webhook) as servers:
        with servers.alerts():
            time.sleep(3)
            assert received == []
            nights.fail("silver", date(2026, 1, 31), SourceError("the source is away"))
            until(lambda: received)
            time.sleep(5)
        # Started again, it knows what it has told; vmalert goes on posting.
        with servers.alerts():
            time.sleep(3)
            assert [(r["event"], r["alert"], r["where"]) for r in received] == [
                ("alert", "LayerFailed", {"layer": "silver"})
            ]
            nights.publish("silver", date(2026, 1, 31), orders=1)
            until(lambda: len(received) > 1)
            time.sleep(3)
    assert [r["event"] for r in received] == ["alert", "resolved"]
    assert received[0]["title"] == "The newest run of silver failed"
    assert received[1]["title"] == "Over: The newest run of silver failed"
    assert received[0]["runbook"] == "docs/runbook.md#layer-failed"
    assert received[0]["text"].splitlines()[0] == received[0]["title"]


# What is told when, without the servers in front of it.


def alert(name: str = "GoldLate", ends: timedelta = timedelta(minutes=2), **labels: str) -> Alert:
    times = {"startsAt": NOW.isoformat(), "endsAt": (NOW + ends).isoformat()}
    return Alert.model_validate({"labels": {"alertname": name, **labels}, "annotations": {"summary": name}, **times})


OVER = timedelta(minutes=-1)


class World:
    """What was told, with a receiver that can be broken."""

    def __init__(self, folder: Path, webhook: str) -> None:
        self.folder, self.waits = folder, list[float]()
        self.settings = Settings(home=folder, alert_webhook=webhook)
        self.told = Told(folder / "alerts.json")

    def post(self, *alerts: Alert, at: datetime = NOW) -> int:
        return handle(alerts, self.told, self.settings, at, self.waits.append)


@pytest.fixture
def received() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def world(tmp_path: Path, received: list[dict[str, Any]]) -> Iterator[World]:
    with receiver(received) as webhook:
        yield World(tmp_path, webhook)


def test_an_alert_is_told_once_and_another_place_is_another_alert(world: World, received: list[dict[str, Any]]) -> None:
    assert world.post(alert(layer="gold"), alert(layer="silver")) == 2
    assert world.post(alert(layer="gold"), alert(layer="silver"), at=NOW + timedelta(seconds=30)) == 0
    assert [r["where"] for r in received] == [{"layer": "gold"}, {"layer": "silver"}]


def test_what_is_over_is_told_once_and_only_where_its_beginning_was(
    world: World, received: list[dict[str, Any]]
) -> None:
    assert world.post(alert(ends=OVER)) == 0
    world.post(alert())
    assert world.post(alert(ends=OVER)) == 1
    assert world.post(alert(ends=OVER)) == 0
    assert world.post(alert()) == 1
    assert [r["event"] for r in received] == ["alert", "resolved", "alert"]


def test_a_restart_forgets_nothing_but_what_was_not_heard_of_for_a_day(world: World, tmp_path: Path) -> None:
    world.post(alert(layer="gold"))
    world.told = Told(tmp_path / "alerts.json")
    assert world.post(alert(layer="gold")) == 0
    world.post(alert(layer="silver"), at=NOW + timedelta(hours=30))
    world.told = Told(tmp_path / "alerts.json")
    assert world.post(alert(layer="gold"), at=NOW + timedelta(hours=30)) == 1


def test_a_receiver_that_is_away_is_tried_again_and_told_with_a_later_post(tmp_path: Path) -> None:
    answers, posted = iter([503, 503, 503, 503, 503, 204]), list[bytes]()

    class Tired(Handler):
        def post(self, body: bytes) -> None:
            posted.append(body)
            self.answer(next(answers))

    with serving(Tired) as url:
        world = World(tmp_path, url)
        assert world.post(alert()) == 0
        assert world.waits == [1, 2, 4]
        assert world.post(alert()) == 1
        assert len(posted) == 6


def test_a_post_that_had_to_wait_for_a_slow_receiver_is_of_the_moment_at_which_it_came(tmp_path: Path) -> None:
    received, goes_on = list[dict[str, Any]](), threading.Event()

    class Slow(Handler):
        def post(self, body: bytes) -> None:
            goes_on.wait(60)
            received.append(json.loads(body))
            self.answer(204)

    def post(*names: str) -> datetime:
        # Long enough to arrive in, on a machine that is busy.
        ends_at = datetime.now(UTC) + timedelta(seconds=5)
        posted = [
            {"labels": {"alertname": n}, "startsAt": NOW.isoformat(), "endsAt": ends_at.isoformat()} for n in names
        ]
        assert httpx.post(f"{url}/api/v2/alerts", json=posted).status_code == 200
        return ends_at

    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with (
        serving(Slow) as webhook,
        alerts_server(Settings(home=tmp_path, alert_webhook=webhook), "127.0.0.1", port) as server,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        post("GoldLate")
        last = post("GoldLate")
        until(lambda: datetime.now(UTC) > last)
        post("NoRun")
        goes_on.set()
        until(lambda: len(received) > 1)
        server.shutdown()
    assert [(r["event"], r["alert"]) for r in received] == [("alert", "GoldLate"), ("alert", "NoRun")]


def test_nothing_that_a_terminal_would_obey_is_told(world: World, received: list[dict[str, Any]]) -> None:
    world.post(alert("Gold\x1b[2JLate", table="a\nb"))
    assert received[0]["alert"] == "Gold [2JLate"
    assert received[0]["where"] == {"table": "a b"}


def test_what_is_no_list_of_alerts_is_refused_and_the_server_lives_on(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with running([LAKEHOUSE, "metrics", "alerts", "--port", str(port)], f"{url}/health", tmp_path / "log",
                 LAKEHOUSE_HOME=str(tmp_path)):  # fmt: skip
        assert httpx.post(f"{url}/api/v2/alerts", content=b'{"labels": 1}').status_code == 400
        assert httpx.post(f"{url}/api/v1/alerts", content=b"[]").status_code == 404
        assert httpx.post(f"{url}/api/v2/alerts", content=json.dumps([]).encode()).status_code == 200
        assert httpx.get(f"{url}/health").status_code == 200
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with serving(Handler) as url:
        port = url.rpartition(":")[2]
        environment = {"PATH": os.defpath, "LAKEHOUSE_HOME": str(tmp_path)}
        done = subprocess.run([LAKEHOUSE, "metrics", "alerts", "--port", port], env=environment, capture_output=True)
    assert done.returncode == 3
    assert f"127.0.0.1:{port} cannot be served on" in done.stderr.decode()

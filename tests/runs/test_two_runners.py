"""Two runners at one layer, on a real ledger: the one that comes second never works from what it saw before its turn."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from lakehouse.business_date import BusinessDate
from lakehouse.database import Database
from lakehouse.errors import BusyError, StoreError
from lakehouse.ledger import Ledger
from lakehouse.runs import day as days
from tests.fakes import FakeGold, FakeLake, Steps, fake_lakehouse, replace_bodies

pytestmark = pytest.mark.integration


def on(day: int) -> BusinessDate:
    return BusinessDate(date(2020, 1, day), ZoneInfo("UTC"))


class Held(Steps):
    """Steps of which one waits until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.at, self.reached, self.go = "", threading.Event(), threading.Event()

    def __call__(self, step: str) -> None:
        super().__call__(step)
        if step == self.at:
            self.at = ""
            self.reached.set()
            assert self.go.wait(60)


class Shop:
    """One lake's tables and one gold; each runner has connections of its own to one ledger."""

    def __init__(self, dsn: str, home: Path) -> None:
        self.dsn, self.home, self.steps = dsn, home, Held()
        self.tables: dict[tuple[str, str], Any] = {}
        self.gold, self.made = FakeGold(self.steps), list[Ledger]()
        # A step of the warehouse that every gold run comes by.
        self.gold.prepare = lambda: self.steps("write gold")

    def runner(self) -> Any:
        ledger = Ledger(Database(self.dsn, "gold", StoreError))
        self.made.append(ledger)
        lake = FakeLake(self.steps)
        lake.tables = self.tables
        return fake_lakehouse(self.home, ledger=ledger, lake=lake, gold=self.gold)

    def commits(self) -> dict[tuple[str, str], int]:
        return {at: len(held) for at, held in self.tables.items()}


@pytest.fixture
def shop(postgres: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    replace_bodies(monkeypatch)
    made = Shop(postgres.create_database(f"two_runners_{tmp_path.name[-20:]}"), tmp_path)
    yield made
    for ledger in made.made:
        ledger.database.close()


@pytest.mark.parametrize("layer", ["bronze", "silver", "gold"])
def test_while_one_is_at_work_another_is_told_so_and_then_finds_the_day_covered(shop: Shop, layer: str) -> None:
    first, second = shop.runner(), shop.runner()
    for earlier in ("bronze", "silver", "gold")[: ("bronze", "silver", "gold").index(layer)]:
        days.run(first, earlier, on(2))
    before, outcomes = shop.commits(), list[Any]()
    shop.steps.at = "write gold" if layer == "gold" else f"write {layer}.orders"
    work = threading.Thread(target=lambda: outcomes.extend(days.run(first, layer, on(2))))
    work.start()
    assert shop.steps.reached.wait(60)

    for _ in range(2):
        with pytest.raises(BusyError, match=f"another run of {layer} is at work"):
            days.run(second, layer, on(2))
    shop.steps.go.set()
    work.join(60)
    outcomes += days.run(second, layer, on(2))

    assert [o.state for o in outcomes] == ["published", "covered"]
    written = {at: n - before.get(at, 0) for at, n in shop.commits().items() if n != before.get(at, 0)}
    assert set(written.values()) <= {1}, "nothing is appended twice"
    found = {(r["state"], r["error_code"]) for r in second.ledger.recent() if r["layer"] == layer}
    assert found == {("published", None), ("failed", 10), ("covered", None)}


def test_a_gold_that_was_refused_does_not_bring_an_older_silver_over_a_newer(shop: Shop) -> None:
    first, second = shop.runner(), shop.runner()
    days.run(first, "day", on(2))
    days.run(first, "bronze", on(3))
    days.run(first, "silver", on(3))
    shop.steps.at = "write gold"
    work = threading.Thread(target=lambda: days.run(first, "gold", on(3)))
    work.start()
    assert shop.steps.reached.wait(60)
    # It asks for the older day while the newer is at work.
    with pytest.raises(BusyError):
        days.run(second, "gold", on(2))
    shop.steps.go.set()
    work.join(60)
    assert days.run(second, "gold", on(2))[0].state == "covered"
    last = second.ledger.last("gold")
    assert last is not None
    assert (last.as_of, last.inputs["orders"]) == (
        date(2020, 1, 3),
        second.ledger.published("silver")["orders"].version,
    )


def test_a_silver_that_was_refused_judges_what_came_meanwhile_and_nothing_twice(shop: Shop) -> None:
    first, second = shop.runner(), shop.runner()
    days.run(first, "bronze", on(2))
    shop.steps.at = "write silver.orders"
    work = threading.Thread(target=lambda: days.run(first, "silver", on(2)))
    work.start()
    assert shop.steps.reached.wait(60)
    # Bronze brings a day while silver is at work: it is not what silver is judging.
    days.run(second, "bronze", on(3))
    with pytest.raises(BusyError):
        days.run(second, "silver", on(3))
    shop.steps.go.set()
    work.join(60)
    left = second.ledger.pending(["orders"])["orders"]
    assert [e.business_date for e in left] == [date(2020, 1, 3)]
    days.run(second, "silver", on(3))
    assert second.ledger.pending(["orders"])["orders"] == []
    assert shop.commits()["silver", "orders"] == shop.commits()["quarantine", "orders"] == 2

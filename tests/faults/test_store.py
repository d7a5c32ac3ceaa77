"""A store of objects that is busy, breaks off or forgets to answer, while a day goes through all layers."""

from __future__ import annotations

import time
from typing import Any

import pytest

from lakehouse.errors import StoreError
from tests.conftest import MinioForTests
from tests.faults.proxy import FaultProxy, Rule
from tests.faults.world import DATA, ENTRIES, Trial, World

pytestmark = [pytest.mark.e2e]

# Each class of call that a day makes: method, key, query.
CALLS: dict[str, tuple[str, str, str]] = {
    "list": ("GET", "*", "*list-type=2*"),
    "look": ("HEAD", "*", "*"),
    "read an entry": ("GET", ENTRIES, "*"),
    "read data": ("GET", DATA, "*"),
    "write data": ("PUT", DATA, "*"),
    "commit": ("PUT", ENTRIES, "*"),
    "delete": ("DELETE", "*", "*"),
}
# A store that is out of order for good: what of it, and which layer meets it first.
FOR_EVER = {
    "read": lambda proxy: proxy.answer(500, "GET", "*/silver/" + DATA),
    "write": lambda proxy: proxy.answer(503, "PUT", "*/silver/" + DATA),
    "commit": lambda proxy: proxy.answer(500, "PUT", "*/silver/" + ENTRIES),
}
# Of one refusal s3a makes (1 + 5) × (1 + 5) requests; with its own pauses of 1 to 16 seconds it is given up before this.
GIVEN_UP_SECONDS = 240


@pytest.mark.slow
@pytest.mark.fault("F4")
def test_a_day_whose_every_commit_loses_its_reply_makes_each_version_once(trial: Trial, minio: MinioForTests) -> None:
    lost = trial.proxy.drop_reply("PUT", ENTRIES, times=1, each=True)
    trial.run(2)
    assert lost.hits == len(lost.of_key) > 8
    trial.ends_well(minio)


@pytest.mark.slow
@pytest.mark.fault("F5")
@pytest.mark.parametrize("times", [5, 1, 3])
def test_every_class_of_call_is_tried_again_when_the_store_is_busy(
    trial: Trial, minio: MinioForTests, times: int
) -> None:
    rules = {
        name: trial.proxy.answer(503, method, key, query=query, times=times)
        for name, (method, key, query) in CALLS.items()
    }
    trial.run(2)
    met = {name: rule.hits for name, rule in rules.items() if name != "delete"}
    assert met == dict.fromkeys(met, times)
    trial.ends_well(minio)


@pytest.mark.slow
@pytest.mark.fault("F6")
@pytest.mark.parametrize("what", ["commit", "read", "write"])
def test_a_store_out_of_order_for_good_fails_the_day_with_7_and_the_next_try_ends_it(
    trial: Trial, minio: MinioForTests, what: str
) -> None:
    rule = FOR_EVER[what](trial.proxy)
    began = time.monotonic()
    error = trial.refused()
    assert time.monotonic() - began < GIVEN_UP_SECONDS
    assert isinstance(error, StoreError), error
    assert rule.hits > 5
    trial.proxy.clear()
    trial.run(2)
    trial.ends_well(minio)


@pytest.mark.slow
@pytest.mark.fault("F6")
def test_with_the_pauses_of_the_project_it_is_given_up_in_a_set_time(world: World, minio: MinioForTests) -> None:
    own = {f"fs.s3a.retry{kind}.interval": "1s" for kind in ("", ".throttle")}
    with world.trial(minio, options=own) as trial:
        trial.proxy.answer(503, "PUT", "*/bronze/" + DATA)
        began = time.monotonic()
        assert isinstance(trial.refused(), StoreError)
        assert time.monotonic() - began < GIVEN_UP_SECONDS


def _cut(proxy: FaultProxy, **when: Any) -> Rule:
    return proxy.truncate(100, "GET", DATA, **when)


def _break(proxy: FaultProxy, **when: Any) -> Rule:
    return proxy.reset("GET", DATA, **when)


@pytest.mark.fault("F7")
@pytest.mark.parametrize("fault", [_cut, pytest.param(_break, marks=pytest.mark.slow)], ids=["truncated", "reset"])
def test_data_that_break_off_are_read_again_and_never_taken_for_short_data(
    trial: Trial, minio: MinioForTests, fault: Any
) -> None:
    rule = fault(trial.proxy, times=3)
    trial.run(2)
    assert rule.hits == 3
    trial.ends_well(minio)


@pytest.mark.slow
@pytest.mark.fault("F7")
def test_data_that_always_break_off_fail_the_day(trial: Trial, minio: MinioForTests) -> None:
    rule = trial.proxy.truncate(100, "GET", "*/silver/" + DATA)
    assert isinstance(trial.refused(), StoreError)
    assert rule.hits > 1
    trial.proxy.clear()
    trial.run(2)
    trial.ends_well(minio)

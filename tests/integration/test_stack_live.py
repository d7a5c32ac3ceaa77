"""The live layer beside the whole stack, on its buckets: `make up LIVE=1`."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import passable_folder
from tests.e2e.stack import LOOPBACK, AirflowForTests, StackForTests, running_stack

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(1800)]
LINE = ("insert into order_items (order_item_id, order_id, quantity, unit_price, discount, created_at, updated_at) "
        "values ('{}', 'live', 2, 3.5, 0, now(), now())")  # fmt: skip


@pytest.fixture(scope="module")
def stack() -> Iterator[StackForTests]:
    with passable_folder() as folder, running_stack(folder, LAKEHOUSE_LIVE="1", LAKEHOUSE_LIVE_TRIGGER="PT5S") as stack:
        yield stack


def said(stack: StackForTests, *words: str) -> Any:
    done = stack.run("lakehouse", *words, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def lines(stack: StackForTests) -> int:
    return int(said(stack, "live", "today")["lines"])


def test_its_parts_are_healthy_and_listen_on_this_machine_only(stack: StackForTests) -> None:
    told = json.loads(stack.run("status", "--json").stdout)
    assert told["healthy"]
    assert {"kafka", "connect", "live"} <= {part["name"] for part in told["parts"]}
    assert {address for _, address, _ in stack.listeners()} <= LOOPBACK


def test_every_sale_is_there_also_after_the_stream_was_killed(stack: StackForTests) -> None:
    def all_there() -> bool:
        [(held,)] = stack.query("ecommerce_source", "select count(*) from order_items")
        return lines(stack) == held

    AirflowForTests.until("the sample is there, by Debezium's snapshot", all_there, 600)
    stack.query("ecommerce_source", LINE.format("live1"))
    AirflowForTests.until("the sale is there", all_there, 300)

    killed = stack.pid_of("live")
    os.killpg(os.getpgid(killed), signal.SIGKILL)
    stack.query("ecommerce_source", LINE.format("live2"))
    AirflowForTests.until("both are there", all_there, 300)
    assert stack.pid_of("live") not in (0, killed)
    assert said(stack, "live", "status")["connector"] == "RUNNING"

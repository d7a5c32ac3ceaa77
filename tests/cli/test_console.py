"""What the command prints for programs."""

from __future__ import annotations

import json
from datetime import date

import pytest

from lakehouse.cli.console import print_outcomes
from lakehouse.records import Outcome, TableRun

pytestmark = pytest.mark.unit


def test_what_is_kept_for_the_next_run_alone_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    table = TableRun("orders", 3, 10, keys_seen="2026-01-02T00:00:00+00:00 crc-32/UTF8/order_id 7:ab")
    print_outcomes([Outcome("bronze", date(2026, 1, 1), "r1", "published", "10 rows", 1.5, [table])], as_json=True)
    (shown,) = json.loads(capsys.readouterr().out)
    assert shown["tables"][0]["rows_read"] == 10
    assert "keys_seen" not in shown["tables"][0]

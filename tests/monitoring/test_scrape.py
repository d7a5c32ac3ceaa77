"""What a scrape says of a ledger that runs have filled, and of one that is away, empty or of another release."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from lakehouse.errors import BusyError, GateError
from lakehouse.ledger.migrations import files
from lakehouse.monitoring.collector import OF_A_SCRAPE, OF_MEASURES, questions
from lakehouse.records import Finding
from tests.monitoring.conftest import Nights, Scraped, value

pytestmark = pytest.mark.integration
DAY = date(2026, 1, 31)


def broken(table: str, rule: str, severity: Any = "critical", *, success: bool = False) -> Finding:
    return Finding("silver", table, rule, severity, success, 3, 100)


def test_a_night_is_counted_by_layer_state_table_and_reason(nights: Nights, scraped: Scraped) -> None:
    nights.publish("bronze", DAY, orders=120, customers=10)
    nights.publish("silver", DAY, orders={"read": 120, "missing_customer": 2, "no_date": 1})
    nights.publish("gold", DAY, fact_daily_sales=50)
    found = scraped(nights.dsn)

    assert value(found, "lakehouse_ledger_up") == value(found, "lakehouse_postgres_up") == 1
    assert value(found, "lakehouse_runs", layer="gold", state="published") == 1
    for outcome, rows in {"read": 120, "kept": 117, "quarantined": 3}.items():
        assert value(found, "lakehouse_last_run_rows", layer="silver", table="orders", outcome=outcome) == rows
    assert value(found, "lakehouse_table_rows", layer="bronze", table="orders") == 120
    assert value(found, "lakehouse_quarantine_rows", table="orders", reason="missing_customer") == 2
    assert value(found, "lakehouse_quarantine_open_rows", table="orders") == 3
    assert value(found, "lakehouse_table_written_bytes_total", layer="bronze", table="orders") == 12_000
    assert value(found, "lakehouse_last_run_failed", layer="gold") == 0
    assert (value(found, "lakehouse_last_run_seconds", layer="gold") or 0) > 0


def test_freshness_is_the_last_success_and_the_day_in_the_shops_zone(nights: Nights, scraped: Scraped) -> None:
    began = datetime.now(UTC).timestamp()
    nights.execute("update ops.settings set value = 'Europe/Berlin' where name = 'timezone'")
    nights.publish("gold", DAY, fact_daily_sales=50)
    # A day of before that is brought again does not make gold older.
    nights.publish("gold", date(2026, 1, 2), fact_daily_sales=50)
    found = scraped(nights.dsn)
    midnight = datetime(2026, 1, 30, 23, tzinfo=UTC).timestamp()
    assert value(found, "lakehouse_layer_business_date_timestamp_seconds", layer="gold") == midnight
    for name in ("published", "succeeded"):
        at = value(found, f"lakehouse_layer_{name}_timestamp_seconds", layer="gold") or 0
        assert began <= at <= datetime.now(UTC).timestamp()


def test_a_failed_run_is_seen_until_the_next_one_that_ends_well_and_a_busy_one_is_no_failure(
    nights: Nights, scraped: Scraped
) -> None:
    nights.publish("silver", DAY, orders=1)
    nights.ledger.refused("silver", DAY, BusyError("another run of silver is at work"))
    assert value(scraped(nights.dsn), "lakehouse_last_run_failed", layer="silver") == 0
    nights.fail("silver", DAY, GateError("the gate refused"), broken("orders", "key_unique"))
    assert value(scraped(nights.dsn), "lakehouse_last_run_failed", layer="silver") == 1
    nights.publish("silver", DAY, orders=1)
    assert value(scraped(nights.dsn), "lakehouse_last_run_failed", layer="silver") == 0


def test_broken_rules_are_those_of_the_newest_judged_run_and_met_ones_are_a_zero(
    nights: Nights, scraped: Scraped
) -> None:
    nights.fail("silver", DAY, GateError("refused"), broken("orders", "key_unique"), broken("orders", "few", "warning"))
    found = scraped(nights.dsn)
    assert value(found, "lakehouse_broken_rules", layer="silver", table="orders", severity="critical") == 1
    assert value(found, "lakehouse_broken_rules", layer="silver", table="orders", severity="warning") == 1
    nights.publish("silver", DAY, (broken("orders", "key_unique", success=True),), orders=1)
    found = scraped(nights.dsn)
    assert value(found, "lakehouse_broken_rules", layer="silver", table="orders", severity="critical") == 0
    assert value(found, "lakehouse_broken_rules", layer="silver", table="orders", severity="warning") is None


def test_drift_is_counted_without_the_name_that_the_source_gave_a_column(nights: Nights, scraped: Scraped) -> None:
    drift = Finding("bronze", "orders", "schema_new_ada@example.com", "warning", False, None, None)
    nights.publish("bronze", DAY, (drift,), orders=1)
    found = scraped(nights.dsn)
    assert value(found, "lakehouse_schema_drift", table="orders", severity="warning") == 1
    assert [key for key in found if "ada" in str(key)] == []


def test_backups_are_told_once_the_ledger_has_a_table_of_them(nights: Nights, scraped: Scraped) -> None:
    nights.execute("drop table if exists ops.backups")
    assert not any(name.startswith("lakehouse_backup") for name, _ in scraped(nights.dsn))
    nights.execute(
        "create table ops.backups (id text, kind text, started_at timestamptz, finished_at timestamptz, state text, "
        "bytes bigint, covers_until timestamptz, location text)"
    )
    nights.execute(
        "insert into ops.backups values "
        "('1', 'full', now(), '2026-01-31 02:00+00', 'done', 7, '2026-01-31 01:00+00', 'there'), "
        "('2', 'full', now(), '2026-02-01 02:00+00', 'failed', null, null, 'there'), "
        "('3', 'full', now(), null, 'running', null, null, 'there')"
    )
    found = scraped(nights.dsn)
    at = datetime(2026, 1, 31, 2, tzinfo=UTC).timestamp()
    assert value(found, "lakehouse_backup_finished_timestamp_seconds", kind="full") == at
    assert value(found, "lakehouse_backup_covers_until_timestamp_seconds") == at - 3600
    assert value(found, "lakehouse_backup_bytes", kind="full") == 7


def test_postgres_tells_of_itself(nights: Nights, scraped: Scraped) -> None:
    found = scraped(nights.dsn)
    for name in ("max_connections", "database_bytes", "is_standby"):
        assert value(found, f"lakehouse_postgres_{name}") is not None
    assert (value(found, "lakehouse_postgres_blocks_total", source="hit") or 0) > 0
    assert (value(found, "lakehouse_postgres_table_bytes", schema="ops", table="runs") or 0) > 0


def test_a_server_that_is_down_is_an_answer_too(scraped: Scraped, nights: Nights) -> None:
    nowhere = nights.dsn.rpartition("/")[0].rpartition(":")[0] + ":1/monitoring"
    found = scraped(nowhere)
    assert value(found, "lakehouse_postgres_up") == value(found, "lakehouse_ledger_up") == 0
    assert (value(found, "lakehouse_disk_free_bytes") or 0) > 0


def test_a_database_without_a_ledger_is_one_that_has_not_begun(postgres: Any, scraped: Scraped) -> None:
    found = scraped(postgres.create_database("no_ledger"))
    assert value(found, "lakehouse_ledger_up") == value(found, "lakehouse_postgres_up") == 1
    assert not any(name.startswith("lakehouse_layer") for name, _ in found)


def test_a_ledger_of_the_first_release_is_not_up(postgres: Any, scraped: Scraped) -> None:
    nights = Nights(postgres.create_database("first_release"))
    nights.execute("drop schema ops cascade; create schema ops;" + files()[1].replace("%", "%%"))
    found = scraped(nights.dsn)
    assert (value(found, "lakehouse_postgres_up"), value(found, "lakehouse_ledger_up")) == (1, 0)


def test_a_reader_of_gold_sees_the_same_ledger(nights: Nights, postgres: Any, scraped: Scraped) -> None:
    nights.publish("gold", DAY, fact_daily_sales=50)
    nights.execute("drop role if exists watcher")
    nights.execute("create role watcher login password 'watcher'")
    nights.execute("grant usage on schema ops to watcher; grant select on all tables in schema ops to watcher")
    try:
        server = nights.dsn.rpartition("@")[2]
        found = scraped(f"postgresql://watcher:watcher@{server}")
        assert value(found, "lakehouse_ledger_up") == 1
        assert value(found, "lakehouse_runs", layer="gold", state="published") == 1
        assert value(found, "lakehouse_postgres_connections", state="active") is not None
    finally:
        nights.execute("drop owned by watcher; drop role watcher")


def test_a_scrape_changes_nothing_and_cannot(nights: Nights, scraped: Scraped, monkeypatch: pytest.MonkeyPatch) -> None:
    from lakehouse.monitoring import collector, ledger
    from lakehouse.monitoring.questions import Question

    writes = Question("lakehouse_runs", "", (), "with w as (delete from ops.runs returning 1) select count(*) from w")
    nights.publish("gold", DAY, fact_daily_sales=50)
    monkeypatch.setattr(ledger, "QUESTIONS", (writes,))
    assert value(scraped(nights.dsn), "lakehouse_ledger_up") == 0
    assert nights.ledger.recent(1)
    assert collector.TIMEOUT


def test_every_metric_has_one_name_and_words() -> None:
    asked = list(questions())
    names = [q.exposed for q in asked] + [*OF_MEASURES, *OF_A_SCRAPE]
    assert len(set(names)) == len(names)
    assert [q.name for q in asked if not q.words or q.name.endswith("_total")] == []
